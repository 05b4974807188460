/** The limits that the budget is proved against, and what a plan needs to be run in either book. */
import type { Ledger, LedgerRules } from "../../src/budget/ledger.ts";
import { createMemoryLedger } from "../../src/budget/memory-ledger.ts";
import { openRedisLedger, type RedisLedger } from "../../src/budget/redis-ledger.ts";
import { createFakeClock, type FakeClock } from "./fake-clock.ts";
import { createLedgerClock, testTimeoutMs } from "./ledgers.ts";
import { type Change, type Process, type SimulationPlan, type SimulationResult, simulate } from "./simulation.ts";

export const shapes = ["constant", "shrinking", "growing"] as const;
export type Shape = (typeof shapes)[number];
/** Calls a second that the far side allows. */
export const rates = [1, 20, 300, 5_000] as const;

const hourMs = 3_600_000;

/** Windows are as long as makes the whole a few thousand requests, so that a run takes a second or two. */
export function planOf(rate: number, shape: Shape): SimulationPlan {
  const windowMs = rate === 1 ? hourMs : 300_000;
  const limit = (rate * windowMs) / 1000;
  const batchMax = Math.ceil(limit / 600);
  const change = (windows: number, factor: number): Change => ({
    atMs: windows * windowMs,
    limit: Math.ceil(limit * factor),
  });
  const limits = {
    constant: [change(0, 1)],
    shrinking: [change(0, 1), change(2.3, 0.6), change(6.1, 0.4)],
    growing: [change(0, 0.4), change(2.2, 0.7), change(5.4, 1)],
  }[shape];
  const live = 4;
  // Live people write at random and need a tenth of the whole; a backfill takes what there is.
  const liveThinkMs = (live * batchMax * 1000) / (rate * 0.1);
  return {
    windowMs,
    endsAtMs: (shape === "constant" ? 4 : 9) * windowMs,
    limits,
    callers: { live: live / 2, backfill: 3 },
    liveThinkMs,
    batchMax,
    latencyMs: 120,
  };
}

export type Proof = SimulationResult & { readonly plan: SimulationPlan };

/** One process with a book of its own; `alone`: nobody writes, and only a backfill calls; `perRequest`: in batches of so many. */
export async function proveInMemory(
  rate: number,
  shape: Shape,
  { seed = 1, alone = false, perRequest = 1 } = {},
): Promise<Proof> {
  const planned = planOf(rate, shape);
  const plan = perRequest === 1 ? planned : { ...planned, perRequest, batchMax: 5 * perRequest };
  const clock = createFakeClock({ seed });
  const ledger = createMemoryLedger({ windowMs: plan.windowMs, ceiling: null }, clock);
  const callers = { live: alone ? 0 : 4, backfill: 2 * (plan.callers.backfill ?? 0) };
  return { ...(await simulate(clock, [{ ledger }], { ...plan, callers })), plan };
}

export type RedisProofOptions = {
  readonly seed?: number;
  readonly restartsAtWindows?: readonly number[];
  readonly stepsAtWindows?: readonly number[];
};

/** Restarts and steps of the clock that a proof in Redis goes through. */
export const trouble = { restartsAtWindows: [1.4, 1.9, 3.3], stepsAtWindows: [0.7, 1.6, 3.1] } as const;

/** Two processes on one Redis, whose clock may be stepped by an hour to and fro, and which are killed and started anew by turns. */
export async function proveInRedis(
  url: string,
  rate: number,
  shape: Shape,
  { seed = 1, restartsAtWindows = [], stepsAtWindows = [] }: RedisProofOptions = {},
): Promise<Proof> {
  const plan = planOf(rate, shape);
  const clock = createFakeClock({ seed });
  const rules: LedgerRules = { windowMs: plan.windowMs, ceiling: null };
  const opened: RedisLedger[] = [];
  const prefix = `proof:{${rate}-${shape}-${seed}-${restartsAtWindows.length}}`;
  const open = async (from: FakeClock): Promise<Ledger> => {
    const ledger = await openRedisLedger({
      ...rules,
      url,
      prefix,
      timeoutMs: testTimeoutMs,
      clock: { ...createLedgerClock(from), random: from.random },
      serverMs: from.nowMs,
    });
    opened.push(ledger);
    return ledger;
  };
  const processes: Process[] = [{ ledger: await open(clock) }, { ledger: await open(clock) }];
  const restarts = restartsAtWindows.map((windows, at) => ({
    atMs: windows * plan.windowMs,
    run: async () => {
      const process = processes[at % 2];
      if (process !== undefined) process.ledger = await open(clock);
    },
  }));
  const steps = stepsAtWindows.map((windows, at) => ({
    atMs: windows * plan.windowMs,
    run: () => clock.stepWall(at % 2 === 0 ? hourMs : -hourMs),
  }));
  try {
    return { ...(await simulate(clock, processes, { ...plan, events: [...restarts, ...steps] })), plan };
  } finally {
    for (const ledger of opened) await ledger[Symbol.asyncDispose]();
  }
}
