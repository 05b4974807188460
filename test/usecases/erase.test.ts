import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import postgres from "postgres";
import { type AccountId, type ConversationId, type ParticipantId, parseAccountId } from "../../src/domain/ids.ts";
import type { NewAccount } from "../../src/repository/accounts.ts";
import {
  type EraseDependencies,
  type EraseInput,
  erase,
  keysPerStatement,
  writersLastMs,
} from "../../src/usecases/erase.ts";
import { replay } from "../../src/usecases/replay.ts";
import { removedMax } from "../../src/usecases/retention.ts";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import { openTestRepositories, systemClock, type TestRepositories } from "../support/test-repositories.ts";
import { account, bytesOf, delivery, echo, inbound, itemOf, secondAccount } from "../support/webhook-bodies.ts";

const t = 1_762_000_000_000;
const anna = "1129842642640637" as ParticipantId;
const ben = "2229842642640637" as ParticipantId;
const never = new AbortController().signal;
/** Pauses take no time here. */
const clock = { ...systemClock, after: (_: number, run: () => void) => systemClock.after(0, run) };
const nothing = { conversations: 0, messages: 0, reactions: 0, reads: 0, names: 0, events: 0, quarantined: 0 };
const tables = ["events", "messages", "reactions", "read_receipts", "conversations", "known_usernames", "quarantine"];

type Item = Record<string, unknown>;

/** Something of every kind about one person; `mark` tells their message ids apart. */
const itemsOf = (person: string, mark: string, at = t): Item[] => [
  inbound(person, `${mark}1`, at),
  itemOf(person, at + 1, { message_edit: { mid: `${mark}1`, text: "an edit", num_edit: 1 } }),
  echo(person, `${mark}2`, at + 2),
  itemOf(person, at + 3, { reaction: { mid: `${mark}2`, action: "react", reaction: "love", emoji: "❤️" } }),
  itemOf(account, at + 3, { reaction: { mid: `${mark}1`, action: "react", reaction: "love", emoji: "❤️" } }, person),
  itemOf(person, at + 4, { reaction: { mid: `${mark}-never-came`, action: "react", reaction: "love", emoji: "❤️" } }),
  itemOf(person, at + 5, { read: { mid: `${mark}2` } }),
  itemOf(person, at + 6, { referral: { ref: "r" } }),
  itemOf(person, at + 7, { message: { mid: `${mark}3`, is_deleted: true } }),
];
const comment = (person: string, at = t) =>
  bytesOf({
    object: "instagram",
    entry: [
      {
        id: account,
        time: at,
        changes: [
          {
            field: "comments",
            value: { id: `c${person}${at}`, timestamp: at, from: { id: person, username: "a.name" } },
          },
        ],
      },
    ],
  });
/** Of a field that nobody knows: filed under nobody. */
const unknownField = (person: string) =>
  bytesOf({
    object: "instagram",
    entry: [{ id: account, time: t, changes: [{ field: "novelty", value: { about: person } }] }],
  });

const save = async (db: TestRepositories, body: Uint8Array, nowMs = Date.now()) => {
  const { events, quarantined } = parseWebhook(body, nowMs);
  if (quarantined.length > 0) await db.events.saveQuarantine(quarantined, 10_000);
  return db.events.saveEvents(events, 10_000);
};
/** Everything that tells of a person, as text. */
const mentions = async (db: TestRepositories, person: string) => {
  const found: string[] = [];
  for (const table of tables) {
    const bodies = table === "quarantine" ? ", convert_from(r.body, 'LATIN1') as words" : "";
    for (const row of await db.database.query(`select r::text as row${bodies} from ${table} r`, [], "look"))
      if (JSON.stringify(row).includes(person)) found.push(`${table}: ${JSON.stringify(row)}`);
  }
  return found;
};

for (const kind of ["postgres", "embedded"] as const) {
  describe(`erase() on ${kind}`, async () => {
    const db = await openTestRepositories(kind);
    afterAll(() => db[Symbol.asyncDispose]());
    beforeEach(() => db.empty());

    const run = (over: Partial<EraseInput> = {}, more: Partial<EraseDependencies> = {}, signal = never) =>
      erase(
        { erasures: db.erasures, cache: { deleteProfiles: async () => true }, clock, ...more },
        { people: [anna], accountId: null, ...over },
        signal,
      );
    const fill = async () => {
      for (const [person, mark] of [
        [anna, "a"],
        [ben, "b"],
      ] as const) {
        await save(db, delivery(itemsOf(person, mark)));
        await save(db, comment(person));
        await save(db, unknownField(person));
        await save(db, Buffer.from(`{"broken": "${person}", "cafe": "é\\`));
      }
    };
    const all = async () =>
      Promise.all(
        tables.map((table) =>
          db.database
            .query(`select r::text from ${table} r order by 1`, [], "read")
            .then((rows) => JSON.stringify(rows)),
        ),
      );

    test("leaves nothing of a person in any table, and everybody else as they were", async () => {
      await fill();
      const others = await mentions(db, ben);
      const { removed, cacheCleared, interrupted } = await run();
      expect(removed).toEqual({
        conversations: 1,
        messages: 3,
        reactions: 3,
        reads: 1,
        names: 1,
        events: 11,
        quarantined: 1,
      });
      expect({ cacheCleared, interrupted }).toEqual({ cacheCleared: true, interrupted: false });
      expect(await mentions(db, anna)).toEqual([]);
      expect((await db.rows("reactions", "mid, sender_id")).map(({ mid }) => mid)).toEqual([
        "b-never-came",
        "b1",
        "b2",
      ]);
      expect(others.length).toBeGreaterThan(15);
      expect(await mentions(db, ben)).toEqual(others);
    });

    test("does nothing the second time, and tells of nobody in what it leaves behind", async () => {
      await fill();
      await run();
      const after = await all();
      expect((await run()).removed).toEqual(nothing);
      expect(await all()).toEqual(after);
      const marks = await db.rows("erasures", "person");
      expect(marks).toHaveLength(1);
      expect(JSON.stringify(marks)).not.toContain(anna);
    });

    test("keeps out what is sent again, alone or beside somebody else's news, and counts it as known", async () => {
      await fill();
      await run();
      const again = await save(db, delivery([...itemsOf(anna, "a"), inbound(ben, "b9", t + 9)]));
      expect({ inserted: again.inserted, known: again.known.length, wanted: again.wanted }).toEqual({
        inserted: 1,
        known: itemsOf(anna, "a").length,
        wanted: [`${account}_${ben}` as ConversationId],
      });
      await save(db, comment(anna));
      await save(db, Buffer.from(`{"broken": "${anna}", "cafe": "é\\`));
      expect(await mentions(db, anna)).toEqual([]);
    });

    test("keeps out what an unknown person did who was to be erased, and a message that was dated ahead", async () => {
      await run();
      await save(db, delivery([inbound(anna, "a1", t)]));
      expect(await mentions(db, anna)).toEqual([]);
      const ahead = Date.now() + 3_600_000;
      await db.accounts.saveAccount(shop);
      await save(db, delivery([inbound(ben, "b1", ahead)]));
      await run({ people: [ben] });
      await save(db, delivery([inbound(ben, "b1", ahead)]));
      expect(await mentions(db, ben)).toEqual([]);
    });

    test("takes what a person writes afterwards for new, whatever comes with it from before", async () => {
      await fill();
      await run();
      const later = Date.now() + 60_000;
      const saved = await save(
        db,
        delivery([
          inbound(anna, "a1", t),
          inbound(anna, "new", later),
          itemOf(anna, later + 1, { reaction: { mid: "new", action: "react", reaction: "love", emoji: "❤️" } }),
          // An old message that is edited only now: the edit is new, the message is not.
          itemOf(anna, later + 2, { message_edit: { mid: "a1", text: "edited", num_edit: 2 } }),
        ]),
      );
      expect(saved.wanted).toEqual([`${account}_${anna}` as ConversationId]);
      const [row] = await db.database.query(
        `select unread_count, participant_username, profile_status from conversations
         where participant_platform_id = '${anna}'`,
        [],
        "look",
      );
      expect(row).toEqual({ unread_count: 1, participant_username: null, profile_status: "pending" });
      expect(await db.rows("messages where mid in ('a1', 'new')", "mid")).toMatchObject([{ mid: "new" }]);
      expect(await db.rows("reactions where mid in ('a1', 'new')", "mid")).toHaveLength(1);
    });

    test("with an account, leaves what another account knows of the same id", async () => {
      await save(db, delivery([inbound(anna, "a1", t)]));
      await save(db, delivery([inbound(anna, "z1", t, {}, secondAccount)], secondAccount));
      await run({ accountId: parseAccountId(secondAccount) });
      expect(await db.rows("conversations", "id")).toMatchObject([{ account_id: account }]);
      expect(await db.rows("events", "event_key")).toMatchObject([{ account_id: account }]);
      await save(db, delivery([inbound(anna, "a2", t)]));
      await save(db, delivery([inbound(anna, "z2", t, {}, secondAccount)], secondAccount));
      expect((await db.rows("messages", "mid")).map(({ mid }) => mid)).toEqual(["a1", "a2"]);
    });

    test("goes in batches, ends after the one in hand when it is told to, and goes on the next time", async () => {
      await db.database.query(
        `insert into conversations (account_id, participant_platform_id, last_message_at)
         values ('${account}', '${anna}', now() - interval '1 day')`,
        [],
        "arrange",
      );
      await db.database.query(
        `insert into messages (account_id, mid, conversation_id, direction, has_content, sent_at)
         select '${account}', 'm' || n, '${account}_${anna}', 'inbound', true, now() - interval '1 day'
         from generate_series(1, ${2 * removedMax + 10}) n`,
        [],
        "arrange",
      );
      const stop = new AbortController();
      const eraseMessages: typeof db.erasures.eraseMessages = async (...asked) => {
        const step = await db.erasures.eraseMessages(...asked);
        stop.abort();
        return step;
      };
      const stopped = await run({}, { erasures: { ...db.erasures, eraseMessages } }, stop.signal);
      expect(stopped).toMatchObject({ interrupted: true, removed: { conversations: 1, messages: removedMax } });
      expect(await run()).toMatchObject({ interrupted: false, removed: { messages: removedMax + 10 } });
      expect(await mentions(db, anna)).toEqual([]);
    });

    test("takes a whole list of people at once", async () => {
      const many = Array.from({ length: keysPerStatement + 3 }, (_, at) => `9${at}` as ParticipantId);
      await save(db, delivery(many.map((person, at) => inbound(person, `m${at}`, t))));
      await save(db, delivery([inbound(ben, "b1", t)]));
      expect((await run({ people: many })).removed).toMatchObject({ conversations: many.length, events: many.length });
      expect((await db.rows("messages", "mid")).map(({ mid }) => mid)).toEqual(["b1"]);
    });

    test("waits for a lookup that is under way, whose answer then finds nobody", async () => {
      await save(db, delivery([inbound(anna, "a1", t)]));
      const id = `${account}_${anna}` as ConversationId;
      const [claim] = await db.lookups.claimLookups([id], true);
      if (claim?.kind !== "taken") throw new Error("not taken");
      const cached: string[] = [];
      const running = run(
        {},
        {
          clock: systemClock,
          cache: {
            deleteProfiles: async () => {
              cached.push("deleted");
              return true;
            },
          },
        },
      );
      await Bun.sleep(200);
      expect(await mentions(db, anna)).not.toEqual([]);
      cached.push("saved");
      await db.lookups.releaseLookups([claim.lookup]);
      expect((await running).removed.conversations).toBe(1);
      expect(cached).toEqual(["saved", "deleted"]);
      const profile = {
        participantId: anna,
        username: "anna",
        name: "Anna",
        pictureUrl: null,
        pictureExpiresAtMs: null,
      };
      const outcome = { kind: "found", source: "graph", profile: { ...profile, fetchedAtMs: Date.now() } } as const;
      expect(await db.lookups.saveOutcomes([{ lookup: claim.lookup, outcome }])).toEqual([]);
      expect(await mentions(db, anna)).toEqual([]);
    });

    test("does not bring a person back by a replay that had read their events before", async () => {
      await fill();
      await db.database.query("delete from messages", [], "arrange");
      await db.database.query("delete from conversations", [], "arrange");
      await db.database.query("delete from reactions", [], "arrange");
      await db.database.query("delete from read_receipts", [], "arrange");
      // The erasure falls between the reading of the page and the writing.
      let erased = false;
      const between = async () => {
        if (!erased) await run();
        erased = true;
      };
      await replay(
        {
          replays: {
            ...db.replays,
            saveMessages: async (found) => {
              await between();
              return db.replays.saveMessages(found);
            },
          },
          clock,
        },
        { accountId: null, sinceMs: null, dryRun: false, retentionDays: 10_000 },
        { signal: never, onProgress: () => {}, onDifference: () => {} },
      );
      expect(erased).toBe(true);
      expect(await mentions(db, anna)).toEqual([]);
      expect(await db.rows(`conversations where participant_platform_id = '${ben}'`, "id")).toHaveLength(1);
    });

    test("does not bring a person back by a backfill that lists them", async () => {
      await db.accounts.saveAccount(shop);
      await fill();
      await run();
      const listed = await db.inbox.saveListedNames({
        accountId: shop.id,
        people: [{ participantId: anna, username: "anna" }],
        askedAtMs: Date.now(),
        namedReasons: [],
        startedAtMs: Date.now(),
        place: null,
      });
      expect(listed).toEqual({ lost: false, changed: 0, missing: [], imported: 0 });
      const thread = {
        accountId: shop.id,
        participantId: anna,
        username: "anna",
        lastMessageAtMs: t,
        lastInboundAtMs: t,
      };
      const message = { mid: "a1", direction: "inbound", text: "hello", attachments: null, replyToMid: null } as const;
      const messages = [{ ...message, unsupported: false, sentAtMs: t }];
      expect(await db.inbox.importConversation({ ...thread, messages })).toBe(false);
      expect(await mentions(db, anna)).toEqual([]);
    });

    test("loses nothing that a person writes while they are erased", async () => {
      await fill();
      await db.database.query("update conversations set participant_username = 'anna'", [], "arrange");
      const later = Date.now() + 60_000;
      let written = false;
      const eraseConversations: typeof db.erasures.eraseConversations = async (...asked) => {
        if (!written) await save(db, delivery([inbound(anna, "new", later)]));
        written = true;
        return db.erasures.eraseConversations(...asked);
      };
      await run({}, { erasures: { ...db.erasures, eraseConversations } });
      const rows = await db.rows(`conversations where participant_platform_id = '${anna}'`, "id");
      expect(rows).toMatchObject([{ unread_count: 1, participant_username: null, profile_status: "pending" }]);
      expect(rows[0]?.next_attempt_at).not.toBeNull();
      expect(await db.rows("messages where mid like 'a%' or mid = 'new'", "mid")).toMatchObject([{ mid: "new" }]);
      expect(await db.rows(`events where participant_id = '${anna}'`, "mid")).toMatchObject([{ mid: "new" }]);
    });

    test("says where the cache did not answer", async () => {
      expect(await run({}, { cache: { deleteProfiles: async () => false } })).toMatchObject({ cacheCleared: false });
    });
  });
}

describe("erase()", () => {
  test("waits for whoever has been writing since before the mark, and removes what they wrote", async () => {
    await using db = await openTestRepositories();
    const other = postgres(db.url ?? "", { max: 1, onnotice: () => {} });
    await using _ = { [Symbol.asyncDispose]: () => other.end() };
    const [written, finish] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const writing = other.begin(async (sql) => {
      await sql`insert into events (account_id, event_key, kind, participant_id, occurred_at, raw)
        values (${account}, 'message:m1', 'message', ${anna}, now(), '{}')`;
      written.resolve();
      await finish.promise;
    });
    await written.promise;
    let ended = false;
    const cache = { deleteProfiles: async () => true };
    const erasing = erase({ erasures: db.erasures, cache, clock }, { people: [anna], accountId: null }, never);
    void erasing.finally(() => {
      ended = true;
    });
    await Bun.sleep(200);
    expect(ended).toBe(false);
    finish.resolve();
    await writing;
    expect((await erasing).removed).toEqual({ ...nothing, events: 1 });
    expect(await db.rows("events", "event_key")).toEqual([]);
  });

  test("gives up on a session that never ends, and says so", async () => {
    const erasures = { ...deadErasures, listWriters: async () => new Set(["3/7"]) };
    let nowMs = 0;
    const fast = { after: systemClock.after, monotonicMs: () => (nowMs += writersLastMs) };
    const cache = { deleteProfiles: async () => true };
    const erasing = erase({ erasures, cache, clock: fast }, { people: [anna], accountId: null }, never);
    expect(erasing).rejects.toThrow("Cannot finish the erasure: another session has been writing for 30 s");
  });
});

/** Nothing of it may be called once nobody can be sure. */
const refuse = () => Promise.reject(new Error("Called"));
const deadErasures: EraseDependencies["erasures"] = {
  lookupLeaseMs: 1,
  saveErasures: async () => [],
  listWriters: refuse,
  listAccountIds: refuse,
  eraseConversations: refuse,
  eraseMessages: refuse,
  eraseMarks: refuse,
  eraseEvents: refuse,
  eraseReactions: refuse,
  eraseQuarantine: refuse,
};

const shop: NewAccount = {
  ...{ id: parseAccountId(account) as AccountId, ownId: "shop", login: "instagram", pageId: null },
  ...{ appScopedId: null, username: null, token: "IGAAtoken", tokenExpiresAtMs: null },
};
