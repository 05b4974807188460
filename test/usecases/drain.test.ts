import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { SyncError } from "../../src/domain/error.ts";
import type { SpoolBatch, SpoolRecord } from "../../src/spool/spool.ts";
import { createDrain } from "../../src/usecases/drain.ts";
import { createStore } from "../../src/usecases/store.ts";
import { until } from "../support/program.ts";
import { createRecordingLog, openTestRepositories, systemClock } from "../support/test-repositories.ts";
import { delivery, inbound } from "../support/webhook-bodies.ts";

const t = 1_762_000_000_000;
const away = () => new SyncError("storage_unavailable", "Cannot store the messages: the database does not answer");

/** The spool's reading side, in memory. */
function createListSpool(bodies: readonly Uint8Array[]) {
  const records: SpoolRecord[] = bodies.map((body, n) => ({ receivedAtMs: t + n, headers: [], body }));
  const seen = { confirmed: 0, trims: 0, sizes: [] as number[], adopted: 0 };
  const open = new Map<SpoolBatch, number>();
  return {
    seen,
    push: (body: Uint8Array) => records.push({ receivedAtMs: t, headers: [], body }),
    spool: {
      read: async (limit: { records: number; bytes: number }): Promise<SpoolBatch | null> => {
        const part = records.slice(seen.confirmed, seen.confirmed + limit.records);
        if (part.length === 0) return null;
        seen.sizes.push(part.length);
        const batch = { records: part } as SpoolBatch; // its place is the spool's own affair
        open.set(batch, part.length);
        return batch;
      },
      confirm: (batch: SpoolBatch) => {
        seen.confirmed += open.get(batch) ?? 0;
      },
      trim: async () => {
        seen.trims += 1;
      },
      adopt: async () => {
        seen.adopted += 1;
        return 0;
      },
    },
  };
}

describe("createDrain()", async () => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());
  beforeEach(() => db.empty());

  type Over = { save?: typeof db.events.saveEvents; flush?: () => Promise<void> };
  const make = (bodies: readonly Uint8Array[], { save = db.events.saveEvents, flush }: Over = {}) => {
    const recorded = createRecordingLog();
    const list = createListSpool(bodies);
    const state = { away: true, flooded: false, resumed: 0 };
    const store = createStore({
      events: { saveEvents: save, saveQuarantine: db.events.saveQuarantine },
      lookups: { hasRoomFor: () => false, takeUp() {}, wake() {}, wakeLost() {} },
      onQuarantined: () => {},
      clock: systemClock,
      log: recorded.log,
    });
    const stop = new AbortController();
    const ingest = {
      isAway: () => state.away,
      isFlooded: () => state.flooded,
      resume: () => {
        state.away = false;
        state.resumed += 1;
      },
    };
    const drain = createDrain(
      { spool: list.spool, store, ingest, flush: flush ?? null, clock: systemClock, log: recorded.log },
      { stopTaking: stop.signal },
    );
    const end = async () => {
      stop.abort();
      await drain.settle(5_000);
    };
    return { drain, ...list, state, end, ...recorded };
  };
  const bodiesOf = (count: number) =>
    Array.from({ length: count }, (_, n) => delivery([inbound(`${100 + (n % 7)}`, `m${n}`, t + n)]));

  test("brings everything in, in batches, says that the database is back, and cleans up", async () => {
    const { drain, seen, state, end } = make(bodiesOf(1_000));
    drain.start();
    await until(() => seen.trims > 0 && seen.confirmed === 1_000, 10_000);
    await end();
    expect(await db.rows("messages", "mid")).toHaveLength(1_000);
    expect(state.away).toBe(false);
    expect(Math.max(...seen.sizes)).toBeLessThanOrEqual(256);
  });

  test("tries again for as long as the database is away, and loses nothing", async () => {
    let failures = 5;
    const { drain, seen, state, end, messages } = make(bodiesOf(10), {
      save: async (events, deadlineMs) => {
        if (failures-- > 0) throw away();
        return await db.events.saveEvents(events, deadlineMs);
      },
    });
    drain.start();
    await until(() => seen.confirmed === 10, 10_000);
    await end();
    expect(state.resumed).toBeGreaterThan(0);
    expect(messages()).toContain("Spool drains again");
    expect(await db.rows("messages", "mid")).toHaveLength(10);
  });

  test("with nothing spooled it asks whether the database takes writes, and only then says so", async () => {
    let readOnly = true;
    const { drain, state, end } = make([], {
      save: async (events, deadlineMs) => {
        if (readOnly) throw away();
        return await db.events.saveEvents(events, deadlineMs);
      },
    });
    drain.start();
    await Bun.sleep(250);
    expect(state.away).toBe(true);
    readOnly = false;
    await until(() => !state.away, 5_000);
    await end();
  });

  test("one delivery that can never be stored is set aside whole, its neighbours are stored", async () => {
    const { drain, seen, end, messages } = make(bodiesOf(9), {
      save: async (events, deadlineMs) => {
        if (events.some((event) => event.mid === "m4")) throw new Error("a bug of ours");
        return await db.events.saveEvents(events, deadlineMs);
      },
    });
    drain.start();
    await until(() => seen.confirmed === 9, 20_000);
    await end();
    expect(await db.rows("messages", "mid")).toHaveLength(8);
    const [row] = await db.rows("quarantine", "id");
    expect(Buffer.from(row?.body as Uint8Array).toString()).toContain("m4");
    expect(messages()).toContain("Spooled delivery set aside: it cannot be stored");
  });

  test("wakes for what is spooled now, and at the end brings in what is left", async () => {
    const { drain, seen, push, end } = make([]);
    drain.start();
    await until(() => seen.sizes.length === 0 && seen.adopted === 0, 1_000);
    push(delivery([inbound("111", "now", t)]));
    drain.wake();
    await until(() => seen.confirmed === 1, 900); // it would have slept for a second
    push(delivery([inbound("111", "last", t)]));
    await end();
    expect(seen.confirmed).toBe(2);
  });

  test("brings nothing in at the end where it was never started", async () => {
    const { seen, state, end } = make(bodiesOf(3));
    await end();
    expect([seen.confirmed, state.resumed]).toEqual([0, 0]);
    expect(await db.rows("messages", "mid")).toHaveLength(0);
  });

  test("a database that does not flush is flushed before anything is removed", async () => {
    const order: string[] = [];
    const { drain, seen, spool, end } = make(bodiesOf(3), { flush: async () => void order.push("flush") });
    const { trim } = spool;
    spool.trim = () => {
      order.push("trim");
      return trim();
    };
    drain.start();
    await until(() => seen.confirmed === 3, 5_000);
    expect(seen.trims).toBe(0);
    await end();
    expect(order).toEqual(["flush", "trim"]);
  });

  test("waits while more comes than the database follows", async () => {
    const { drain, seen, state, end } = make(bodiesOf(3));
    state.flooded = true;
    drain.start();
    await Bun.sleep(250);
    expect(seen.confirmed).toBe(0);
    state.flooded = false;
    await until(() => seen.confirmed === 3, 5_000);
    await end();
  });

  test("a stop with the database away ends in time and leaves the rest", async () => {
    const { drain, seen, end, messages } = make(bodiesOf(3), { save: () => Promise.reject(away()) });
    drain.start();
    await Bun.sleep(50);
    await end();
    expect(seen.confirmed).toBe(0);
    expect(messages()).toContain("Spool left for the next start");
  });
});
