import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { Ledger, LedgerRules, PoolSnapshot, Settlement } from "./ledger.ts";
import { createMemoryLedger } from "./memory-ledger.ts";
import { createMirror, mirrorShare } from "./mirror.ts";
import { LedgerLostError, type RedisLedger } from "./redis-ledger.ts";

/** While Redis is lost it is tried so often, in ms; what is asked meanwhile is answered here. */
export const redisRetryEveryMs = 1_000;
/** So long after its return a process takes its own part only, in ms: the others have yet to tell what they did. */
export const redisReturnMs = 3 * redisRetryEveryMs;

export type SharedLedgerOptions = LedgerRules & {
  readonly ledger: RedisLedger;
  /** Processes that share the allowance, as Postgres last saw them. */
  readonly countDaemons: () => Promise<number>;
  readonly clock: Pick<Clock, "after" | "monotonicMs" | "random">;
  readonly log: Pick<Log, "warn" | "log"> | null;
};

export type SharedLedger = Ledger & { readonly close: () => void };
type Local = { readonly ledger: Ledger; readonly share: number; readonly seeded: Set<string> };

/**
 * The book in Redis, and one of this process's own while Redis is lost: its allowance is divided by the daemons, and it begins with what the
 * shared one was last seen to hold, divided alike. When Redis is back, it is told what was done without it; where it has forgotten, all that is known.
 */
export function createSharedLedger(options: SharedLedgerOptions): SharedLedger {
  const { ledger, countDaemons, clock, log, windowMs, ceiling } = options;
  const mirror = createMirror(ledger, windowMs, clock);
  let local: Local | null = null;
  let opening: Promise<Local> | null = null;
  let cautiousUntilMs = Number.NEGATIVE_INFINITY;
  let daemons = 1;
  let cancelRetry = () => {};
  let cancelLook = () => {};
  let closed = false;

  async function open(cause: unknown): Promise<Local> {
    daemons = Math.max(1, await countDaemons().catch(() => daemons));
    local = { ledger: createMemoryLedger({ windowMs, ceiling }, clock), share: daemons, seeded: new Set() };
    const why = (cause instanceof Error ? cause.message : String(cause)).replace(/\s+/g, " ").slice(0, 200);
    const part = daemons === 1 ? "the whole allowance" : `one of ${daemons} parts of the allowance`;
    log?.warn(`Rate budget in Redis is away, this process goes on with ${part}: ${why}`, context);
    retryLater();
    return local;
  }

  function retryLater(): void {
    if (closed) return;
    cancelRetry = clock.after(redisRetryEveryMs, () => void comeBack().catch(retryLater));
  }

  /** A process that seldom calls looks all the same: what it last saw is what it goes on with should Redis be lost. */
  function lookLater(): void {
    if (closed) return;
    cancelLook = clock.after(windowMs * mirrorShare, () => {
      const looks = local === null ? mirror.pools().map(look) : [];
      void Promise.allSettled(looks).then(lookLater);
    });
  }

  async function look(pool: string): Promise<PoolSnapshot> {
    const snapshot = await ledger.snapshot(pool);
    mirror.note(pool, snapshot);
    return snapshot;
  }

  /** Tells Redis, which is back, what happened without it. Throws as Redis does. */
  async function comeBack(): Promise<void> {
    const lost = await isLost();
    for (const pool of new Set([...(lost ? mirror.pools() : []), ...(local?.seeded ?? []), ...mirror.owing()]))
      await tell(pool, lost);
    if (local === null) return;
    local = null;
    cautiousUntilMs = clock.monotonicMs() + redisReturnMs;
    log?.log("Rate budget in Redis is back", context);
  }

  async function isLost(): Promise<boolean> {
    try {
      await ledger.snapshot(anyPool);
      return false;
    } catch (error) {
      if (error instanceof LedgerLostError) return true;
      throw error;
    }
  }

  async function tell(pool: string, lost: boolean): Promise<void> {
    const memory = mirror.recall(pool, 1);
    const own = await local?.ledger.snapshot(pool);
    const owed = mirror.takeOwed(pool);
    try {
      await ledger.remember({
        ...memory,
        entries: lost ? memory.entries : [],
        owed: owed.map(({ atMs, calls, shared }) => ({ ageMs: clock.monotonicMs() - atMs, calls, shared })),
        learned: own?.learned ?? memory.learned,
        percent: own?.percent ?? memory.percent,
        accountStopMs: Math.max(memory.accountStopMs, own?.accountStopMs ?? 0),
        appStopMs: Math.max(memory.appStopMs, own?.appStopMs ?? 0),
      });
    } catch (error) {
      mirror.owe(pool, owed);
      throw error;
    }
  }

  /** Runs a step on the shared book, or where that is not to be had on this process's own. */
  async function attempt<T>(pool: string, step: (on: Ledger, share: number) => Promise<T>): Promise<T> {
    for (let tries = 0; local === null; tries += 1) {
      try {
        return await step(ledger, clock.monotonicMs() < cautiousUntilMs ? daemons : 1);
      } catch (error) {
        const forgotten = error instanceof LedgerLostError && tries === 0;
        if (
          forgotten &&
          (await tell(pool, true).then(
            () => true,
            () => false,
          ))
        )
          continue;
        if (error instanceof Error && error.message.includes("timed out")) ledger.renew();
        // Not read again after the wait: another caller may have opened it, and come back, meanwhile.
        if (local === null) {
          opening ??= open(error).finally(() => {
            opening = null;
          });
          await opening;
        }
        break;
      }
    }
    const own = local;
    if (own === null) return attempt(pool, step);
    if (!own.seeded.has(pool)) {
      own.seeded.add(pool);
      await own.ledger.remember({ ...mirror.recall(pool, own.share), owed: [] });
    }
    return step(own.ledger, own.share);
  }

  async function settle(settlement: Settlement): Promise<number | null> {
    const { pool, callsMade: calls, lane } = settlement;
    return attempt(pool, async (on) => {
      const pauseMs = await on.settle(settlement);
      if (on !== ledger && calls > 0)
        mirror.owe(pool, [{ atMs: clock.monotonicMs(), calls, shared: lane === "live" ? 0 : calls }]);
      return pauseMs;
    });
  }

  lookLater();
  return {
    take: (request) =>
      attempt(request.pool, async (on, share) => {
        const taken = await on.take({ ...request, share });
        if (on === ledger) mirror.note(request.pool, taken.snapshot);
        return taken;
      }),
    settle,
    snapshot: (pool) => attempt(pool, (on) => (on === ledger ? look(pool) : on.snapshot(pool))),
    readLog: (pool) => attempt(pool, (on) => on.readLog(pool)),
    remember: (memory) => attempt(memory.pool, (on) => on.remember(memory)),
    close: () => {
      closed = true;
      cancelRetry();
      cancelLook();
    },
  };
}

const context = "RateBudget";
/** Asked for to learn whether Redis answers and remembers; nobody calls in it. */
const anyPool = "-";
