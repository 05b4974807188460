import { describe, expect, test } from "bun:test";
import { createVault, parseKey } from "../../src/repository/vault.ts";

const vault = createVault(Buffer.alloc(32, 1));

describe("createVault()", () => {
  test("opens what it sealed, and the sealed text shows nothing of it", () => {
    const sealed = vault.seal("IGAAsecret", "17841400000000001");
    expect(sealed).toStartWith(`v1.${vault.keyId}.`);
    expect(sealed).not.toContain("IGAA");
    expect(vault.open(sealed, "17841400000000001")).toBe("IGAAsecret");
  });

  test("seals the same token differently each time", () => {
    expect(vault.seal("same", "a")).not.toBe(vault.seal("same", "a"));
  });

  test("refuses a token of another account, a changed one, and one sealed with another key", () => {
    const sealed = vault.seal("IGAAsecret", "a");
    expect(() => vault.open(sealed, "b")).toThrow("it was changed");
    expect(() => vault.open(`${sealed.slice(0, -2)}AA`, "a")).toThrow("it was changed");
    expect(() => createVault(Buffer.alloc(32, 2)).open(sealed, "a")).toThrow("sealed with key");
    expect(() => vault.open("plain", "a")).toThrow("its form is unknown");
  });

  test("refuses a key that is not 32 bytes", () => {
    expect(() => createVault(Buffer.alloc(16))).toThrow("must be 32 bytes");
  });
});

describe("parseKey()", () => {
  test("reads hex and base64, and nothing else", () => {
    expect(parseKey(`${"0a".repeat(32)}\n`)).toEqual(Buffer.alloc(32, 10));
    expect(parseKey(Buffer.alloc(32, 10).toString("base64"))).toEqual(Buffer.alloc(32, 10));
    for (const wrong of ["", "0a", "0a".repeat(31), "not a key at all, but quite long, you see?"])
      expect(parseKey(wrong)).toBeNull();
  });
});
