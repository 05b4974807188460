import { describe, expect, test } from "bun:test";
import {
  type AccountId,
  type ConversationId,
  conversationIdOf,
  type ParticipantId,
  parseAccountId,
  parseParticipantId,
} from "../../src/domain/ids.ts";
import type { Clock } from "../../src/lib/clock.ts";
import type { Leased } from "../../src/repository/events.ts";
import {
  createDispatcher,
  queuedForMs,
  queuedJobsMax,
  waitingMax,
  windowBoundMs,
  windowMax,
  windowsInFlight,
} from "../../src/usecases/dispatch.ts";
import type { EnrichResult } from "../../src/usecases/enrich.ts";
import { createFakeClock } from "../budget/fake-clock.ts";
import { createManualClock } from "../cli/manual-clock.ts";
import { createRecordingLog, systemClock } from "../support/test-repositories.ts";

const accountId = parseAccountId("17841400000000001") as AccountId;
const idOf = (n: number): ConversationId =>
  conversationIdOf(accountId, parseParticipantId(`${1000 + n}`) as ParticipantId);
const ids = (count: number) => Array.from({ length: count }, (_, n) => idOf(n));
const done: EnrichResult = { kind: "skipped", why: "done" };
const later = (retryInMs: number): EnrichResult => ({
  kind: "later",
  reason: "server_error",
  attempts: 1,
  retryInMs,
  evidence: null,
});

const leasedOf = (count: number): Leased => ({
  lookups: ids(count).map((conversationId, n) => ({
    ...{ conversationId, accountId, participantId: parseParticipantId(`${1000 + n}`) as ParticipantId },
    ...{ leaseToken: `${n}`, seenInboundAt: null, username: null, stored: null, attempts: 0 },
  })),
  readAccess: () => ({ reading: Promise.resolve([]) }),
});

function make(
  enrichOne: (id: ConversationId) => Promise<EnrichResult> | EnrichResult,
  due: () => ConversationId[] = () => [],
  clock: Clock = systemClock,
  depth = 0,
  releasesFail = 0,
) {
  const released: (readonly ConversationId[])[] = [];
  const windows: number[] = [];
  const leases: number[] = [];
  const signals: AbortSignal[] = [];
  const queued: { ids: readonly ConversationId[]; delayMs: number; lane: string }[] = [];
  const lanes: string[] = [];
  const stop = new AbortController();
  const recorded = createRecordingLog();
  let handle: (ids: readonly ConversationId[], lane: string) => Promise<void> = async () => {};
  const dispatcher = createDispatcher(
    {
      enrich: async (asked, { signal, lane, leased = [] }) => {
        leases.push(leased.length);
        lanes.push(lane);
        windows.push(asked.length);
        signals.push(signal);
        return new Map(await Promise.all(asked.map(async (id) => [id, await enrichOne(id)] as const)));
      },
      queue: {
        depth: async () => depth,
        addLookups: async (asked, delayMs, lane) => void queued.push({ ids: asked, delayMs, lane }),
        work: (given) => {
          handle = given;
        },
      },
      lookups: {
        listDue: async () => due(),
        releaseClaimed: async (asked) => {
          if (released.push(asked) < releasesFail + 1) throw new Error("Postgres is away");
          return asked.length;
        },
      },
      clock,
      log: recorded.log,
    },
    { stopTaking: stop.signal, abort: stop.signal },
  );
  return {
    dispatcher,
    windows,
    leases,
    signals,
    queued,
    stop,
    lanes,
    released,
    work: (asked: ConversationId[], lane = "live") => handle(asked, lane),
    ...recorded,
  };
}

describe("createDispatcher()", () => {
  test("looks a new person up at once, without the queue", async () => {
    const { dispatcher, windows, queued } = make(() => done);
    dispatcher.wake([idOf(1)]);
    await dispatcher.settle();
    expect(windows).toEqual([1]);
    expect(queued).toEqual([]);
  });

  test("a person who waits already is not taken twice", async () => {
    const gate = Promise.withResolvers<EnrichResult>();
    const { dispatcher, windows } = make(() => gate.promise);
    for (let n = 0; n < 100; n++) dispatcher.wake([idOf(1)]);
    gate.resolve(done);
    await dispatcher.settle();
    expect(windows).toEqual([1]);
    dispatcher.wake([idOf(1)]);
    await dispatcher.settle();
    expect(windows).toEqual([1, 1]);
  });

  test("packs people who wait into windows, and bounds how many are under way", async () => {
    const gate = Promise.withResolvers<EnrichResult>();
    const { dispatcher, windows } = make(() => gate.promise);
    dispatcher.wake(ids(windowMax * (windowsInFlight + 2)));
    expect(windows).toEqual(Array.from({ length: windowsInFlight }, () => windowMax));
    gate.resolve(done);
    for (let n = 0; n < 5; n++) await dispatcher.settle();
    expect(windows).toHaveLength(windowsInFlight + 2);
  });

  test("people beyond the memory's bound go to the queue", () => {
    const gate = Promise.withResolvers<EnrichResult>();
    const { dispatcher, queued } = make(() => gate.promise);
    dispatcher.wake(ids(waitingMax + 25));
    expect(queued.map((job) => job.ids.length)).toEqual([25]);
    gate.resolve(done);
  });

  test("a second attempt goes to the queue with its pause", async () => {
    const { dispatcher, queued } = make(() => later(3_900));
    dispatcher.wake([idOf(1)]);
    await dispatcher.settle();
    expect(queued).toEqual([{ ids: [idOf(1)], delayMs: 4_000, lane: "live" }]);
  });

  test("people who wait for Graph or a limit come back together, whichever windows they were in, and to the tables at a stop", async () => {
    const clock = createFakeClock();
    const pause = (n: number): EnrichResult => ({
      ...{ kind: "later", reason: n % 2 ? "graph_away" : "throttled", attempts: 0, evidence: null },
      retryInMs: 30_001 + n * 15, // up to 1.5 s apart
    });
    const { dispatcher, queued, stop } = make(
      (id) => pause(Number(id.split("_")[1]) - 1000),
      () => [],
      clock,
    );
    for (const id of ids(100)) {
      dispatcher.wake([id]);
      await dispatcher.settle();
    }
    expect(dispatcher.sizes()).toEqual({ waiting: 0, known: 100, pauses: 1, inFlight: 0 });
    dispatcher.wake(ids(100)); // in hand
    expect(queued).toEqual([]);
    clock.advance(32_000);
    expect(queued).toEqual([{ ids: ids(100), delayMs: 0, lane: "live" }]);

    dispatcher.wake([idOf(200)]);
    await dispatcher.settle();
    stop.abort();
    await dispatcher.settle();
    clock.advance(120_000);
    expect(queued).toHaveLength(1);
  });

  test("the sweep at the start takes up whom queue and memory lost, once", async () => {
    const { dispatcher, queued, work, windows, stop } = make(
      () => done,
      () => ids(3),
    );
    dispatcher.start();
    await Bun.sleep(10);
    expect(queued).toEqual([{ ids: ids(3), delayMs: 0, lane: "refresh" }]);
    await work(ids(3));
    expect(windows).toEqual([3]);
    stop.abort();
    await dispatcher.settle();
  });

  test("a backlog goes behind who writes now, and stays there at its second attempt", async () => {
    const { dispatcher, queued, work, lanes, stop } = make(
      () => later(1_000),
      () => ids(3),
    );
    dispatcher.start();
    await Bun.sleep(10);
    await work(ids(3), queued[0]?.lane);
    dispatcher.wake([idOf(4)]);
    await dispatcher.settle();
    expect(lanes).toEqual(["refresh", "live"]);
    expect(queued.slice(1).map(({ lane }) => lane)).toEqual(["refresh", "live"]);
    await work(ids(1), "a name of another version");
    expect(lanes.at(-1)).toBe("refresh");
    stop.abort();
    await dispatcher.settle();
  });

  test("a sweep leaves alone whom the queue has, and takes up again whom it lost", async () => {
    const virtual = { ms: 1_000 };
    const { dispatcher, queued, stop } = make(
      () => done,
      () => ids(2),
      { ...systemClock, monotonicMs: () => virtual.ms },
    );
    await dispatcher.sweep();
    await dispatcher.sweep();
    expect(queued).toHaveLength(1);
    virtual.ms += queuedForMs;
    await dispatcher.sweep();
    expect(queued).toEqual([
      { ids: ids(2), delayMs: 0, lane: "refresh" },
      { ids: ids(2), delayMs: 0, lane: "refresh" },
    ]);
    stop.abort();
    await dispatcher.settle();
  });

  test("a sweep adds nothing to a queue that is full: it would find the same people", async () => {
    const { dispatcher, queued } = make(
      () => done,
      () => ids(2),
      systemClock,
      queuedJobsMax + 1,
    );
    await dispatcher.sweep();
    expect(queued).toEqual([]);
  });

  test("a window that never ends is given up before its leases run out, and its people can be taken again", async () => {
    const bounds: (() => void)[] = [];
    const given = Promise.withResolvers<EnrichResult>();
    const { dispatcher, windows, signals } = make(
      () => given.promise,
      () => [],
      {
        ...systemClock,
        after: (delayMs, run) => {
          expect(delayMs).toBe(windowBoundMs);
          bounds.push(run);
          return () => {};
        },
      },
    );
    dispatcher.wake([idOf(1)]);
    expect(signals[0]?.aborted).toBe(false);
    bounds[0]?.();
    expect(signals[0]?.aborted).toBe(true);
    given.resolve(done);
    await dispatcher.settle();
    dispatcher.wake([idOf(1)]);
    expect(windows).toEqual([1, 1]);
  });

  test("gives back what a failed window may have leased, once the database takes that", async () => {
    const { clock, advance } = createManualClock();
    const { dispatcher, released } = make(
      () => Promise.reject(new Error("Cannot claim profile lookups: its reply was lost")),
      () => [],
      clock,
      0,
      2,
    );
    dispatcher.wake(ids(3));
    await dispatcher.settle();
    expect(released).toEqual([]);
    for (const tries of [1, 2, 3, 3]) {
      advance(2_000);
      await Bun.sleep(0);
      expect(released).toHaveLength(tries);
    }
    expect(released.at(-1)).toEqual(ids(3));
  });

  test("people who were leased on their way are asked for at once, beside those who wait, and are claimed by nobody", async () => {
    const lastly = Promise.withResolvers<EnrichResult>();
    const { dispatcher, windows, leases } = make(() => lastly.promise);
    expect(dispatcher.hasRoomFor(windowsInFlight * windowMax)).toBe(true);
    expect(dispatcher.hasRoomFor(windowsInFlight * windowMax + 1)).toBe(false);
    dispatcher.takeUp(leasedOf(windowMax + 1));
    expect(windows).toEqual([windowMax, 1]);
    expect(leases).toEqual([windowMax, 1]);
    dispatcher.wake(ids(windowMax + 1)); // in hand already
    expect(windows).toHaveLength(2);
    expect(dispatcher.hasRoomFor((windowsInFlight - 2) * windowMax)).toBe(true);
    expect(dispatcher.hasRoomFor((windowsInFlight - 2) * windowMax + 1)).toBe(false);
    dispatcher.wake(Array.from({ length: windowsInFlight * windowMax }, (_, n) => idOf(1_000 + n)));
    expect(dispatcher.hasRoomFor(1)).toBe(false); // somebody waits
    lastly.resolve(done);
    await dispatcher.settle();
  });

  test("nobody is leased on the way once it stops", () => {
    const { dispatcher, stop } = make(() => done);
    stop.abort();
    expect(dispatcher.hasRoomFor(1)).toBe(false);
  });

  test("people whom a lost commit may have leased are given back and asked for again", async () => {
    const { clock, advance } = createManualClock();
    const { dispatcher, released, windows, leases } = make(
      () => done,
      () => [],
      clock,
      0,
      1,
    );
    dispatcher.wakeLost(ids(2));
    for (const tries of [1, 2]) {
      expect(windows).toEqual([]);
      expect(dispatcher.hasRoomFor(1)).toBe(false); // who comes meanwhile is claimed, if at all
      advance(2_000);
      await Bun.sleep(0);
      expect(released).toHaveLength(tries);
    }
    expect(windows).toEqual([2]);
    expect(dispatcher.hasRoomFor(1)).toBe(true);
    expect(leases).toEqual([0]);
    await dispatcher.settle();
  });

  test("a database that is away costs a line, and the next sweep takes over", async () => {
    const { dispatcher, messages } = make(() => Promise.reject(new Error("Cannot claim profile lookups: away")));
    dispatcher.wake([idOf(1)]);
    await dispatcher.settle();
    expect(messages()).toEqual(["Lookups left to the next sweep: Cannot claim profile lookups: away"]);
  });

  test("after the stop nothing new begins", async () => {
    const { dispatcher, windows, stop } = make(() => done);
    stop.abort();
    dispatcher.wake([idOf(1)]);
    await dispatcher.settle();
    expect(windows).toEqual([]);
  });
});
