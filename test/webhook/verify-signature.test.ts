import { describe, expect, test } from "bun:test";
import { verifySignature } from "../../src/webhook/verify-signature.ts";
import { bytesOf, secret, sign } from "../support/webhook-bodies.ts";

// The vector of Meta's escaped body: literal backslash-u escapes, 273 bytes.
const escaped =
  '{"object":"instagram","entry":[{"id":"17841400000000001","time":1760000000123,"messaging":[{"sender":{"id":"1234567890123456"},"recipient":{"id":"17841400000000001"},"timestamp":1760000000001,"message":{"mid":"aWdfZAG1_TEST_1","text":"\\u00e4\\u00f6\\u00e5 \\ud83d\\udc4b"}}]}]}';
const escapedSignature = "sha256=d8316351a0f54533480dd97b68a85ae08de539dc8228f51bdd5f218d41d54bb2";
const body = bytesOf({ object: "instagram", entry: [] });

describe("verifySignature()", () => {
  test("accepts the signature over the bytes as Meta escaped them", () => {
    const raw = Buffer.from(escaped, "utf8");
    expect(raw.length).toBe(273);
    expect(verifySignature(raw, escapedSignature, [secret])).toBe(true);
  });

  test("refuses the same message after it was parsed and written again", () => {
    const rewritten = Buffer.from(JSON.stringify(JSON.parse(escaped)), "utf8");
    expect(verifySignature(rewritten, escapedSignature, [secret])).toBe(false);
  });

  test("accepts any of several secrets, in any place of the list", () => {
    expect(verifySignature(body, sign(body, "old"), ["new", "old"])).toBe(true);
    expect(verifySignature(body, sign(body, "new"), ["new", "old"])).toBe(true);
    expect(verifySignature(body, sign(body, "other"), ["new", "old"])).toBe(false);
  });

  test.each([
    ["absent", null],
    ["empty", ""],
    ["short", sign(body).slice(0, -1)],
    ["long", `${sign(body)}0`],
    ["upper case", sign(body).toUpperCase().replace("SHA256", "sha256")],
    ["SHA-1 only", "sha1=0123456789012345678901234567890123456789"],
    ["two values", `${sign(body)}, ${sign(body)}`],
    ["without its prefix", sign(body).slice(7)],
  ])("refuses a signature that is %s", (_name, header) => {
    expect(verifySignature(body, header, [secret])).toBe(false);
  });

  test("refuses everything where no secret is set", () => {
    expect(verifySignature(body, sign(body, ""), [])).toBe(false);
  });

  test("refuses every one of 2,000 signatures with one bit turned", () => {
    const right = Buffer.from(sign(body).slice(7), "hex");
    let accepted = 0;
    for (let round = 0; round < 2_000; round++) {
      const bytes = Buffer.from(right);
      const bit = round % 256;
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      if (verifySignature(body, `sha256=${bytes.toString("hex")}`, [secret])) accepted += 1;
    }
    expect(accepted).toBe(0);
  });
});
