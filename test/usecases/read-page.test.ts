import { describe, expect, test } from "bun:test";
import type { Thread } from "../../src/domain/thread.ts";
import { parseInboxCursor, writeInboxCursor } from "../../src/usecases/inbox-cursor.ts";
import { readInboxPage } from "../../src/usecases/read-page.ts";

const shop = "17841400000000001";
const thread = (id: string, ...people: (string | [string, string])[]): Thread => ({
  ...{ id, updatedAtMs: 5 },
  people: people.map((one) =>
    typeof one === "string" ? { id: one, username: `u${one}` } : { id: one[0], username: one[1] },
  ),
});
const known = () => ({ ids: new Set([shop]), username: null });
const pairsOf = (threads: readonly Thread[], own: Parameters<typeof readInboxPage>[1]) =>
  [...readInboxPage(threads, own).pairs.keys()].map(String);

describe("readInboxPage()", () => {
  test("parts people, pairs, groups and hidden threads, each person once", () => {
    const page = readInboxPage(
      [thread("a", shop, "1"), thread("b", shop, "2", "3"), thread("c"), thread("d", shop), thread("e", shop, "1")],
      known(),
    );
    expect([...page.people].map(([id, name]) => `${id} ${name}`)).toEqual(["1 u1", "2 u2", "3 u3"]);
    expect([...page.pairs].map(([id, one]) => `${id} ${one.id}`)).toEqual(["1 a"]);
    expect([page.groups, page.hidden, page.newestAtMs]).toEqual([1, 1, 5]);
  });

  test("knows the account by its username where the id is another one", () => {
    const own = { ids: new Set<string>([shop]), username: "My.Shop" };
    expect(pairsOf([thread("a", ["26912", "my.shop"], "1")], own)).toEqual(["1"]);
    expect(pairsOf([thread("a", ["26912", "else"], "1")], own)).toEqual([]);
  });

  test("learns the id that stands in every thread, and remembers it on the next page", () => {
    const own = known();
    expect(pairsOf([thread("a", "269", "1"), thread("b", "2", "269")], own)).toEqual(["1", "2"]);
    expect(pairsOf([thread("c", "269", "3")], own)).toEqual(["3"]);
    // Of two who are in everything neither is taken for the account.
    expect(pairsOf([thread("a", "8", "9"), thread("b", "9", "8")], known())).toEqual([]);
  });

  test("a person who is no id is nobody, and a thread without a time leaves the page without one", () => {
    const page = readInboxPage([thread("a", shop, "no id"), { ...thread("b", shop, "1"), updatedAtMs: null }], known());
    expect([...page.people.keys()].map(String)).toEqual(["1"]);
    expect(page.newestAtMs).toBeNull();
  });
});

describe("parseInboxCursor()", () => {
  test("reads what writeInboxCursor() wrote, and nothing else", () => {
    for (const after of [null, "QVFI.1.2\n3"]) {
      const position = { startedAtMs: 1_762_000_000_000, pageSize: 25, hasGaps: true, after };
      expect(parseInboxCursor(writeInboxCursor(position))).toEqual(position);
    }
    for (const text of ["", "QVFI", "2.1.50.0.x", "1.1.51.0.x", "1.1.0.0.x", "1.x.50.0.x", "1.1.50.2.x"])
      expect(parseInboxCursor(text)).toBeNull();
  });
});
