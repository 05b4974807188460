import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Redis } from "ioredis";
import type { Lane } from "../../src/budget/ledger.ts";
import { openRedisLedger } from "../../src/budget/redis-ledger.ts";
import { createSharedLedger, redisRetryEveryMs } from "../../src/budget/shared-ledger.ts";
import { createLog } from "../../src/lib/log.ts";
import { waitUntil } from "../support/bounded-wait.ts";
import type { RedisServer } from "../support/redis-server.ts";
import { openRedis } from "../support/services.ts";
import { createFakeClock, type FakeClock } from "./fake-clock.ts";
import { createLedgerClock, testTimeoutMs } from "./ledgers.ts";

setDefaultTimeout(60_000);

const plain = { share: 1, spacingMs: 0, perRequest: 1, firstCalls: 1 } as const;
const hourMs = 3_600_000;
const foundWithinMs = 20_000;
const rules = { windowMs: hourMs, ceiling: 100 };

describe("createSharedLedger()", () => {
  let server: RedisServer;
  let clock: FakeClock;
  let closings: (() => void | PromiseLike<void>)[] = [];
  beforeEach(async () => {
    server = await openRedis();
    clock = createFakeClock();
  });
  afterEach(async () => {
    for (const close of closings) await close();
    closings = [];
    await server[Symbol.asyncDispose]();
  });

  /** A process of `daemons`; its calls are answered at once. */
  async function openProcess(daemons: number) {
    const lines: string[] = [];
    const log = createLog("log", (level, message) => void lines.push(`${level} ${message}`));
    const redisClock = { ...createLedgerClock(clock), random: Math.random };
    const ledger = await openRedisLedger({
      ...rules,
      url: server.url,
      timeoutMs: testTimeoutMs,
      clock: redisClock,
      serverMs: clock.nowMs,
    });
    const shared = createSharedLedger({ ...rules, ledger, countDaemons: async () => daemons, clock, log });
    closings.push(shared.close, () => ledger[Symbol.asyncDispose]());
    const make = async (calls: number, lane: Lane = "live") => {
      const request = { pool: "shop", lane, calls, id: `${Math.random()}`, ...plain };
      const { granted } = await shared.take(request);
      if (granted > 0) await shared.settle({ ...request, callsMade: granted, usage: null, throttle: null });
      return granted;
    };
    const used = async () => (await shared.snapshot("shop")).used;
    const isBack = () => lines.filter((line) => line.startsWith("log")).length;
    /** Lets the virtual seconds between two tries pass until Redis has been found. */
    const comeBack = async (times: number) => {
      await waitUntil(
        async () => {
          clock.advance(redisRetryEveryMs);
          return isBack() === times;
        },
        foundWithinMs,
        "The shared book is not found again",
      );
    };
    return { make, used, lines, comeBack, shared };
  }

  test("shares one allowance between two processes", async () => {
    const [one, two] = [await openProcess(2), await openProcess(2)];
    expect([await one.make(1), await two.make(59), await one.make(59), await two.make(10)]).toEqual([1, 59, 40, 0]);
  });

  test("goes on with its part without Redis, warns once, and is back by itself with what it did", async () => {
    const [one, two] = [await openProcess(2), await openProcess(2)];
    await one.make(1);
    await one.make(9);
    clock.advance(hourMs / 60);
    await two.make(10);
    clock.advance(hourMs / 60);
    expect(await one.make(10)).toBe(10);
    expect(await two.used()).toBe(30); // as its look does, every so often
    await server.stop("immediate");
    // Half of the 100 for each, of which half of the 30 are gone.
    expect([await one.make(100), await two.make(100)]).toEqual([35, 35]);
    expect(await one.make(100)).toBe(0);
    expect(one.lines.map((line) => line.slice(0, 35))).toEqual(["warn Rate budget in Redis is away, "]);
    await server.start(); // empty: it has forgotten
    await Promise.all([one.comeBack(1), two.comeBack(1)]);
    expect(await one.used()).toBe(100);
    clock.advance(10_000);
    expect([await one.make(5), await two.make(5)]).toEqual([0, 0]);
    expect(one.lines).toHaveLength(2);
  });

  test("tells a Redis that has forgotten without a break what it held", async () => {
    const one = await openProcess(1);
    await one.make(1);
    clock.advance(hourMs / 60);
    await one.make(60);
    const direct = new Redis(server.url);
    closings.push(() => direct.disconnect());
    await direct.flushdb();
    expect(await one.make(100)).toBe(39);
    expect(await one.used()).toBe(100);
  });

  test("keeps a stop through the loss of Redis", async () => {
    const one = await openProcess(1);
    const request = { pool: "shop", lane: "live", calls: 1, id: "first", ...plain } as const;
    await one.shared.take(request);
    const throttle = { scope: "account", resumeInMs: hourMs } as const;
    await one.shared.settle({ ...request, callsMade: 1, usage: null, throttle });
    expect(await one.make(1)).toBe(0);
    await server.stop("immediate");
    clock.advance(hourMs / 2);
    expect(await one.make(1)).toBe(0);
    await server.start();
    await one.comeBack(1);
    expect(await one.make(1)).toBe(0);
    expect((await one.shared.snapshot("shop")).accountStopMs).toBeGreaterThan(hourMs / 3);
  });
});
