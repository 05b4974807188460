import { describe, expect, test } from "bun:test";
import { idLengthMax } from "../../src/domain/ids.ts";
import { listMentions, mentionsMax } from "../../src/repository/mentions.ts";

const listOf = (text: string) => [...listMentions(Buffer.from(text, "latin1"))];

describe("listMentions()", () => {
  test("finds every word with a digit, each once, whatever stands around it", () => {
    expect(listOf('{"sender":{"id":"17841"},"recipient":17842,"x":"abc","y":"m1-2.3"}é17841ÿ42')).toEqual([
      ...["17841", "17842", "m1-2.3", "42"],
    ]);
    expect(listOf("")).toEqual([]);
    expect(listOf("no digit anywhere")).toEqual([]);
  });

  test("takes no word that is longer than an id, and no more than its limit", () => {
    expect(listOf(`${"1".repeat(idLengthMax)} ${"2".repeat(idLengthMax + 1)}`)).toEqual(["1".repeat(idLengthMax)]);
    expect(listOf(Array.from({ length: mentionsMax + 9 }, (_, n) => n).join(" "))).toHaveLength(mentionsMax);
  });
});
