import type { Clock } from "../lib/clock.ts";
import { allowanceOf, usagePercentMax } from "./allowance.ts";
import { createGate, type Gate } from "./gate.ts";
import type { Ledger, LedgerRequest, LedgerRules, LedgerTaken, PoolSnapshot, Settlement } from "./ledger.ts";
import { createPool, type Pool } from "./pool.ts";

type Kept = { readonly pool: Pool; readonly gate: Gate };

/**
 * The book of one process. Every step is synchronous within, so two callers can never both be granted the last call. Lives on
 * monotonic time: a step of the wall clock changes nothing.
 */
export function createMemoryLedger(
  { windowMs, ceiling }: LedgerRules,
  clock: Pick<Clock, "monotonicMs" | "random">,
): Ledger {
  const appGate = createGate(windowMs, clock);
  // One entry a pool of an account that somebody added: the operator bounds it.
  const pools = new Map<string, Kept>();

  function keptOf(name: string): Kept {
    let kept = pools.get(name);
    if (kept === undefined) {
      kept = { pool: createPool(windowMs), gate: createGate(windowMs, clock) };
      pools.set(name, kept);
    }
    return kept;
  }

  function snapshotOf(name: string): PoolSnapshot {
    const { pool, gate } = keptOf(name);
    const nowMs = clock.monotonicMs();
    return {
      used: pool.count(nowMs).calls,
      ...pool.known(nowMs),
      accountStopMs: gate.shutForMs(),
      appStopMs: appGate.shutForMs(),
    };
  }

  function take({ pool: name, id, share, ...request }: LedgerRequest): LedgerTaken {
    const { calls } = request;
    const { pool, gate } = keptOf(name);
    const nowMs = clock.monotonicMs();
    const gates = [appGate.allowance(), gate.allowance()];
    const shut = gates.filter((allowance) => allowance.calls === 0);
    if (shut.length > 0) {
      const resumeInMs = Math.max(...shut.map((allowance) => allowance.resumeInMs));
      return { granted: 0, resumeInMs, snapshot: snapshotOf(name) };
    }
    const passes = Math.min(...gates.map((allowance) => allowance.calls));
    const ask = {
      ...request,
      allowance: allowanceOf(ceiling, pool.known(nowMs).learned, share),
      ceiling: allowanceOf(ceiling, null, share).usable,
      spacingMs: request.spacingMs * share,
      probes: passes === 1,
    };
    const room = pool.room(nowMs, ask);
    const granted = Math.min(calls, room.calls, passes);
    const probes = granted > 0 && passes === 1;
    const pollMs = Math.max(...gates.map((allowance) => allowance.resumeInMs));
    const resumeInMs = granted === calls ? 0 : Math.max(1, probes ? pollMs : room.resumeInMs);
    pool.book(nowMs, id, granted, ask, resumeInMs);
    if (granted > 0) {
      appGate.pass(id);
      gate.pass(id);
    }
    return { granted, resumeInMs, snapshot: snapshotOf(name) };
  }

  function settle(settlement: Settlement): number | null {
    const { id, callsMade, usage, throttle } = settlement;
    const { pool, gate } = keptOf(settlement.pool);
    pool.settle(clock.monotonicMs(), settlement);
    if (throttle !== null) {
      const [shut, other] = throttle.scope === "app" ? [appGate, gate] : [gate, appGate];
      other.forgetProbe(id);
      return shut.stop(Math.max(throttle.resumeInMs ?? 0, usage?.regainMs ?? 0));
    }
    if (callsMade === 0) {
      gate.forgetProbe(id);
      appGate.forgetProbe(id);
      return null;
    }
    appGate.succeed(id);
    if (usage !== null && (usage.percent >= usagePercentMax || usage.regainMs !== null)) {
      gate.stop(usage.regainMs);
      return null;
    }
    gate.succeed(id);
    return null;
  }

  return {
    take: async (request) => take(request),
    settle: async (settlement) => settle(settlement),
    snapshot: async (name) => snapshotOf(name),
    readLog: async (name) => {
      const { pool } = keptOf(name);
      const entries = pool.log.list(clock.monotonicMs());
      const flying = pool.flying();
      return flying.calls > 0 ? [...entries, { ageMs: 0, ...flying }] : entries;
    },
    remember: async ({ pool: name, entries, owed, learned, percent, accountStopMs, appStopMs }) => {
      const { pool, gate } = keptOf(name);
      pool.log.insert(clock.monotonicMs(), [...entries, ...owed]);
      pool.know({ learned, percent });
      gate.keepShut(accountStopMs);
      appGate.keepShut(appStopMs);
    },
  };
}
