import { describe, expect, test } from "bun:test";
import { parseJson } from "../../src/graph/parse-json.ts";

describe("parseJson()", () => {
  test.each([
    ["17841400000000001", "17841400000000001"],
    ["-17841400000000001", "-17841400000000001"],
    ['{"id":17841400000000001}', { id: "17841400000000001" }],
    ['{"id" :\n\t17841400000000001 }', { id: "17841400000000001" }],
    ["[1,17841400000000001,2]", [1, "17841400000000001", 2]],
    ["[ 1e20, -1.5E+300 ]", ["1e20", "-1.5E+300"]],
    ["9007199254740991", 9007199254740991],
    ["[9007199254740992,1e3,0.125000000000000000]", ["9007199254740992", 1000, 0.125]],
    [
      '{"id":"17841400000000001","n":":17841400000000001 1e20"}',
      { id: "17841400000000001", n: ":17841400000000001 1e20" },
    ],
  ])("keeps the digits of %j", (text, value) => {
    expect<unknown>(parseJson(text)).toEqual(value);
  });

  test.each([
    "",
    "{",
    "undefined",
    '{"a":1}x',
    "[".repeat(1_000_000),
    "[".repeat(100_000) + "]".repeat(100_000),
    `${'{"a":[],"b":'.repeat(50_000)}1${"}".repeat(50_000)}`,
  ])("answers undefined where there is no JSON, or too deep a one: %#", (text) => {
    expect(parseJson(text)).toBeUndefined();
  });

  test("reads an answer of many brackets like any other", () => {
    const items = Array.from({ length: 5_000 }, (_, id) => ({ id, tags: [] }));
    expect(parseJson(JSON.stringify(items))).toEqual(items);
  });
});
