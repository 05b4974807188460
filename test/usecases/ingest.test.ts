import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { SyncError } from "../../src/domain/error.ts";
import type { ConversationId } from "../../src/domain/ids.ts";
import type { EventsRepository } from "../../src/repository/events.ts";
import { createIngest, postsWaitingMax } from "../../src/usecases/ingest.ts";
import { createRecordingLog, openTestRepositories, systemClock } from "../support/test-repositories.ts";
import { bytesOf, delivery, inbound, secret, sign } from "../support/webhook-bodies.ts";

const t = 1_762_000_000_000;
const unavailable = () =>
  new SyncError("storage_unavailable", "Cannot store the messages: the database does not answer");
const refused = () =>
  new SyncError("statement_refused", "Cannot store the messages: Postgres refused the statement (22P05)");

describe("createIngest()", async () => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());
  beforeEach(() => db.empty());

  const make = (over: Partial<Pick<EventsRepository, "saveEvents" | "saveQuarantine">> = {}) => {
    const wanted: ConversationId[] = [];
    const recorded = createRecordingLog();
    const saves: number[] = [];
    const ingest = createIngest(
      {
        events: {
          saveEvents: (events, deadlineMs) => {
            saves.push(events.length);
            return (over.saveEvents ?? db.events.saveEvents)(events, deadlineMs);
          },
          saveQuarantine: over.saveQuarantine ?? db.events.saveQuarantine,
        },
        onWanted: (ids) => wanted.push(...ids),
        clock: systemClock,
        log: recorded.log,
      },
      { appSecrets: ["another", secret] },
    );
    const send = (body: Uint8Array) => ingest.receive(body, sign(body));
    return { ingest, send, wanted, saves, ...recorded };
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
    expect(await ingest.receive(body, null)).toBe("unsigned");
    expect(await ingest.receive(body, sign(body, "wrong"))).toBe("unsigned");
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

  test("answers unavailable while the database is away, and stores again when it is back", async () => {
    let away = true;
    const { send } = make({
      saveEvents: (events, deadlineMs) =>
        away ? Promise.reject(unavailable()) : db.events.saveEvents(events, deadlineMs),
    });
    const body = delivery([inbound("111", "m1", t)]);
    expect(await send(body)).toBe("unavailable");
    away = false;
    expect(await send(body)).toBe("kept");
    expect(await db.rows("conversations", "id")).toMatchObject([{ unread_count: 1 }]);
  });

  test("a database that is only slow holds a post 3 s at most: the commit under way and its own share a bound each", async () => {
    const virtual = { ms: 0 };
    const asked: number[] = [];
    const ingest = createIngest(
      {
        events: {
          // Every statement uses up all it was given, and then refuses a row, so that halves follow halves.
          saveEvents: async (_, deadlineMs) => {
            asked.push(deadlineMs);
            virtual.ms += deadlineMs;
            throw refused();
          },
          saveQuarantine: async () => {},
        },
        onWanted: () => {},
        clock: { nowMs: () => t, monotonicMs: () => virtual.ms, soon: systemClock.soon },
        log: createRecordingLog().log,
      },
      { appSecrets: [secret] },
    );
    const bodies = Array.from({ length: 20 }, (_, n) => delivery([inbound("111", `m${n}`, t + n)]));
    const told = await Promise.all(bodies.map((body) => ingest.receive(body, sign(body))));
    expect(told).toEqual(Array.from({ length: 20 }, () => "unavailable"));
    expect(virtual.ms).toBeLessThanOrEqual(3_000);
    expect(Math.max(...asked)).toBe(1_000);
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

  test(`sheds load beyond ${postsWaitingMax} waiting posts instead of growing without bound`, async () => {
    const gate = Promise.withResolvers<void>();
    const { ingest, send } = make({
      saveEvents: async () => {
        await gate.promise;
        return { inserted: 0, known: [], wanted: [] };
      },
    });
    const body = delivery([inbound("111", "m1", t)]);
    const receipts = Array.from({ length: postsWaitingMax + 11 }, () => send(body));
    expect(ingest.depth()).toBe(postsWaitingMax);
    gate.resolve();
    const told = await Promise.all(receipts);
    expect(told.filter((receipt) => receipt === "unavailable")).toHaveLength(11);
  });

  test("no word of a message stands in the log", async () => {
    const { send, lines } = make();
    await send(delivery([inbound("111", "m1", t, { text: "my private words" })]));
    expect(JSON.stringify(lines)).not.toContain("private");
  });
});
