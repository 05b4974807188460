import type { AccountId } from "../domain/ids.ts";
import { assert } from "../lib/assert.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { allowanceOf } from "./allowance.ts";
import type { Lane, Ledger, LedgerRequest, PoolSnapshot, Settlement, Throttle, UsageReading } from "./ledger.ts";
import { createMemoryLedger } from "./memory-ledger.ts";
import { createSharedLedger, type SharedLedgerOptions } from "./shared-ledger.ts";

export { type Lane, lanes, type Throttle, type UsageReading } from "./ledger.ts";

/** The window of Meta's limits as they are counted here, in ms (spec §5). */
export const windowMsDefault = 3_600_000;
/** An account's pools of calls (meta-platform.md §5.1): its people's profiles, and the conversations edge. */
export type PoolName = "profile" | "conversations";
/**
 * How far apart calls on the conversations edge go, in ms. Instagram takes 2 a second of an account (meta-platform.md §5.1);
 * the rest is room for jitter. Those for profiles go as close as they come.
 */
export const inboxSpacingMsDefault = 600;

export type BudgetOptions = {
  /** Calls per account and pool in any `windowMs`; null: no ceiling of our own. */
  readonly ceilingPerWindow: number | null;
  readonly windowMs?: number;
  readonly inboxSpacingMs?: number;
  readonly clock: Clock;
  /** The book in Redis and what to do without it; null: this process has one of its own. */
  readonly shared?: Pick<SharedLedgerOptions, "ledger" | "countDaemons"> | null;
  readonly log?: Pick<Log, "warn" | "log"> | null;
};

export type TakeRequest = {
  readonly accountId: AccountId;
  readonly pool?: PoolName;
  readonly lane: Lane;
  readonly calls: number;
} & Partial<Pick<LedgerRequest, "perRequest" | "firstCalls">>; // 1 each by default
/** Calls that may be made; hand it to `settle()` with how they ended. */
export type Grant = Pick<Settlement, "pool" | "id" | "lane">;
/** `resumeInMs` is 0 where all calls were granted, else when to ask again. */
export type Taken = { readonly granted: number; readonly resumeInMs: number; readonly grant: Grant };
/** How granted calls ended, all that came back together. `callsMade` 0: none was made. */
export type CallsEnded = {
  readonly callsMade: number;
  readonly usage: UsageReading | null;
  readonly throttle: Throttle | null;
};

export type BudgetState = PoolSnapshot & {
  /** Calls that one window holds; null: as far as is known, any number. */
  readonly allowance: number | null;
  /** How long no call goes at all, in ms; 0: one may go. */
  readonly resumeInMs: number;
};

export type Budget = ReturnType<typeof createBudget>;

/**
 * The allowance of calls per account and pool (spec §5, meta-platform.md §5.5), one for all processes that share a Redis, else this process's own.
 * A batch pays one call for each of its items. Never throws: without Redis it goes on by itself.
 */
export function createBudget(options: BudgetOptions) {
  const { ceilingPerWindow: ceiling, windowMs = windowMsDefault, clock, shared = null, log = null } = options;
  const spacingMsOf = { profile: 0, conversations: options.inboxSpacingMs ?? inboxSpacingMsDefault };
  assert(windowMs > 0, "a budget needs a window");
  assert(ceiling === null || ceiling >= 1, "a ceiling lets at least one call through");
  const rules = { windowMs, ceiling };
  const inRedis = shared === null ? null : createSharedLedger({ ...shared, ...rules, clock, log });
  const ledger: Ledger = inRedis ?? createMemoryLedger(rules, clock);
  const namePool = (accountId: AccountId, pool: PoolName) => `${accountId}:${pool}`;
  const newId = () => `${clock.random().toString(36).slice(2)}${clock.random().toString(36).slice(2)}`;

  return {
    /** Reserves up to `calls` in one step, before they are made. */
    async take({ accountId, pool = "profile", lane, calls, ...whole }: TakeRequest): Promise<Taken> {
      assert(Number.isInteger(calls) && calls >= 0, `calls must be a whole number, got ${calls}`);
      const grant = { pool: namePool(accountId, pool), id: newId(), lane };
      if (calls === 0) return { granted: 0, resumeInMs: 0, grant };
      const { perRequest = 1, firstCalls = 1 } = whole;
      const spacingMs = spacingMsOf[pool];
      const request = { ...grant, calls, perRequest, firstCalls, share: 1, spacingMs };
      const { granted, resumeInMs } = await ledger.take(request);
      return { granted, resumeInMs, grant };
    },

    /**
     * Notes how granted calls ended, and stops the pool, or for a throttle of the app every pool of it: for the pause that was named or a quarter of
     * the window, doubling up to two windows, whichever is longer. Then one call is granted as a probe. Answers that come back throttled
     * together count once. Answers the ms that a throttled pool rests, else null.
     */
    settle(grant: Grant, { callsMade, usage, throttle }: CallsEnded): Promise<number | null> {
      assert(Number.isInteger(callsMade) && callsMade >= 0, `calls must be a whole number, got ${callsMade}`);
      return ledger.settle({ ...grant, callsMade, usage, throttle });
    },

    /** Where the account stands, for health and metrics. */
    async state(accountId: AccountId, pool: PoolName = "profile"): Promise<BudgetState> {
      const snapshot = await ledger.snapshot(namePool(accountId, pool));
      const { usable } = allowanceOf(ceiling, snapshot.learned, 1);
      return {
        ...snapshot,
        allowance: usable === Number.POSITIVE_INFINITY ? null : usable,
        resumeInMs: Math.max(snapshot.accountStopMs, snapshot.appStopMs),
      };
    },

    [Symbol.dispose]: () => inRedis?.close(),
  };
}
