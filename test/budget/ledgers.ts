/** The two books, behind one door: what is promised of one is promised of the other. */
import type { Ledger, LedgerRules } from "../../src/budget/ledger.ts";
import { createMemoryLedger } from "../../src/budget/memory-ledger.ts";
import { openRedisLedger } from "../../src/budget/redis-ledger.ts";
import { openTestRedis } from "../support/test-services.ts";
import { createFakeClock, type FakeClock } from "./fake-clock.ts";

export type OpenedLedger = AsyncDisposable & { readonly ledger: Ledger; readonly clock: FakeClock };
export type OpenLedger = (rules: LedgerRules, options?: { seed?: number }) => Promise<OpenedLedger>;

/** A machine under load answers late: a command of a test gets longer than one of the product. */
export const testTimeoutMs = 10_000;

/** Chance that is none: what a book draws must not change the story that a test tells with its own. */
const middle = () => 0.5;

/** Redis' connection runs on real time; only what the book reads stands still until it is told. */
export function createLedgerClock(clock: FakeClock) {
  return {
    monotonicMs: clock.monotonicMs,
    random: middle,
    after: (delayMs: number, run: () => void) => {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
  };
}

const openMemory: OpenLedger = async (rules, { seed = 1 } = {}) => {
  const clock = createFakeClock({ seed });
  return {
    ledger: createMemoryLedger(rules, { ...clock, random: middle }),
    clock,
    [Symbol.asyncDispose]: async () => {},
  };
};

const openRedis: OpenLedger = async (rules, { seed = 1 } = {}) => {
  const clock = createFakeClock({ seed });
  const redis = await openTestRedis();
  const ledger = await openRedisLedger({
    ...rules,
    url: redis.url,
    timeoutMs: testTimeoutMs,
    clock: createLedgerClock(clock),
    serverMs: clock.nowMs,
  });
  return {
    ledger,
    clock,
    [Symbol.asyncDispose]: async () => {
      await ledger[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
    },
  };
};

export const books: readonly (readonly [string, OpenLedger])[] = [
  ["in memory", openMemory],
  ["in Redis", openRedis],
];
