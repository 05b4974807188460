import type { AccountId } from "../domain/ids.ts";
import { assert } from "../lib/assert.ts";
import type { Clock } from "../lib/clock.ts";
import { createGate, type Gate, type GateState } from "./gate.ts";
import { createSlidingWindow, type SlidingWindow } from "./sliding-window.ts";

/** Who asks: a customer who waits, a profile that ages, or the past. */
export const lanes = ["live", "refresh", "backfill"] as const;
export type Lane = (typeof lanes)[number];

/** The window of Meta's limits as they are counted here, in ms (spec §5). */
export const windowMsDefault = 3_600_000;
/** Part of the ceiling that only `live` may use, so that a backfill never delays a new customer's name (spec §5). */
export const liveReserveShare = 0.05;
/** From this percentage on Instagram may refuse (meta-platform.md §5.2). */
export const usagePercentMax = 100;

export type BudgetOptions = {
  /** Calls per account in any `windowMs`; null: no ceiling of our own. */
  readonly ceilingPerWindow: number | null;
  readonly windowMs?: number;
  readonly clock: Clock;
};

export type TakeRequest = { readonly accountId: AccountId; readonly lane: Lane; readonly calls: number };
/** `resumeInMs` is 0 where all calls were granted, else when to ask again. */
export type Taken = { readonly granted: number; readonly resumeInMs: number };
/** What the headers of an answer told (meta-platform.md §5.2): per cent, and ms until calls are served again or null. */
export type UsageReading = { readonly percent: number; readonly regainMs: number | null };

export type BudgetState = {
  readonly ceiling: number | null;
  /** Calls counted in the window that ends now. */
  readonly used: number;
  /** The last usage that Instagram told; null where it told none. */
  readonly usagePercent: number | null;
  readonly account: GateState;
  readonly app: GateState;
  /** How long no call goes at all, in ms; 0: one may go. */
  readonly resumeInMs: number;
};

type AccountBudget = { readonly window: SlidingWindow; readonly gate: Gate; usagePercent: number | null };

export type Budget = ReturnType<typeof createBudget>;

/**
 * The allowance of calls per account, in this process (spec §5, meta-platform.md §5.5). Everything is synchronous, so two callers can never both be granted
 * the last call. A batch pays one call for each of its items. Lives on monotonic time: a step of the wall clock changes nothing.
 */
export function createBudget({ ceilingPerWindow, windowMs = windowMsDefault, clock }: BudgetOptions) {
  assert(windowMs > 0, "a budget needs a window");
  assert(ceilingPerWindow === null || ceilingPerWindow >= 1, "a ceiling lets at least one call through");
  const ceiling = ceilingPerWindow ?? Number.POSITIVE_INFINITY;
  // A ceiling too small to share still lets the other lanes move.
  const reserve = ceilingPerWindow === null ? 0 : Math.min(Math.ceil(ceiling * liveReserveShare), ceiling - 1);
  const appGate = createGate(windowMs, clock);

  // One entry an account that somebody added: the operator bounds it.
  const accounts = new Map<AccountId, AccountBudget>();

  function accountOf(accountId: AccountId): AccountBudget {
    let account = accounts.get(accountId);
    if (account === undefined) {
      account = { window: createSlidingWindow(windowMs), gate: createGate(windowMs, clock), usagePercent: null };
      accounts.set(accountId, account);
    }
    return account;
  }

  /** Reserves up to `calls` in one step, before they are made. What is not made after all is handed back with `giveBack()`. */
  function take({ accountId, lane, calls }: TakeRequest): Taken {
    assert(Number.isInteger(calls) && calls >= 0, `calls must be a whole number, got ${calls}`);
    if (calls === 0) return { granted: 0, resumeInMs: 0 };
    const { window, gate } = accountOf(accountId);
    const [app, own] = [appGate.allowance(), gate.allowance()];
    if (app.calls === 0 || own.calls === 0) {
      return {
        granted: 0,
        resumeInMs: Math.max(app.calls === 0 ? app.resumeInMs : 0, own.calls === 0 ? own.resumeInMs : 0),
      };
    }

    const nowMs = clock.monotonicMs();
    const used = window.count(nowMs);
    const live = lane === "live";
    const room = live ? ceiling - used.calls : Math.min(ceiling - used.calls, ceiling - reserve - used.shared);
    const granted = Math.max(0, Math.min(calls, room, app.calls, own.calls));
    if (granted > 0) {
      window.add(nowMs, { calls: granted, shared: live ? 0 : granted });
      appGate.pass(accountId);
      gate.pass(accountId);
    }
    if (granted === calls) return { granted, resumeInMs: 0 };
    const probed = granted > 0 && granted === Math.min(app.calls, own.calls);
    if (probed) return { granted, resumeInMs: Math.max(app.resumeInMs, own.resumeInMs) };
    const byCeiling = used.calls + granted >= ceiling;
    return { granted, resumeInMs: window.untilLess(nowMs, (count) => (byCeiling ? count.calls : count.shared)) };
  }

  /**
   * Notes an answer that was not a throttle; `usage` null where it came without usage headers. Opens the pool after a probe. Usage of
   * 100 % or more, or a named pause, stops the account all the same. For a throttled answer call `stop()` alone.
   */
  function learn(accountId: AccountId, usage: UsageReading | null): void {
    const account = accountOf(accountId);
    if (usage !== null) account.usagePercent = usage.percent;
    if (usage !== null && (usage.percent >= usagePercentMax || (usage.regainMs ?? 0) > 0)) {
      account.gate.stop(usage.regainMs);
      appGate.succeed(accountId);
      return;
    }
    account.gate.succeed(accountId);
    appGate.succeed(accountId);
  }

  /**
   * Stops the account, or every account of the app, after a throttle code: for the pause that was named or a quarter of the window, doubling up to two windows, whichever
   * is longer. Then one call is granted as a probe. Answers the ms until then. Answers that come back throttled together count once.
   */
  function stop(
    accountId: AccountId,
    { scope, resumeInMs }: { readonly scope: "app" | "account"; readonly resumeInMs: number | null },
  ): number {
    const { gate } = accountOf(accountId);
    if (scope === "account") {
      appGate.forgetProbe(accountId);
      return gate.stop(resumeInMs);
    }
    gate.forgetProbe(accountId);
    return appGate.stop(resumeInMs);
  }

  /** Hands back calls that were granted and never made. A probe that was not made goes to the next who asks. */
  function giveBack(accountId: AccountId, calls: number): void {
    assert(Number.isInteger(calls) && calls >= 0, `calls must be a whole number, got ${calls}`);
    if (calls === 0) return;
    const { window, gate } = accountOf(accountId);
    window.remove(clock.monotonicMs(), calls);
    gate.forgetProbe(accountId);
    appGate.forgetProbe(accountId);
  }

  /** Counts calls that were made beyond what was granted (an unfinished item of a batch, asked again): the next takers get fewer. */
  function charge(accountId: AccountId, lane: Lane, calls: number): void {
    assert(Number.isInteger(calls) && calls >= 0, `calls must be a whole number, got ${calls}`);
    if (calls > 0) {
      accountOf(accountId).window.add(clock.monotonicMs(), { calls, shared: lane === "live" ? 0 : calls });
    }
  }

  /** Where the account stands, for health and metrics. */
  function state(accountId: AccountId): BudgetState {
    const { window, gate, usagePercent } = accountOf(accountId);
    const [app, own] = [appGate.allowance(), gate.allowance()];
    const nowMs = clock.monotonicMs();
    const { calls: used } = window.count(nowMs);
    const waits = [app, own].map((allowance) => (allowance.calls === 0 ? allowance.resumeInMs : 0));
    if (used >= ceiling) waits.push(window.untilLess(nowMs, (count) => count.calls));
    const resumeInMs = Math.max(...waits);
    return {
      ceiling: ceilingPerWindow,
      used,
      usagePercent,
      account: gate.readState(),
      app: appGate.readState(),
      resumeInMs,
    };
  }

  return { take, learn, stop, giveBack, charge, state };
}
