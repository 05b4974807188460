import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import type { InboundEvent } from "../../src/domain/event.ts";
import { type AccountId, type ConversationId, parseAccountId } from "../../src/domain/ids.ts";
import { throttledOutcome } from "../../src/domain/lookup-outcome.ts";
import { profileMaxAgeMsDefault } from "../../src/domain/profile.ts";
import { createEventsRepository } from "../../src/repository/events.ts";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import { openDatabaseAt, openTestRepositories, testOwner } from "../support/test-repositories.ts";
import { account, bytesOf, delivery, echo, inbound, itemOf } from "../support/webhook-bodies.ts";

const nowMs = 1_763_000_000_000;
const t = 1_762_000_000_000;
const anna = "1129842642640637";
const read = (items: readonly Record<string, unknown>[]): readonly InboundEvent[] =>
  parseWebhook(delivery(items), nowMs).events;
/** A comment that names its author. */
const comment = (person: string, id: string, timestamp: number, username: unknown): readonly InboundEvent[] =>
  parseWebhook(
    bytesOf({
      object: "instagram",
      entry: [
        {
          id: account,
          time: t,
          changes: [{ field: "comments", value: { id, timestamp, from: { id: person, username } } }],
        },
      ],
    }),
    nowMs,
  ).events;

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
      const { last_message_at, unread_count } = await conversation();
      expect([last_message_at, unread_count]).toEqual([new Date(t + 5_000), 2]);
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
      const { text, attachments, deleted_at, sent_at } = await message("m1");
      expect([text, attachments, deleted_at, sent_at]).toEqual([null, null, new Date(t + 9), new Date(t)]);
    });

    test("of several edits the highest number wins, whichever comes first", async () => {
      const edit = (n: number) => itemOf(anna, t + n, { message_edit: { mid: "m1", text: `edit ${n}`, num_edit: n } });
      await saveItems(edit(2));
      await saveItems(inbound(anna, "m1", t));
      await saveItems(edit(1));
      const { text, edit_number, sent_at } = await message("m1");
      expect([text, edit_number, sent_at]).toEqual(["edit 2", 2, new Date(t)]);
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
      ].map((item) => read([item]));
      const all = [...items, comment(anna, "c1", t + 13, "anna.4"), comment(anna, "c2", t + 14, "anna.4")];
      const tables = async () => {
        // Where the comment came first, the name is there with the lookup that each new person gets.
        const ids = (await db.rows("conversations", "id")).map((row) => String(row.id));
        await db.lookups.claimLookups(ids as ConversationId[], true);
        const keep = (rows: Record<string, unknown>[]) =>
          rows.map(({ created_at, received_at, next_attempt_at, lease_token, lease_until, ...row }) => ({
            ...row,
            armed: next_attempt_at !== null,
          }));
        return {
          events: keep(await db.rows("events", "account_id, event_key")),
          conversations: keep(await db.rows("conversations", "id")),
          messages: await db.rows("messages", "account_id, mid"),
          reactions: await db.rows("reactions", "mid, sender_id"),
          reads: await db.rows("read_receipts", "participant_id"),
          names: await db.rows("known_usernames", "participant_id"),
        };
      };
      await save(all.flat());
      const expected = await tables();
      expect(expected.conversations).toMatchObject([
        { unread_count: 3, participant_username: "anna.4" },
        { unread_count: 1, participant_username: null },
      ]);
      expect(expected.names.map((row) => [row.username, row.seen_at])).toEqual([["anna.4", new Date(t + 14)]]);
      let seed = 7;
      const chance = () => {
        seed = (seed * 48_271) % 2_147_483_647;
        return seed / 2_147_483_647;
      };
      for (let round = 0; round < 40; round++) {
        await db.empty();
        const sent = [...all, ...all.filter(() => chance() < 0.3)].sort(() => chance() - 0.5);
        while (sent.length > 0) await save(sent.splice(0, 1 + Math.floor(chance() * 4)).flat());
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
        "update conversations set profile_status = 'no_consent', reason_code = 'no_consent', checked_at = now() - interval '1 hour', next_attempt_at = null",
        [],
        "set",
      );
      expect((await saveItems(echo(anna, "e1", t + 1))).wanted).toEqual([]);
      expect((await saveItems(inbound(anna, "m2", t + 2))).wanted).toHaveLength(1);
      expect(await conversation()).toMatchObject({ profile_status: "pending" });
    });

    test("a fresh profile is not asked for again, one of last week is, and a bare username on the next day", async () => {
      await saveItems(inbound(anna, "m1", t));
      await db.database.query(
        "update conversations set profile_status = 'complete', next_attempt_at = null, fetched_at = now(), checked_at = now()",
        [],
        "set",
      );
      expect((await saveItems(inbound(anna, "m2", t + 1))).wanted).toEqual([]);
      const age = (text: string) => db.database.query(`update conversations set ${text}`, [], "age");
      await age("checked_at = now() - interval '25 hours', fetched_at = now() - interval '167 hours'");
      expect((await saveItems(inbound(anna, "m3", t + 2))).wanted).toEqual([]);
      await age("fetched_at = now() - interval '169 hours'");
      expect((await saveItems(inbound(anna, "m4", t + 3))).wanted).toHaveLength(1);
      await age("next_attempt_at = null, profile_status = 'username_only', fetched_at = null, checked_at = now()");
      expect((await saveItems(inbound(anna, "m5", t + 4))).wanted).toEqual([]);
      await age("checked_at = now() - interval '25 hours'");
      expect((await saveItems(inbound(anna, "m6", t + 5))).wanted).toHaveLength(1);
    });

    test("what was said long ago and comes again after retention is neither unread again nor looked up again", async () => {
      const events = read([
        inbound(anna, "m1", t),
        itemOf(anna, t + 1, { message_edit: { mid: "m1", text: "edited", num_edit: 1 } }),
        inbound(anna, "m2", t + 2),
        itemOf(anna, t + 3, { message: { mid: "m2", is_deleted: true } }),
        itemOf(anna, t + 4, { postback: { mid: "m3", title: "Go" } }),
        echo(anna, "m4", t + 5),
      ]);
      await save(events);
      await db.database.query(
        "update conversations set unread_count = 1, profile_status = 'no_consent', attempts = 2, next_attempt_at = null",
        [],
        "set",
      );
      const tables = async () => [await db.rows("conversations", "id"), await db.rows("messages", "mid")];
      const before = await tables();
      await db.database.query("delete from events", [], "remove old events");
      for (const sent of [events.slice(0, 1), events.slice(2), events]) {
        expect((await save(sent)).wanted).toEqual([]);
        expect(await tables()).toEqual(before);
      }
      expect(await db.rows("events", "event_key")).toHaveLength(events.length);
      // One that is really new counts, however old it is, and so does today's.
      await saveItems(inbound(anna, "older", t - 1), inbound(anna, "today", Date.now()));
      expect(await conversation()).toMatchObject({ unread_count: 3, profile_status: "pending" });
    });

    test("an old message that was known only by its unsend, edit or reaction counts when it comes", async () => {
      await saveItems(itemOf(anna, t + 1, { message_edit: { mid: "m1", text: "edited", num_edit: 1 } }));
      await saveItems(inbound(anna, "m1", t));
      expect(await conversation()).toMatchObject({ unread_count: 1 });
    });

    const names = async () =>
      (await db.rows("known_usernames", "participant_id")).map((row) => [row.participant_id, row.username]);

    test("a comment's username is kept, the newest wins in any order, and no conversation comes of it", async () => {
      const first = comment(anna, "c1", t + 1, "old.name");
      const second = comment(anna, "c2", t + 2, "new.name");
      const equal = comment(anna, "c3", t + 2, "mew.name");
      for (const sent of [[first, second, equal], [equal, second, first], [[...second, ...first, ...equal]]]) {
        await db.empty();
        for (const events of sent) await save(events);
        expect(await names()).toEqual([[anna, "new.name"]]);
        expect((await db.rows("known_usernames", "participant_id"))[0]?.seen_at).toEqual(new Date(t + 2));
      }
      expect(await db.rows("conversations", "id")).toEqual([]);
    });

    test("a comment's username reaches Postgres without NUL, and one that is none is left out", async () => {
      await save([...comment("1", "c1", t, "a\u0000b\ud800"), ...comment("2", "c2", t, "x".repeat(200))]);
      await save([...comment("3", "c3", t, ""), ...comment("4", "c4", t, 7), ...comment(account, "c5", t, "shop")]);
      expect(await names()).toEqual([["1", "ab\uFFFD"]]);
      expect(await db.rows("events", "event_key")).toHaveLength(5);
    });

    test("a comment names a conversation that has no name, and changes nothing else about it", async () => {
      await saveItems(inbound(anna, "m1", t));
      await db.database.query("update conversations set attempts = 2, next_attempt_at = null", [], "set");
      const before = await conversation();
      expect((await save(comment(anna, "c1", t + 1, "anna.4"))).wanted).toEqual([]);
      expect(await conversation()).toEqual({ ...before, participant_username: "anna.4" });
      await save(comment(anna, "c2", t + 2, "anna.5"));
      expect(await conversation()).toMatchObject({ participant_username: "anna.4" });
    });

    test("a comment and a first message in one post make a conversation with a name", async () => {
      await save([...comment(anna, "c1", t, "anna.4"), ...read([echo(anna, "m1", t)])]);
      expect(await conversation()).toMatchObject({
        participant_username: "anna.4",
        profile_status: "pending",
        unread_count: 0,
        next_attempt_at: null,
      });
    });

    test("a person who commented before they wrote has their name with their first message", async () => {
      await save(comment(anna, "c1", t, "anna.4"));
      await saveItems(inbound(anna, "m1", t + 1), inbound("222", "m2", t));
      expect(await db.rows("conversations", "id")).toMatchObject([
        { participant_username: "anna.4", profile_status: "pending" },
        { participant_username: null },
      ]);
    });

    test("leases who is met for the first time where it is asked to, as a claim would", async () => {
      const id = parseAccountId(account) as AccountId;
      const shop = {
        id,
        ownId: "shop",
        login: "instagram",
        pageId: null,
        username: null,
        tokenExpiresAtMs: null,
      } as const;
      await db.accounts.saveAccount({ ...shop, appScopedId: null, token: "IGAAtoken" });
      await save(comment(anna, "c1", t, "anna.4"));
      await saveItems(inbound("333", "m0", t), echo("444", "e1", t)); // known from now on
      const items = [
        inbound(anna, "m1", t + 1),
        inbound("222", "m2", t),
        inbound("333", "m3", t),
        echo("555", "e2", t),
      ];
      const { leased, wanted } = await db.events.saveEvents(read(items), 5_000, true);
      expect(wanted).toEqual([`${account}_333` as never]);
      expect(
        leased?.lookups.map(({ conversationId, username, stored, attempts }) => [
          conversationId,
          username,
          stored,
          attempts,
        ]),
      ).toEqual([
        [`${account}_${anna}` as never, "anna.4", null, 0],
        [`${account}_222` as never, null, null, 0],
      ]);
      expect(await db.accounts.getAccess(id, leased?.readAccess(id))).toMatchObject({
        kind: "ready",
        access: { id, login: "instagram", token: "IGAAtoken" },
      });
      const held = (await db.rows("conversations", "id")).filter((row) => row.lease_until !== null);
      expect(held.map((row) => [row.participant_platform_id, row.lease_owner])).toEqual([
        [anna, testOwner],
        ["222", testOwner],
      ]);
      // Nobody else gets them, and their holder can say what became of them.
      const ids = leased?.lookups.map(({ conversationId }) => conversationId) ?? [];
      expect((await db.lookups.claimLookups(ids, true)).map(({ kind }) => kind)).toEqual(["held", "held"]);
      expect((await saveItems(inbound("222", "m4", t + 5))).wanted).toEqual([]);
      const outcomes = (leased?.lookups ?? []).map((lookup) => ({ lookup, outcome: throttledOutcome(0, 0) }));
      expect((await db.lookups.saveOutcomes(outcomes)).sort()).toEqual([...ids].sort());
      expect((await saveItems(inbound("222", "m5", t + 6))).wanted).toEqual([`${account}_222` as never]);
    });

    test("a person of an account that nobody added is leased too, and the account is told as unknown", async () => {
      const { leased } = await db.events.saveEvents(read([inbound(anna, "m1", t)]), 5_000, true);
      const id = parseAccountId(account) as AccountId;
      expect(leased?.lookups).toHaveLength(1);
      expect(await db.accounts.getAccess(id, leased?.readAccess(id))).toEqual({ kind: "unknown" });
    });

    test("of posts that race for one new person exactly one leases them", async () => {
      const racing = Array.from({ length: 16 }, (_, n) =>
        db.events.saveEvents(read([inbound(anna, `m${n}`, t + n)]), 5_000, true),
      );
      const leases = (await Promise.all(racing)).flatMap(({ leased }) => leased?.lookups ?? []);
      expect(leases).toHaveLength(1);
      expect((await conversation()).lease_token).toBe(leases[0]?.leaseToken as string);
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
  // As many processes: one sends two statements at once at most.
  const databases = await Promise.all(Array.from({ length: 8 }, () => openDatabaseAt(db.url)));
  const sides = databases.map((database) => createEventsRepository(database, profileMaxAgeMsDefault, testOwner));
  const sideOf = (n: number) => sides[n % sides.length] ?? db.events;
  afterAll(async () => {
    for (const database of databases) await database[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });
  beforeEach(() => db.empty());

  test("64 posts that race to create one conversation make one, and count each message once", async () => {
    const posts = Array.from({ length: 64 }, (_, n) =>
      read([inbound(anna, `race-${n}`, t + n), inbound(anna, "shared", t)]),
    );
    await Promise.all(posts.map((events, n) => sideOf(n).saveEvents(events, 10_000)));
    const [row, ...others] = await db.rows("conversations", "id");
    expect([row?.unread_count, row?.last_message_at, others]).toEqual([65, new Date(t + 63), []]);
    expect(await db.rows("messages", "mid")).toHaveLength(65);
  });

  test("eight writers with overlapping posts of every kind end in the same tables as one, without a deadlock", async () => {
    const people = Array.from({ length: 12 }, (_, n) => `90${n}`);
    const events = people.flatMap((person, n) => [
      ...comment(person, `n${n}`, t + n, `name.${n}`),
      ...comment(person, `o${n}`, t + n + 1, `name.${n}`),
      ...read([inbound(person, `c${n}`, t + n)]),
      ...read([itemOf(person, t + 100 + n, { message_edit: { mid: `c${n}`, text: "edited", num_edit: 1 } })]),
      ...read([
        itemOf(person, t + 200 + n, { reaction: { mid: `c${n}`, action: "react", reaction: "love", emoji: "❤️" } }),
      ]),
      ...read([itemOf(person, t + 300 + n, { read: { mid: `c${n}` } })]),
      ...read([echo(person, `d${n}`, t + 400 + n)]),
      ...(n % 3 === 0 ? read([itemOf(person, t + 500 + n, { message: { mid: `c${n}`, is_deleted: true } })]) : []),
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
      names: await db.rows("known_usernames", "participant_id"),
    });
    await db.empty();
    await db.events.saveEvents(events, 10_000);
    const expected = await tables();
    for (let round = 0; round < 10; round++) {
      await db.empty();
      const writers = Array.from({ length: 8 }, async (_, writer) => {
        const own = [...events].sort((a, b) => hash(a, writer + round) - hash(b, writer + round));
        for (let from = 0; from < own.length; from += 9)
          await sideOf(writer).saveEvents(own.slice(from, from + 9), 10_000);
      });
      await Promise.all(writers);
      expect(await tables()).toEqual(expected);
      // The repository would send a victim's statement again: only Postgres knows whether there was one.
      const [stats] = await db.database.query<{ deadlocks: number }>(
        "select deadlocks::int as deadlocks from pg_stat_database where datname = current_database()",
        [],
        "count the deadlocks",
      );
      expect(stats?.deadlocks).toBe(0);
    }
  }, 60_000);
});

/** A number that orders items differently for each `salt`, the same on each run. */
const hash = (item: unknown, salt: number) => Bun.hash.crc32(`${salt} ${JSON.stringify(item)}`);
