import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import type { InboundEvent } from "../../src/domain/event.ts";
import { type AccountId, parseAccountId } from "../../src/domain/ids.ts";
import type { Difference } from "../../src/repository/difference.ts";
import { eventsPageSize, type ReplayDependencies, type ReplayInput, replay } from "../../src/usecases/replay.ts";
import type { Outcome } from "../../src/usecases/replay-tally.ts";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import { openTestRepositories, systemClock } from "../support/test-repositories.ts";
import { account, delivery, echo, inbound, itemOf, secondAccount } from "../support/webhook-bodies.ts";

const nowMs = 1_763_000_000_000;
const t = 1_762_000_000_000;
const anna = "1129842642640637";
const unchanged = { messages: 0, reactions: 0, read_receipts: 0, conversations: 0 };
const tables = ["events", "messages", "reactions", "read_receipts", "conversations", "accounts", "quarantine"] as const;

type Item = Record<string, unknown>;
const read = (items: readonly Item[], of = account): readonly InboundEvent[] =>
  parseWebhook(delivery(items, of), nowMs).events;
const idOf = (text: string): AccountId => parseAccountId(text) ?? (undefined as never);

/** Something of every kind, about three people. */
const items = (): Item[] => [
  inbound(anna, "m1", t, { attachments: [{ type: "image", payload: { url: "https://x" } }], reply_to: { mid: "m0" } }),
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
  inbound("222", "m5:1", t + 11),
  itemOf("222", t + 12, { message_edit: { mid: "m5:1", text: "of another", num_edit: 1 } }),
  itemOf("222", t + 13, { reaction: { mid: "m5", action: "react", reaction: "love", emoji: "❤️" } }),
  itemOf(anna, t + 12, { referral: { ref: "r" } }),
  itemOf("333", t + 14, { message: { mid: "m6", is_deleted: true } }),
  {
    sender: { id: account },
    recipient: { id: account },
    timestamp: t + 15,
    message: { mid: "note", text: "note to self", is_echo: true, is_self: true },
  },
];

for (const kind of ["postgres", "embedded"] as const) {
  describe(`replay() on ${kind}`, async () => {
    const db = await openTestRepositories(kind);
    afterAll(() => db[Symbol.asyncDispose]());
    beforeEach(() => db.empty());

    const save = (sent: readonly Item[], of?: string) => db.events.saveEvents(read(sent, of), 10_000);
    const sql = (text: string) => db.database.query(text, [], "arrange");
    const run = async (
      over: Partial<ReplayInput> = {},
      { replays, signal }: { replays?: Partial<ReplayDependencies["replays"]>; signal?: AbortSignal } = {},
    ) => {
      const differences: (Difference & { outcome: Outcome })[] = [];
      const report = await replay(
        { replays: { ...db.replays, ...replays }, clock: systemClock },
        { accountId: null, sinceMs: null, dryRun: false, retentionDays: 30, ...over },
        {
          signal: signal ?? new AbortController().signal,
          onProgress: () => {},
          onDifference: (difference, outcome) => differences.push({ ...difference, outcome }),
        },
      );
      const count = (name: "different" | "missing" | "corrected" | "changedMeanwhile") =>
        Object.fromEntries(Object.entries(report.tables).map(([table, row]) => [table, row[name]]));
      return { report, differences, count };
    };
    const checksums = async () =>
      Object.fromEntries(
        await Promise.all(
          tables.map(async (table) => {
            const [row] = await db.database.query<{ sum: string; versions: string }>(
              `select coalesce(md5(string_agg(t::text, chr(10) order by t::text)), '') as sum,
                 coalesce(string_agg(t.xmin::text, ' ' order by t::text), '') as versions from ${table} t`,
              [],
              "sum up",
            );
            return [table, row] as const;
          }),
        ),
      );
    /** The tables without what is of the moment. */
    const derived = async () => ({
      messages: await db.rows("messages", "account_id, mid"),
      reactions: await db.rows("reactions", "account_id, mid, sender_id"),
      reads: await db.rows("read_receipts", "account_id, participant_id"),
      conversations: (await db.rows("conversations", "id")).map(({ created_at, next_attempt_at, ...row }) => ({
        ...row,
        armed: next_attempt_at !== null,
      })),
    });

    test("finds nothing to say of what a daemon filed, however its deliveries were cut and repeated", async () => {
      let seed = 11;
      const chance = () => {
        seed = (seed * 48_271) % 2_147_483_647;
        return seed / 2_147_483_647;
      };
      for (let round = 0; round < 10; round++) {
        await db.empty();
        const sent = [...items(), ...items().filter(() => chance() < 0.3)].sort(() => chance() - 0.5);
        while (sent.length > 0) await save(sent.splice(0, 1 + Math.floor(chance() * 4)));
        const before = await checksums();
        const { report, differences } = await run();
        expect(differences).toEqual([]);
        expect(report).toMatchObject({ unreadable: {}, interrupted: false, conversationsCompared: true });
        expect(report.tables.messages.checked).toBe(8);
        expect(await checksums()).toEqual(before);
      }
    }, 60_000);

    test("makes everything that is missing, and finds nothing the second time", async () => {
      await save(items());
      await sql("update conversations set profile_status = 'pending'");
      const before = await derived();
      await sql("truncate messages, reactions, read_receipts, conversations");
      const first = await run();
      expect(first.count("missing")).toEqual({ messages: 8, reactions: 2, read_receipts: 1, conversations: 3 });
      expect(first.count("corrected")).toEqual({ messages: 8, reactions: 2, read_receipts: 1, conversations: 3 });
      expect(await derived()).toEqual(before);
      const second = await run();
      expect(second.differences).toEqual([]);
    });

    test("a conversation that it makes is due for a lookup, one with the account itself or of echoes alone is not", async () => {
      await save([...items(), echo("444", "e1", t)]);
      await sql("truncate conversations");
      await run();
      const rows = await db.rows("conversations", "participant_platform_id");
      expect(rows.map((row) => [row.participant_platform_id, row.next_attempt_at !== null, row.self])).toEqual([
        [anna, true, false],
        [account, false, true],
        ["222", true, false],
        ["444", false, false],
      ]);
    });

    test("corrects every column of a message, names those that differ, and never shows what was written", async () => {
      await save(items());
      const before = await derived();
      await sql(`update messages set conversation_id = 'x_y', direction = 'outgoing', has_content = false,
        text = 'wrong words', attachments = '[1]', reply_to_mid = 'zz', unsupported = true, sent_at = now(),
        edit_number = 9, deleted_at = now() where mid = 'm1'`);
      const { differences } = await run();
      const [first] = differences;
      expect(first?.table).toBe("messages");
      expect(first?.columns).toHaveLength(10);
      expect(first?.stored).toMatchObject({ text: "11 characters", edit_number: 9, reply_to_mid: "zz" });
      expect(first?.derived).toMatchObject({
        text: "11 characters",
        sent_at: new Date(t).toISOString(),
        deleted_at: null,
      });
      expect(JSON.stringify(differences)).not.toContain("wrong words");
      expect(JSON.stringify(differences)).not.toContain("second edit");
      expect(await derived()).toEqual(before);
      expect((await run()).differences).toEqual([]);
    });

    test("corrects what conversations owe their messages", async () => {
      await save(items());
      const before = await derived();
      await sql(
        "update conversations set last_message_at = now(), last_inbound_at = null, unread_count = 77, self = not self where self",
      );
      await sql(
        "update conversations set last_message_at = '2020-01-01', last_inbound_at = now(), unread_count = 77 where not self",
      );
      const { count } = await run();
      expect(count("corrected")).toEqual({ ...unchanged, conversations: 3 });
      expect(await derived()).toEqual(before);
    });

    test("brings reactions and receipts forward and never back", async () => {
      await save(items());
      const before = await derived();
      await sql("update reactions set reaction = 'wow', reacted_at = '2020-01-01'");
      await sql("update read_receipts set mid = null, read_at = '2020-01-01'");
      const { count, differences } = await run();
      expect(count("corrected")).toEqual({ ...unchanged, reactions: 2, read_receipts: 1 });
      expect(differences[0]).toMatchObject({ columns: expect.arrayContaining(["reacted_at"]), outcome: "corrected" });
      expect(await derived()).toEqual(before);
      await sql("update reactions set reacted_at = now()");
      await sql("update read_receipts set read_at = now()");
      expect((await run()).differences).toEqual([]);
    });

    test("a dry run says the same and writes nothing", async () => {
      await save(items());
      await sql("delete from messages where mid in ('m1', 'm5')");
      await sql("update messages set text = 'x', sent_at = now() where mid = 'm2'");
      await sql("update messages set conversation_id = 'x_y' where mid = 'm4'");
      await sql("delete from conversations where participant_platform_id = '222'");
      await sql("truncate reactions");
      const before = await checksums();
      const wet = (list: readonly (Difference & { outcome: Outcome })[]) => list.map(({ outcome, ...rest }) => rest);
      const dry = await run({ dryRun: true });
      expect(await checksums()).toEqual(before);
      expect(dry.differences.every(({ outcome }) => outcome === "found")).toBe(true);
      const real = await run();
      const sorted = (list: readonly Difference[]) => list.map((one) => JSON.stringify(one)).sort();
      expect(sorted(wet(dry.differences))).toEqual(sorted(wet(real.differences)));
      expect(real.count("corrected")).toEqual({ messages: 4, reactions: 2, read_receipts: 0, conversations: 1 });
      expect((await run({ dryRun: true })).differences).toEqual([]);
    });

    test("takes nothing from a message because retention took its events", async () => {
      await save(items());
      await sql("update events set received_at = now() - interval '29 days'");
      await sql(
        "delete from events where event_key in ('message:m1', 'edit:m1:2', 'deletion:m3', 'message:m2', 'postback:m4', 'message:m5')",
      );
      const before = await checksums();
      expect((await run()).differences).toEqual([]);
      expect(await checksums()).toEqual(before);
    });

    test("an unsend or an edit whose event is left still reaches a message whose own event is gone", async () => {
      await save(items());
      const before = await derived();
      await sql("update events set received_at = now() - interval '29 days'");
      await sql("delete from events where event_key in ('message:m1', 'edit:m1:1', 'message:m3')");
      await sql("update messages set text = 'before the edit', edit_number = 0 where mid = 'm1'");
      await sql("update messages set text = 'unsent words', deleted_at = null where mid = 'm3'");
      const { count } = await run();
      expect(count("corrected")).toEqual({ ...unchanged, messages: 2 });
      expect(await derived()).toEqual(before);
      expect((await run()).differences).toEqual([]);
    });

    test("what a daemon writes between comparing and correcting stays, and is told", async () => {
      await save(items());
      await sql("update messages set text = 'wrong' where mid in ('m2', 'm5')");
      await sql("delete from messages where mid = 'm4'");
      const { count, differences } = await run(
        {},
        {
          replays: {
            saveMessages: async (corrections) => {
              await save([itemOf("222", t + 20, { message_edit: { mid: "m5", text: "newer", num_edit: 3 } })]);
              await sql(`insert into messages (account_id, mid, conversation_id, direction, has_content, sent_at)
              values ('${account}', 'm4', 'x_z', 'inbound', false, now())`);
              return db.replays.saveMessages(corrections);
            },
          },
        },
      );
      expect(count("corrected")).toMatchObject({ messages: 1 });
      expect(count("changedMeanwhile")).toMatchObject({ messages: 2 });
      expect(differences.find(({ key }) => key.mid === "m5")?.outcome).toBe("changed_meanwhile");
      expect((await db.rows("messages", "mid")).find((row) => row.mid === "m5")).toMatchObject({ text: "newer" });
      await run();
      expect((await run()).differences).toEqual([]);
    });

    test("a message that is filed while conversations are compared is not counted twice", async () => {
      await save(items());
      await sql("update conversations set unread_count = 70");
      let filed = false;
      const { count } = await run(
        {},
        {
          replays: {
            saveConversations: async (corrections) => {
              if (!filed) await save([inbound("222", "m9", t + 30)]);
              filed = true;
              return db.replays.saveConversations(corrections);
            },
          },
        },
      );
      expect(count("changedMeanwhile")).toMatchObject({ conversations: 1 });
      expect((await run()).count("corrected")).toMatchObject({ conversations: 1 });
      const rows = await db.rows("conversations", "participant_platform_id");
      expect(rows.find((row) => row.participant_platform_id === "222")).toMatchObject({ unread_count: 3 });
    });

    test("keeps to one account, and to what came since", async () => {
      await save(items());
      await save([inbound(anna, "n1", t, {}, secondAccount)], secondAccount);
      await sql("update events set received_at = now() - interval '3 hours' where event_key <> 'edit:m1:1'");
      const break_ = () => sql("update messages set text = 'wrong' where mid in ('m1', 'm5', 'n1')");
      const mids = (list: readonly Difference[]) => list.map(({ key }) => key.mid).sort();
      await break_();
      expect(mids((await run({ accountId: idOf(secondAccount) })).differences)).toEqual(["n1"]);
      await break_();
      const since = await run({ sinceMs: Date.now() - 3_600_000 });
      expect(mids(since.differences)).toEqual(["m1"]);
      expect(since.report).toMatchObject({ events: 1, tables: { conversations: { checked: 1 } } });
      expect(mids((await run({ accountId: idOf(account) })).differences)).toEqual(["m5"]);
      expect(mids((await run()).differences)).toEqual(["n1"]);
    });

    test("over many pages each row is compared and told once", async () => {
      const many = eventsPageSize * 2 + 50;
      const person = (n: number) => String(5000 + (n % 40));
      const at = Array.from({ length: many }, (_, n) => n);
      for (const of_ of [
        at.map((n) => inbound(person(n), `k${n}`, t + n)),
        at
          .filter((n) => n % 3 === 0)
          .map((n) => itemOf(person(n), t + n, { message_edit: { mid: `k${n}`, text: "e", num_edit: 1 } })),
        at
          .filter((n) => n % 5 === 0)
          .map((n) => itemOf(person(n), t + n, { message: { mid: `k${n}`, is_deleted: true } })),
        at.map((n) => itemOf(anna, t + n, { read: { mid: `k${n}`, watermark: t + n } })),
        at.map((n) => itemOf(anna, t + n, { reaction: { mid: "k1", action: "react", reaction: `r${n}` } })),
      ])
        await save(of_);
      const clean = await run();
      expect(clean.differences).toEqual([]);
      expect(clean.report.tables).toMatchObject({ messages: { checked: many }, conversations: { checked: 40 } });
      await sql("truncate messages, reactions, read_receipts, conversations");
      const { count } = await run({ dryRun: true });
      expect(count("missing")).toEqual({ messages: many, reactions: 1, read_receipts: 1, conversations: 40 });
      const real = await run();
      expect(real.count("corrected")).toEqual({ messages: many, reactions: 1, read_receipts: 1, conversations: 40 });
      expect((await run()).differences).toEqual([]);
    }, 60_000);

    test("tells of events that nobody can read, and goes on", async () => {
      await save(items());
      await sql("update events set raw = '{' where event_key in ('message:m5', 'edit:m1:1')");
      await sql("update events set raw = '{}' where kind = 'read'");
      const { report, differences } = await run();
      expect(report.unreadable).toEqual({ not_json: 2, participant_unclear: 2 });
      expect(differences).toEqual([]);
    });

    test("ends after the page in hand when it is told to", async () => {
      await save(items());
      const stop = new AbortController();
      await sql("update messages set text = 'wrong' where mid = 'm5'");
      const { report, count } = await run(
        {},
        {
          signal: stop.signal,
          replays: {
            listEvents: async (...asked) => {
              const page = await db.replays.listEvents(...asked);
              stop.abort();
              return page;
            },
          },
        },
      );
      expect(report).toMatchObject({ interrupted: true, events: items().length });
      expect(count("corrected")).toMatchObject({ messages: 1 });
      expect(report.tables.conversations.checked).toBe(0);
    });
  });
}

describe("replay() on postgres beside writing daemons", async () => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());

  test("loses nothing they write, counts nothing twice, and ends without a difference", async () => {
    const people = Array.from({ length: 12 }, (_, n) => `90${n}`);
    const sent = people.flatMap((person, n) =>
      Array.from({ length: 12 }, (_, m) => [
        inbound(person, `c${n}-${m}`, t + n + m),
        itemOf(person, t + 100 + m, { message_edit: { mid: `c${n}-${m}`, text: `edited ${m}`, num_edit: 1 } }),
        itemOf(person, t + 200 + m, { reaction: { mid: `c${n}-${m}`, action: "react", reaction: "love" } }),
        itemOf(person, t + 300 + m, { read: { mid: `c${n}-${m}` } }),
        ...(m % 3 === 0 ? [itemOf(person, t + 500 + m, { message: { mid: `c${n}-${m}`, is_deleted: true } })] : []),
      ]).flat(),
    );
    const filed = async () => ({
      messages: await db.rows("messages", "account_id, mid"),
      reactions: await db.rows("reactions", "mid, sender_id"),
      reads: await db.rows("read_receipts", "participant_id"),
      conversations: (await db.rows("conversations", "id")).map(
        ({ id, unread_count, last_message_at, last_inbound_at }) => ({
          id,
          unread_count,
          last_message_at,
          last_inbound_at,
        }),
      ),
    });
    await db.events.saveEvents(read(sent), 10_000);
    const expected = await filed();
    await db.empty();
    let writing = true;
    const writers = [0, 1, 2].map(async (writer) => {
      const own = [...sent].sort((a, b) => hash(a, writer) - hash(b, writer));
      for (let from = 0; from < own.length; from += 7)
        await db.events.saveEvents(read(own.slice(from, from + 7)), 10_000);
    });
    const all = Promise.all(writers).finally(() => {
      writing = false;
    });
    const once = () =>
      replay(
        { replays: db.replays, clock: systemClock },
        { accountId: null, sinceMs: null, dryRun: false, retentionDays: 30 },
        { signal: new AbortController().signal, onProgress: () => {}, onDifference: () => {} },
      );
    const replays = [0, 1].map(async () => {
      while (writing) {
        await db.database
          .query("update messages set text = 'wrong' where mid like 'c1-%'", [], "break")
          .catch(() => {});
        await db.database
          .query(
            "update conversations set unread_count = unread_count + 7 where participant_platform_id = '903'",
            [],
            "break",
          )
          .catch(() => {});
        await once();
      }
    });
    await Promise.all([all, ...replays]);
    await once();
    expect(await filed()).toEqual(expected);
    expect((await once()).tables.messages).toMatchObject({ missing: 0, different: 0 });
  }, 60_000);
});

/** A number that orders items differently for each `salt`, the same on each run. */
const hash = (item: unknown, salt: number) => Bun.hash.crc32(`${salt} ${JSON.stringify(item)}`);

describe("the statements of replay() on a filled postgres", async () => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());

  test("walk the primary keys and never a whole table", async () => {
    await db.database.query(
      `insert into events (account_id, event_key, kind, mid, occurred_at, raw, received_at)
       select '${account}', k || ':k' || n || case when k = 'edit' then ':1' else '' end, k, 'k' || n, now(), '{}', now() - n * interval '10 s'
       from generate_series(1, 60000) n, unnest(array['message', 'edit']) k`,
      [],
      "fill",
    );
    await db.database.query(
      `insert into messages (account_id, mid, conversation_id, direction, has_content, sent_at)
       select '${account}', 'k' || n, '${account}_' || n % 2000, 'inbound', true, now() from generate_series(1, 60000) n`,
      [],
      "fill",
    );
    await db.database.query(
      `insert into conversations (account_id, participant_platform_id, last_message_at) select '${account}', n::text, now() from generate_series(0, 1999) n`,
      [],
      "fill",
    );
    await db.database.query("analyze", [], "analyze");
    const text = (name: string) => Bun.file(`${import.meta.dir}/../../sql/queries/${name}.sql`).text();
    const planOf = async (name: string, parameters: readonly (string | number | null)[]) => {
      const sql = await text(name);
      const literal = (value: string | number | null) =>
        value === null ? "null" : typeof value === "number" ? String(value) : `'${value.replaceAll("'", "''")}'`;
      const filled = sql
        .replaceAll(/^--.*$/gm, "")
        .replaceAll(/\$(\d+)/g, (_, n) => literal(parameters[Number(n) - 1] ?? null));
      const rows = await db.database.query<{ "QUERY PLAN": string }>(`explain ${filled}`, [], "explain");
      return rows.map((row) => row["QUERY PLAN"]).join("\n");
    };
    const keys = JSON.stringify(Array.from({ length: 500 }, (_, n) => ({ account_id: account, mid: `k${n}` })));
    const ids = JSON.stringify(Array.from({ length: 200 }, (_, n) => `${account}_${n}`));
    const plans = [
      await planOf("list-replay-events", [null, null, 9e12, account, "message:k3", 500]),
      await planOf("list-replay-events", [account, Date.now() - 3_600_000, 9e12, account, "", 500]),
      await planOf("list-replay-messages", [keys, 100, null, 9e12]),
      await planOf("list-conversation-ids", [account, `${account}~`, 200]),
      await planOf("compare-conversations", [ids, "[]"]),
      await planOf("correct-messages", [keys]),
    ];
    for (const plan of plans) {
      expect(plan).not.toMatch(/Seq Scan on (events|messages|conversations)/);
      expect(plan).toMatch(/Index|Bitmap/);
    }
    expect(plans[0]).toContain("events_pkey");
    expect(plans[2]).toContain("events_pkey");
  }, 60_000);
});
