import { describe, expect, test } from "bun:test";
import { buildCursor, parseCursor } from "../../src/http/cursor.ts";

describe("parseCursor()", () => {
  test("reads back what buildCursor() wrote, in letters that need no escaping", () => {
    for (const place of [
      { atMs: 0, id: "1_2" },
      { atMs: -62_135_596_800_000, id: "é\u202E😀\n\"'%" },
      { atMs: 8.64e15, id: "m".repeat(300) },
    ]) {
      const text = buildCursor("list", place);
      expect(text).toMatch(/^[A-Za-z0-9_-]+$/);
      expect(parseCursor("list", text)).toEqual(place);
    }
  });

  test("refuses a cursor with any one character changed, dropped or added", () => {
    const text = buildCursor("list", { atMs: 1_761_949_800_000, id: "17841400000000001_5551234567890123" });
    for (let at = 0; at < text.length; at++) {
      for (const changed of [
        `${text.slice(0, at)}${text[at] === "A" ? "B" : "A"}${text.slice(at + 1)}`,
        text.slice(0, at) + text.slice(at + 1),
        `${text.slice(0, at)}A${text.slice(at)}`,
        `${text.slice(0, at)}=${text.slice(at)}`,
      ])
        expect(() => parseCursor("list", changed)).toThrow("nextCursor");
    }
  });

  test("refuses another list's cursor, another version's, and places that a database cannot take", () => {
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const sum = Bun.hash("x").toString(36);
    for (const text of [
      buildCursor("other", { atMs: 1, id: "a" }),
      buildCursor("list", { atMs: 1, id: "a\0" }),
      buildCursor("list", { atMs: 1, id: "\ud800" }),
      buildCursor("list", { atMs: 1.5, id: "a" }),
      buildCursor("list", { atMs: 9e15, id: "a" }),
      buildCursor("list", { atMs: 1, id: "" }),
      encode([2, 1, "a", sum]),
      encode({ atMs: 1 }),
      encode(null),
      "",
      "%",
    ])
      expect(() => parseCursor("list", text)).toThrow("Cannot read the cursor");
  });
});
