import { describe, expect, test } from "bun:test";
import { buildEntry, buildKey, parseEntry } from "../../src/cache/cache-entry.ts";
import { cafe, jane, profileOf, shop } from "./profiles.ts";

const asked = { accountId: shop, participantId: jane, nowMs: 1_760_000_001_000 };
const picture = { ...profileOf(jane), pictureExpiresAtMs: 1_760_000_999_000 };
const sound: Record<string, unknown> = JSON.parse(buildEntry(shop, picture));

describe("buildEntry()", () => {
  test("writes JSON that a person can read, without a token", () => {
    expect(buildKey(jane)).toBe("instagram:profile:1234567890123456");
    expect(sound).toEqual({
      v: 1,
      accountId: "17841400000000001",
      fetchedAt: "2025-10-09T08:53:20.123Z",
      username: "jane.doe",
      name: "Jané 😀 Doe",
      profilePic: "https://scontent.cdninstagram.com/p.jpg?oe=6A1BE7E2",
      pictureExpiresAt: "2025-10-09T09:09:59.000Z",
    });
  });
});

describe("parseEntry()", () => {
  test("reads back what buildEntry() wrote", () => {
    expect(parseEntry(asked, buildEntry(shop, picture))).toEqual({ kind: "hit", profile: picture });
  });

  test("takes another account, another version and a dead picture for stale", () => {
    expect(parseEntry({ ...asked, accountId: cafe }, JSON.stringify(sound)).kind).toBe("stale");
    expect(parseEntry(asked, JSON.stringify({ ...sound, v: 2 })).kind).toBe("stale");
    expect(parseEntry({ ...asked, nowMs: 1_760_000_999_000 }, JSON.stringify(sound)).kind).toBe("stale");
  });

  const poisons: readonly (readonly [string, string])[] = [
    ["nothing", ""],
    ["no JSON", "OK"],
    ["cut off", JSON.stringify(sound).slice(0, 40)],
    ["null", "null"],
    ["a list", `[${JSON.stringify(sound)}]`],
    ["a megabyte", JSON.stringify({ ...sound, name: "x".repeat(1_000_000) })],
    ["deep nesting", "[".repeat(16_000)],
    ...Object.entries({
      "no version": { v: undefined },
      "a version in text": { v: "1" },
      "an account in a number": { accountId: 178414 },
      "a fetch time in a number": { fetchedAt: 1_760_000_000 },
      "an absurd fetch time": { fetchedAt: "2025-99-99T00:00:00Z" },
      "a name that is an object": { name: {} },
      "no name": { name: undefined },
      "a name with NUL": { name: "a\0b" },
      "a name with half a pair": { name: "a\ud800b" },
      "a name too long": { name: "x".repeat(513) },
      "a script for a picture": { profilePic: "javascript:alert(1)" },
      "a picture that is no address": { profilePic: "//" },
      "no picture time": { pictureExpiresAt: undefined },
    }).map(([what, change]) => [what, JSON.stringify({ ...sound, ...change })] as const),
  ];
  for (const [what, text] of poisons) {
    test(`takes ${what} for corrupt`, () => {
      expect(parseEntry(asked, text)).toEqual({ kind: "corrupt" });
    });
  }
});
