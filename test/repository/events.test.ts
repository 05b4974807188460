import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import type { InboundEvent } from "../../src/domain/event.ts";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import { openTestRepositories } from "../support/test-repositories.ts";
import { delivery, echo, inbound, itemOf } from "../support/webhook-bodies.ts";

const nowMs = 1_763_000_000_000;
const t = 1_762_000_000_000;
const anna = "1129842642640637";
const read = (items: readonly Record<string, unknown>[]): readonly InboundEvent[] =>
  parseWebhook(delivery(items), nowMs).events;

for (const kind of ["postgres", "embedded"] as const) {
  describe(`saveEvents() on ${kind}`, async () => {
    const db = await openTestRepositories(kind);
    afterAll(() => db[Symbol.asyncDispose]());
    beforeEach(() => db.empty());

    const save = (events: readonly InboundEvent[]) => db.events.saveEvents(events, 5_000);
    const saveItems = (...items: Record<string, unknown>[]) => save(read(items));
    const conversation = async () => (await db.rows("conversations", "id"))[0] ?? {};
    const message = async (mid: string) => (await db.rows("messages", "mid")).find((row) => row.mid === mid) ?? {};

    test("files an event, a message and a conversation in one statement", async () => {
      const saved = await saveItems(inbound(anna, "m1", t));
      expect(saved.inserted).toBe(1);
      expect(saved.known).toEqual([]);
      expect(saved.wanted).toEqual([`17841400000000001_${anna}` as never]);
      expect(await conversation()).toMatchObject({ profile_status: "pending", unread_count: 1, status: "active" });
      expect(await message("m1")).toMatchObject({ text: "text of m1", direction: "inbound", has_content: true });
      expect((await db.rows("events", "event_key"))[0]).toMatchObject({ event_key: "message:m1", kind: "message" });
    });

    test("stores a message once, however often it comes, in one post or in many", async () => {
      await saveItems(inbound(anna, "m1", t), inbound(anna, "m1", t));
      const again = await saveItems(inbound(anna, "m1", t));
      expect(again).toMatchObject({ inserted: 0, known: [["17841400000000001" as never, "message:m1"]] });
      expect(await conversation()).toMatchObject({ unread_count: 1 });
      expect(await db.rows("messages", "mid")).toHaveLength(1);
    });

    test("never moves last_message_at back", async () => {
      await saveItems(inbound(anna, "late", t + 5_000));
      await saveItems(inbound(anna, "early", t));
      expect(await conversation()).toMatchObject({ last_message_at: new Date(t + 5_000), unread_count: 2 });
    });

    test("an echo counts as no unread message and asks for no lookup", async () => {
      const saved = await saveItems(echo(anna, "e1", t));
      expect(saved.wanted).toEqual([]);
      expect(await conversation()).toMatchObject({ unread_count: 0, next_attempt_at: null });
      expect(await message("e1")).toMatchObject({ direction: "outgoing" });
    });

    test("an unsend keeps the message's place and takes its content, whichever comes first", async () => {
      const unsend = itemOf(anna, t + 9, { message: { mid: "m1", is_deleted: true } });
      await saveItems(unsend);
      await saveItems(inbound(anna, "m1", t, { attachments: [{ type: "image" }] }));
      expect(await message("m1")).toMatchObject({
        text: null,
        attachments: null,
        deleted_at: new Date(t + 9),
        sent_at: new Date(t),
      });
    });

    test("of several edits the highest number wins, whichever comes first", async () => {
      const edit = (n: number) => itemOf(anna, t + n, { message_edit: { mid: "m1", text: `edit ${n}`, num_edit: n } });
      await saveItems(edit(2));
      await saveItems(inbound(anna, "m1", t));
      await saveItems(edit(1));
      expect(await message("m1")).toMatchObject({ text: "edit 2", edit_number: 2, sent_at: new Date(t) });
    });

    test("a reaction and its withdrawal are told by their time", async () => {
      const reaction = (at: number, content: Record<string, unknown>) =>
        itemOf(anna, at, { reaction: { mid: "m1", ...content } });
      await saveItems(reaction(t + 2, { action: "unreact" }));
      await saveItems(reaction(t + 1, { action: "react", reaction: "love", emoji: "❤️" }));
      expect((await db.rows("reactions", "mid"))[0]).toMatchObject({ reaction: null, sender_id: anna });
    });

    test("any order and any repetition of deliveries ends in the same tables", async () => {
      const items = [
        inbound(anna, "m1", t, {
          attachments: [{ type: "image", payload: { url: "https://x" } }],
          reply_to: { mid: "m0" },
        }),
        itemOf(anna, t + 1, { message_edit: { mid: "m1", text: "first edit", num_edit: 1 } }),
        itemOf(anna, t + 2, { message_edit: { mid: "m1", text: "second edit", num_edit: "2" } }),
        echo(anna, "m2", t + 3),
        itemOf(anna, t + 4, { reaction: { mid: "m2", action: "react", reaction: "love", emoji: "❤️" } }),
        itemOf(anna, t + 5, { reaction: { mid: "m2", action: "unreact" } }),
        itemOf(anna, t + 6, { read: { mid: "m2" } }),
        itemOf(anna, t + 7, { read: { mid: "m2" } }),
        inbound(anna, "m3", t + 8),
        itemOf(anna, t + 9, { message: { mid: "m3", is_deleted: true } }),
        itemOf(anna, t + 10, { postback: { mid: "m4", title: "Hello" } }),
        inbound("222", "m5", t + 11),
        itemOf(anna, t + 12, { referral: { ref: "r" } }),
      ];
      const tables = async () => {
        const keep = (rows: Record<string, unknown>[]) =>
          rows.map(({ created_at, received_at, next_attempt_at, ...row }) => ({
            ...row,
            armed: next_attempt_at !== null,
          }));
        return {
          events: keep(await db.rows("events", "account_id, event_key")),
          conversations: keep(await db.rows("conversations", "id")),
          messages: await db.rows("messages", "account_id, mid"),
          reactions: await db.rows("reactions", "mid, sender_id"),
          reads: await db.rows("read_receipts", "participant_id"),
        };
      };
      await saveItems(...items);
      const expected = await tables();
      expect(expected.conversations).toMatchObject([{ unread_count: 3 }, { unread_count: 1 }]);
      let seed = 7;
      const chance = () => {
        seed = (seed * 48_271) % 2_147_483_647;
        return seed / 2_147_483_647;
      };
      for (let round = 0; round < 40; round++) {
        await db.empty();
        const sent = [...items, ...items.filter(() => chance() < 0.3)].sort(() => chance() - 0.5);
        while (sent.length > 0) await saveItems(...sent.splice(0, 1 + Math.floor(chance() * 4)));
        expect(await tables()).toEqual(expected);
      }
    }, 60_000);

    test("text with NUL and half surrogates is stored, the raw item keeps what came", async () => {
      await saveItems(inbound(anna, "m1", t, { text: "a\u0000b\ud800" }));
      expect(await message("m1")).toMatchObject({ text: "a\uFFFDb\uFFFD" });
      expect(String((await db.rows("events", "event_key"))[0]?.raw)).toContain("\\u0000");
    });

    test("a person without consent is armed again by their next message, not by an echo", async () => {
      await saveItems(inbound(anna, "m1", t));
      await db.database.query(
        "update conversations set profile_status = 'no_consent', next_attempt_at = null",
        [],
        "set",
      );
      expect((await saveItems(echo(anna, "e1", t + 1))).wanted).toEqual([]);
      expect((await saveItems(inbound(anna, "m2", t + 2))).wanted).toHaveLength(1);
      expect(await conversation()).toMatchObject({ profile_status: "pending" });
    });

    test("a fresh profile is not asked for again, one of yesterday is", async () => {
      await saveItems(inbound(anna, "m1", t));
      await db.database.query(
        "update conversations set profile_status = 'complete', next_attempt_at = null, fetched_at = now(), checked_at = now()",
        [],
        "set",
      );
      expect((await saveItems(inbound(anna, "m2", t + 1))).wanted).toEqual([]);
      await db.database.query("update conversations set checked_at = now() - interval '25 hours'", [], "age");
      expect((await saveItems(inbound(anna, "m3", t + 2))).wanted).toHaveLength(1);
    });

    test("what is set aside is kept once, with a count", async () => {
      const item = { reason: "not_json", raw: Buffer.from([0, 255, 123]) } as const;
      await db.events.saveQuarantine([item, item], 5_000);
      await db.events.saveQuarantine([item], 5_000);
      const [row] = await db.rows("quarantine", "id");
      expect(row).toMatchObject({ reason: "not_json", times: 2 });
      expect(Buffer.from(row?.body as Uint8Array)).toEqual(Buffer.from([0, 255, 123]));
    });
  });
}

describe("saveEvents() on postgres, from many sides at once", async () => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());
  beforeEach(() => db.empty());

  test("64 posts that race to create one conversation make one, and count each message once", async () => {
    const posts = Array.from({ length: 64 }, (_, n) =>
      read([inbound(anna, `race-${n}`, t + n), inbound(anna, "shared", t)]),
    );
    await Promise.all(posts.map((events) => db.events.saveEvents(events, 10_000)));
    expect(await db.rows("conversations", "id")).toMatchObject([
      { unread_count: 65, last_message_at: new Date(t + 63) },
    ]);
    expect(await db.rows("messages", "mid")).toHaveLength(65);
  });

  test("eight writers with overlapping posts of every kind end in the same tables as one, without a deadlock", async () => {
    const people = Array.from({ length: 12 }, (_, n) => `90${n}`);
    const items = people.flatMap((person, n) => [
      inbound(person, `c${n}`, t + n),
      itemOf(person, t + 100 + n, { message_edit: { mid: `c${n}`, text: "edited", num_edit: 1 } }),
      itemOf(person, t + 200 + n, { reaction: { mid: `c${n}`, action: "react", reaction: "love", emoji: "❤️" } }),
      itemOf(person, t + 300 + n, { read: { mid: `c${n}` } }),
      echo(person, `d${n}`, t + 400 + n),
      ...(n % 3 === 0 ? [itemOf(person, t + 500 + n, { message: { mid: `c${n}`, is_deleted: true } })] : []),
    ]);
    const tables = async () => ({
      events: (await db.rows("events", "account_id, event_key")).map((row) => row.event_key),
      conversations: (await db.rows("conversations", "id")).map(({ id, unread_count, last_message_at }) => ({
        id,
        unread_count,
        last_message_at,
      })),
      messages: await db.rows("messages", "account_id, mid"),
      reactions: await db.rows("reactions", "mid, sender_id"),
      reads: await db.rows("read_receipts", "participant_id"),
    });
    await db.empty();
    await db.events.saveEvents(read(items), 10_000);
    const expected = await tables();
    for (let round = 0; round < 10; round++) {
      await db.empty();
      const writers = Array.from({ length: 8 }, async (_, writer) => {
        const own = [...items].sort((a, b) => hash(a, writer + round) - hash(b, writer + round));
        for (let from = 0; from < own.length; from += 9)
          await db.events.saveEvents(read(own.slice(from, from + 9)), 10_000);
      });
      await Promise.all(writers);
      expect(await tables()).toEqual(expected);
    }
  }, 60_000);
});

/** A number that orders items differently for each `salt`, the same on each run. */
const hash = (item: unknown, salt: number) => Bun.hash.crc32(`${salt} ${JSON.stringify(item)}`);
