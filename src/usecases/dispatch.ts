import type { ConversationId } from "../domain/ids.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { LookupQueue } from "../queue/lookup-queue.ts";
import type { LookupsRepository } from "../repository/lookups.ts";
import type { Enrich } from "./enrich.ts";

/** People one enrich() call gets: what one batch request carries. */
export const windowMax = 50;
/** Windows in flight on the fast path. Beyond that people wait in memory, and then in the queue, on disk. */
export const windowsInFlight = 32;
/** People who may wait in memory for a window: a few seconds of work; the rest goes to the queue at once. */
export const waitingMax = 2_000;
/** How often the daemon looks in Postgres for people whom queue and memory lost. */
export const sweepEveryMs = 30_000;
/** People one sweep takes up; the next sweep takes the next. */
export const sweepMax = 5_000;
/** People this process remembers to have queued. Beyond that new ones wait for a sweep: memory and queue stay bounded. */
export const knownMax = 50_000;
/** Retries are put off in steps of this, so that people who wait alike share a job. */
const delayStepMs = 250;

export type DispatchDependencies = {
  enrich: Enrich;
  queue: Pick<LookupQueue, "addLookups" | "work">;
  lookups: Pick<LookupsRepository, "listDue">;
  clock: Clock;
  log: Log;
};

export type Dispatcher = ReturnType<typeof createDispatcher>;

/**
 * Decides when lookups run. The fast path is memory: a new person is asked for at once while a window is free. What
 * does not fit, and what is to be tried again later, goes to the durable queue; the sweep brings back what both lost.
 * Postgres alone decides who is due and who holds whom.
 */
export function createDispatcher(
  { enrich, queue, lookups, clock, log }: DispatchDependencies,
  /** `stopTaking`: begin nothing new. `abort`: give up what is under way. */
  { stopTaking, abort }: { stopTaking: AbortSignal; abort: AbortSignal },
) {
  const waiting = new Set<ConversationId>();
  /** In the queue or in a window by this process's own doing: a sweep need not add them again. */
  const known = new Set<ConversationId>();
  const inFlight = new Set<Promise<void>>();
  let cancelSweep = () => {};

  const run = async (ids: readonly ConversationId[]): Promise<void> => {
    const results = await enrich(ids, { lane: "live", force: false, signal: abort });
    const byDelay = new Map<number, ConversationId[]>();
    for (const [id, result] of results) {
      known.delete(id);
      if (result.kind !== "later") continue;
      const delayMs = Math.ceil(result.retryInMs / delayStepMs) * delayStepMs;
      byDelay.set(delayMs, [...(byDelay.get(delayMs) ?? []), id]);
    }
    for (const [delayMs, late] of byDelay) await enqueue(late, delayMs);
  };

  const enqueue = async (ids: readonly ConversationId[], delayMs: number): Promise<void> => {
    if (known.size > knownMax) return;
    for (const id of ids) known.add(id);
    await queue.addLookups(ids, delayMs).catch((error: Error) => {
      for (const id of ids) known.delete(id);
      log.warn(`Lookups left to the next sweep: ${error.message}`, context);
    });
  };

  const runWindow = async (ids: readonly ConversationId[]): Promise<void> => {
    try {
      await run(ids);
    } catch (error) {
      for (const id of ids) known.delete(id);
      log.warn(`Lookups left to the next sweep: ${error instanceof Error ? error.message : String(error)}`, context);
    }
  };

  const fill = (): void => {
    while (waiting.size > 0 && inFlight.size < windowsInFlight && !stopTaking.aborted) {
      const ids = [...waiting.values().take(windowMax)];
      for (const id of ids) waiting.delete(id);
      const window = runWindow(ids).finally(() => {
        inFlight.delete(window);
        fill();
      });
      inFlight.add(window);
    }
  };

  const sweep = async (): Promise<void> => {
    try {
      const due = (await lookups.listDue(sweepMax)).filter((id) => !known.has(id) && !waiting.has(id));
      if (due.length > 0) {
        log.debug(`Sweep found ${due.length} lookups that are due`, context);
        await enqueue(due, 0);
      }
    } catch (error) {
      log.warn(`Sweep put off: ${error instanceof Error ? error.message : String(error)}`, context);
    }
    if (!stopTaking.aborted) cancelSweep = clock.after(sweepEveryMs, () => void sweep());
  };

  return {
    /** Starts the queue's worker and the first sweep. */
    start(): void {
      queue.work(async (ids) => (stopTaking.aborted ? undefined : runWindow(ids)));
      void sweep();
    },
    /** Takes people who want a lookup now. Returns at once. */
    wake(ids: readonly ConversationId[]): void {
      const overflow: ConversationId[] = [];
      for (const id of ids) {
        if (known.has(id)) continue;
        if (waiting.size >= waitingMax) overflow.push(id);
        else {
          known.add(id);
          waiting.add(id);
        }
      }
      if (overflow.length > 0) void enqueue(overflow, 0);
      fill();
    },
    /** After `stopTaking`: waits for the windows in flight. */
    async settle(): Promise<void> {
      cancelSweep();
      await Promise.all(inFlight);
    },
  };
}

const context = "Dispatcher";
