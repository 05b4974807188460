import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { SyncError } from "../../src/domain/error.ts";
import type { ConversationId } from "../../src/domain/ids.ts";
import type { EventsRepository } from "../../src/repository/events.ts";
import type { SpoolReceipt, SpoolRecord } from "../../src/spool/spool.ts";
import {
  bytesWaitingMax,
  commitBoundMs,
  createIngest,
  floodLastsMs,
  postsCommittingMax,
  postsInFloodMax,
  postsSpoolingMax,
} from "../../src/usecases/ingest.ts";
import { createStore } from "../../src/usecases/store.ts";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import { createRecordingLog, openTestRepositories, systemClock } from "../support/test-repositories.ts";
import { account, bytesOf, delivery, inbound, secret, sign } from "../support/webhook-bodies.ts";

const t = 1_762_000_000_000;
const unavailable = () =>
  new SyncError("storage_unavailable", "Cannot store the messages: the database does not answer");
const refused = () =>
  new SyncError("statement_refused", "Cannot store the messages: Postgres refused the statement (22P05)");

const signed = (body: Uint8Array, appSecret = secret) => new Headers({ "X-Hub-Signature-256": sign(body, appSecret) });

const noLookups = { hasRoomFor: () => false, takeUp() {}, wake() {}, wakeLost() {} };

describe("createIngest()", async () => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());
  beforeEach(() => db.empty());

  const make = (
    over: Partial<Pick<EventsRepository, "saveEvents" | "saveQuarantine">> = {},
    spoolAnswers: () => Promise<SpoolReceipt> = async () => "kept",
    { spoolFirst = false, startsAway = false } = {},
  ) => {
    const wanted: ConversationId[] = [];
    const recorded = createRecordingLog();
    const saves: number[] = [];
    const spooled: SpoolRecord[] = [];
    const told = { shed: 0, door: [] as boolean[] };
    const time = { passedMs: 0 };
    const store = createStore({
      events: {
        saveEvents: (events, deadlineMs) => {
          saves.push(events.length);
          return (over.saveEvents ?? db.events.saveEvents)(events, deadlineMs);
        },
        saveQuarantine: over.saveQuarantine ?? db.events.saveQuarantine,
      },
      lookups: { ...noLookups, wake: (ids) => wanted.push(...ids) },
      onQuarantined: () => {},
      clock: systemClock,
      log: recorded.log,
    });
    const ingest = createIngest(
      {
        store,
        spool: {
          append: (record) => {
            spooled.push(record);
            return spoolAnswers();
          },
        },
        onShed: () => {
          told.shed += 1;
        },
        onFull: (full) => told.door.push(full),
        clock: { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + time.passedMs },
        log: recorded.log,
      },
      { appSecrets: ["another", secret], spoolFirst, startsAway },
    );
    const send = (body: Uint8Array) => ingest.receive(body, signed(body));
    return { ingest, send, wanted, saves, spooled, told, time, ...recorded };
  };

  test("says kept only once the rows are committed", async () => {
    const gate = Promise.withResolvers<void>();
    const { send } = make({
      saveEvents: async (events, deadlineMs) => {
        await gate.promise;
        return db.events.saveEvents(events, deadlineMs);
      },
    });
    let answered = false;
    const receipt = send(delivery([inbound("111", "m1", t)])).finally(() => {
      answered = true;
    });
    await Bun.sleep(30);
    expect(answered).toBe(false);
    gate.resolve();
    expect(await receipt).toBe("kept");
    expect(await db.rows("messages", "mid")).toHaveLength(1);
  });

  test("stores nothing of an unsigned body", async () => {
    const { ingest, saves } = make();
    const body = delivery([inbound("111", "m1", t)]);
    expect(await ingest.receive(body, new Headers())).toBe("unsigned");
    expect(await ingest.receive(body, signed(body, "wrong"))).toBe("unsigned");
    expect(saves).toEqual([]);
  });

  test("posts of one burst share a commit, and posts that arrive while commits are under way share the next one", async () => {
    const gate = Promise.withResolvers<void>();
    const { send, saves, messages } = make({
      saveEvents: async (events, deadlineMs) => {
        await gate.promise;
        return db.events.saveEvents(events, deadlineMs);
      },
    });
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    const burst = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, n) => send(delivery([inbound(`1${from + n}`, `m${from + n}`, t + n)])));
    const bursts = [burst(0, 20)];
    await turn();
    bursts.push(burst(20, 50));
    await turn();
    for (const from of [50, 100, 150]) {
      bursts.push(burst(from, from + 50));
      await turn();
    }
    expect(saves).toEqual([20, 30]);
    gate.resolve();
    expect(new Set(await Promise.all(bursts.flat()))).toEqual(new Set(["kept"]));
    expect(saves).toEqual([20, 30, 150]);
    expect(messages().filter((message) => message === "Message processed")).toHaveLength(200);
    expect(await db.rows("messages", "mid")).toHaveLength(200);
  });

  test("one row that Postgres refuses is set aside alone, its neighbours are stored", async () => {
    const { send, messages } = make({
      saveEvents: (events, deadlineMs) =>
        events.some((event) => event.mid === "poison")
          ? Promise.reject(refused())
          : db.events.saveEvents(events, deadlineMs),
    });
    const posts = Array.from({ length: 50 }, (_, n) =>
      delivery([inbound("111", n === 31 ? "poison" : `m${n}`, t + n)]),
    );
    expect(new Set(await Promise.all(posts.map(send)))).toEqual(new Set(["kept"]));
    expect(await db.rows("messages", "mid")).toHaveLength(49);
    expect(await db.rows("quarantine", "id")).toMatchObject([{ reason: "row_refused" }]);
    expect(messages()).toContain("Webhook item set aside: Postgres refused its row");
  });

  test("while the database is away posts go to the spool, with every header but keys, until it is said to be back", async () => {
    let away = true;
    const { ingest, send, spooled, saves } = make({
      saveEvents: (events, deadlineMs) =>
        away ? Promise.reject(unavailable()) : db.events.saveEvents(events, deadlineMs),
    });
    const body = delivery([inbound("111", "m1", t)]);
    const headers = signed(body);
    headers.set("Facebook-API-Version", "v23.0");
    headers.set("Cookie", "private=1");
    headers.set("Authorization", "Bearer private");
    expect(await ingest.receive(body, headers)).toBe("kept");
    expect(ingest.isAway()).toBe(true);
    expect(spooled).toHaveLength(1);
    expect(Buffer.from(spooled[0]?.body ?? [])).toEqual(Buffer.from(body));
    expect(new Map(spooled[0]?.headers).get("facebook-api-version")).toBe("v23.0");
    expect(JSON.stringify(spooled[0]?.headers)).not.toContain("private");
    expect(await send(body)).toBe("kept");
    expect(saves).toEqual([1]); // the second post lost no time on the database
    expect(spooled).toHaveLength(2);
    away = false;
    ingest.resume();
    expect(await send(body)).toBe("kept");
    expect(spooled).toHaveLength(2);
    expect(await db.rows("conversations", "id")).toMatchObject([{ unread_count: 1 }]);
  });

  test("where the database was away at the start none asks it, until it is said to be back", async () => {
    const { ingest, send, saves, spooled } = make({}, async () => "kept", { startsAway: true });
    expect(await send(delivery([inbound("111", "m1", t)]))).toBe("kept");
    expect([saves.length, spooled.length, ingest.isAway()]).toEqual([0, 1, true]);
    ingest.resume();
    expect(await send(delivery([inbound("111", "m2", t)]))).toBe("kept");
    expect([saves.length, spooled.length, ingest.isAway()]).toEqual([1, 1, false]);
  });

  test("posts that wait when a commit fails go to the spool with it, none tries by itself", async () => {
    const gate = Promise.withResolvers<void>();
    const { send, saves, spooled } = make({
      saveEvents: async () => {
        await gate.promise;
        throw unavailable();
      },
    });
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    const receipts: Promise<string>[] = [];
    for (let n = 0; n < 6; n++) {
      receipts.push(send(delivery([inbound("111", `m${n}`, t + n)])));
      await turn();
    }
    gate.resolve();
    expect(new Set(await Promise.all(receipts))).toEqual(new Set(["kept"]));
    expect(spooled).toHaveLength(6);
    expect(saves).toEqual([1, 1]); // the two commits under way
  });

  test.each(["full", "unwritable"] as const)("a spool that is %s means: send again", async (answer) => {
    const { send, ingest } = make({ saveEvents: () => Promise.reject(unavailable()) }, async () => answer);
    expect(await send(delivery([inbound("111", "m1", t)]))).toBe("unavailable");
    expect(ingest.depth()).toBe(0);
  });

  test("a disk that does not answer holds a sender for its bound only, and its bytes stay counted", async () => {
    const disk = Promise.withResolvers<SpoolReceipt>();
    const { send, ingest } = make({ saveEvents: () => Promise.reject(unavailable()) }, () => disk.promise);
    expect(await send(delivery([inbound("111", "m1", t)]))).toBe("unavailable");
    expect(ingest.depth()).toBe(1);
    disk.resolve("kept");
    await Bun.sleep(1);
    expect(ingest.depth()).toBe(0);
  });

  test("with a database that does not flush, every post goes to the spool and none to the database", async () => {
    const { send, saves, spooled } = make({}, async () => "kept", { spoolFirst: true });
    expect(await send(delivery([inbound("111", "m1", t)]))).toBe("kept");
    expect(await send(Buffer.from("{"))).toBe("kept");
    expect(saves).toEqual([]);
    expect(spooled).toHaveLength(2);
  });

  test("who is met for the first time is leased by the commit while there is room, and given back where the commit failed", async () => {
    const told = { leased: 0, lost: [] as ConversationId[], room: true, away: false };
    const store = createStore({
      events: {
        saveEvents: (...given) => (told.away ? Promise.reject(unavailable()) : db.events.saveEvents(...given)),
        saveQuarantine: async () => {},
      },
      lookups: {
        hasRoomFor: () => told.room,
        takeUp: ({ lookups }) => {
          told.leased += lookups.length;
        },
        wake: (ids) => void wanted.push(...ids),
        wakeLost: (ids) => void told.lost.push(...ids),
      },
      ...{ onQuarantined: () => {}, clock: systemClock, log: createRecordingLog().log },
    });
    const wanted: ConversationId[] = [];
    const send = (...items: Record<string, unknown>[]) =>
      store.store([parseWebhook(delivery(items), t)], { statementMs: 5_000, allMs: 5_000 });
    await send(inbound("111", "m1", t), inbound("222", "m2", t));
    expect(told.leased).toBe(2);
    told.room = false;
    await send(inbound("333", "m3", t));
    expect([told.leased, wanted.length]).toEqual([2, 1]);
    told.away = true;
    await send(inbound("444", "m4", t)).catch(() => {});
    expect(told.lost).toEqual([]); // nothing was to be leased
    told.room = true;
    await send(inbound("444", "m5", t)).catch(() => {});
    expect(told.lost).toEqual([`${account}_444` as ConversationId]);
  });

  test("a commit that splits has one bound for all of its statements, then its posts go to the spool", async () => {
    const virtual = { ms: 0 };
    const asked: number[] = [];
    const store = createStore({
      events: {
        // Every statement uses up all it was given, and then refuses a row, so that halves follow halves.
        saveEvents: async (_, deadlineMs) => {
          asked.push(deadlineMs);
          virtual.ms += deadlineMs;
          throw refused();
        },
        saveQuarantine: async () => {},
      },
      lookups: noLookups,
      onQuarantined: () => {},
      clock: { monotonicMs: () => virtual.ms },
      log: createRecordingLog().log,
    });
    const deliveries = Array.from({ length: 20 }, (_, n) =>
      parseWebhook(delivery([inbound("111", `m${n}`, t + n)]), t),
    );
    const bounds = { statementMs: commitBoundMs, allMs: commitBoundMs };
    expect(store.store(deliveries, bounds)).rejects.toMatchObject({ code: "storage_unavailable" });
    expect(virtual.ms).toBe(commitBoundMs);
    expect(asked).toEqual([commitBoundMs]);
  });

  test("keeps what it cannot read and says kept, so that Instagram does not send it for ever", async () => {
    const { send } = make();
    expect(await send(Buffer.from("{"))).toBe("kept");
    expect(await send(bytesOf({ object: "instagram", entry: [3] }))).toBe("kept");
    expect((await db.rows("quarantine", "id")).map((row) => row.reason)).toEqual(["not_json", "item_not_an_object"]);
  });

  test("an unknown account's message is kept and its person is wanted", async () => {
    const { send, wanted } = make();
    await send(delivery([inbound("111", "m1", t, {}, "17849999999999999")], "17849999999999999"));
    expect(wanted).toEqual(["17849999999999999_111" as ConversationId]);
  });

  test("beyond the posts that may wait for their commit all go to the spool, beyond those of the disk they are refused, until the flood is over", async () => {
    const database = Promise.withResolvers<void>();
    const disk = Promise.withResolvers<SpoolReceipt>();
    const { ingest, send, spooled, told, time } = make(
      {
        saveEvents: async () => {
          await database.promise;
          return { inserted: 0, known: [], wanted: [], leased: null };
        },
      },
      () => disk.promise,
    );
    const body = delivery([inbound("111", "m1", t)]);
    const receipts = Array.from({ length: postsCommittingMax + postsInFloodMax }, () => send(body));
    expect(spooled).toHaveLength(postsInFloodMax);
    expect([ingest.isFull(), ingest.isFlooded()]).toEqual([true, true]);
    expect(await send(body)).toBe("unavailable");
    expect(told).toEqual({ shed: 2, door: [true] });
    time.passedMs += 700;
    expect([ingest.isShut(), ingest.shutMs() >= 700]).toEqual([true, true]);
    expect(ingest.depth()).toBe(postsCommittingMax + postsInFloodMax);
    database.resolve();
    disk.resolve("kept");
    expect(new Set(await Promise.all(receipts))).toEqual(new Set(["kept"]));
    expect(told.door).toEqual([true, false]);
    const shutMs = ingest.shutMs();
    time.passedMs += 100; // no longer shut, still a flood
    expect([ingest.isShut(), ingest.shutMs()]).toEqual([false, shutMs]);
    expect([ingest.isFull(), ingest.isFlooded(), ingest.depth()]).toEqual([false, true, 0]);
    time.passedMs += floodLastsMs;
    expect(ingest.isFlooded()).toBe(false);
    expect(await send(body)).toBe("kept");
    expect(spooled).toHaveLength(postsInFloodMax);
  });

  test("in an outage more may wait for the disk than in a flood, until they are too many", async () => {
    const disk = Promise.withResolvers<SpoolReceipt>();
    const answers = [Promise.resolve<SpoolReceipt>("kept")];
    const { ingest, send, spooled } = make(
      {
        saveEvents: async () => {
          throw new Error("gone");
        },
      },
      () => answers.pop() ?? disk.promise,
    );
    const body = delivery([inbound("111", "m1", t)]);
    expect(await send(body)).toBe("kept");
    expect([ingest.isAway(), ingest.isFlooded()]).toEqual([true, false]);
    const receipts = Array.from({ length: postsSpoolingMax }, () => send(body));
    expect(spooled).toHaveLength(1 + postsSpoolingMax);
    expect([ingest.isFull(), ingest.isFlooded()]).toEqual([true, true]);
    disk.resolve("kept");
    expect(new Set(await Promise.all(receipts))).toEqual(new Set(["kept"]));
    expect(ingest.isFull()).toBe(false);
  });

  test("a flood with a spool that has no room is the database's as far as it goes", async () => {
    const database = Promise.withResolvers<void>();
    const { send, saves } = make(
      {
        saveEvents: async () => {
          await database.promise;
          return { inserted: 0, known: [], wanted: [], leased: null };
        },
      },
      async () => "full",
    );
    const body = delivery([inbound("111", "m1", t)]);
    const receipts = Array.from({ length: postsCommittingMax }, () => send(body));
    expect(await send(body)).toBe("unavailable"); // the spool said full
    expect(await send(body)).toBe("unavailable"); // as many as may wait do so
    database.resolve();
    expect(new Set(await Promise.all(receipts))).toEqual(new Set(["kept"]));
    expect(await send(body)).toBe("kept");
    expect(saves.at(-1)).toBe(1);
  });

  test("sheds load beyond the bytes that may wait", async () => {
    const { ingest, send } = make({ saveEvents: () => new Promise(() => {}) });
    const body = delivery([inbound("111", "m1", t, { text: "x".repeat(4_000_000) })]);
    const fit = Math.floor(bytesWaitingMax / body.length); // fewer than the posts that may wait
    for (let n = 0; n < fit; n++) void send(body);
    expect(ingest.depth()).toBe(fit);
    expect(await send(body)).toBe("unavailable");
  });

  test("no word of a message stands in the log", async () => {
    const { send, lines } = make();
    await send(delivery([inbound("111", "m1", t, { text: "my private words" })]));
    expect(JSON.stringify(lines)).not.toContain("private");
  });
});
