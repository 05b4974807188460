import type { Lane } from "../budget/budget.ts";
import type { ConversationId } from "../domain/ids.ts";
import { pauseReasons } from "../domain/profile.ts";
import { chunk } from "../lib/chunk.ts";
import { type Clock, wait } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { messageOf } from "../lib/message-of.ts";
import type { LookupQueue } from "../queue/lookup-queue.ts";
import type { Leased } from "../repository/events.ts";
import type { LookupsRepository } from "../repository/lookups.ts";
import type { Enrich } from "./enrich.ts";

/** People one enrich() call gets: what one batch request carries. */
export const windowMax = 50;
/** Windows in flight on the fast path. Beyond that people wait in memory, and then in the queue, on disk. */
export const windowsInFlight = 32;
/** People who may wait in memory for a window: a few seconds of work; the rest goes to the queue at once. */
export const waitingMax = 2_000;
/** A window is given up after this: its leases would run out, and others would ask the same again. */
export const windowBoundMs = 30_000;
/** How often the set of daemons looks in Postgres for people whom queues and memory lost: one of them each time. */
export const sweepEveryMs = 15_000;
/** People one sweep takes up; the next sweep takes the next. */
export const sweepMax = 5_000;
/** People this process remembers to have queued. Beyond that new ones wait for a sweep: memory and queue stay bounded. */
export const knownMax = 50_000;
/** How long an entry of ours in the queue is believed to be there. Later on, whoever is still due was lost with the queue. */
export const queuedForMs = 10_000;
/** Jobs that wait in the queue, beyond which a sweep adds none: they are what it would find. */
export const queuedJobsMax = 200;
/** Leases of a failed window are given back after this, and again as long as a lease lasts; of so many windows at once. */
const giveBackAfterMs = 2_000;
const giveBackTries = 20;
const givingBackMax = 64;
/** Retries are put off in steps of this, so that people who wait alike share a job. */
const delayStepMs = 250;
/** The same for a longer pause, for a limit or for Graph itself: thousands wait then, again and again, who came one by one. */
export const pauseStepMs = 2_000;
/** What counts as one. */
const pauseMsMin = 10_000;

export type DispatchDependencies = {
  enrich: Enrich;
  queue: Pick<LookupQueue, "addLookups" | "work" | "depth">;
  lookups: Pick<LookupsRepository, "listDue" | "releaseClaimed">;
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
  /** In the queue or in a window by this process's own doing, and until when that is believed (monotonic ms). */
  const known = new Map<ConversationId, number>();
  const inFlight = new Set<Promise<void>>();
  /**
   * Who waits for the end of a pause, by lane and time. In memory, so that those of different windows come back together:
   * as jobs of their own they would come back one by one, for hours, at two statements each.
   */
  const pauses = new Map<string, { readonly ids: ConversationId[]; readonly cancel: () => void }>();
  let givingBack = 0;

  const run = async (ids: readonly ConversationId[], lane: Lane, leased?: Leased): Promise<void> => {
    const bound = new AbortController();
    const cancelBound = clock.after(windowBoundMs, () => bound.abort());
    const signal = AbortSignal.any([abort, bound.signal]);
    const held = leased && { leased: leased.lookups, readAccess: leased.readAccess };
    const results = await enrich(ids, { lane, force: false, signal, ...held }).finally(cancelBound);
    const byDelay = new Map<number, ConversationId[]>();
    for (const id of ids) known.delete(id);
    for (const [id, result] of results) {
      if (result.kind !== "later") continue;
      if (pauseReasons.some((reason) => reason === result.reason)) {
        putOff(id, result.retryInMs, lane);
        continue;
      }
      const delayMs = Math.ceil(result.retryInMs / delayStepMs) * delayStepMs;
      byDelay.set(delayMs, [...(byDelay.get(delayMs) ?? []), id]);
    }
    for (const [delayMs, late] of byDelay) await enqueue(late, delayMs, lane);
  };

  const putOff = (id: ConversationId, delayMs: number, lane: Lane): void => {
    if (known.size > knownMax || stopTaking.aborted) return; // a sweep finds them
    const nowMs = clock.monotonicMs();
    const stepMs = delayMs < pauseMsMin ? delayStepMs : pauseStepMs;
    const atMs = Math.ceil((nowMs + delayMs) / stepMs) * stepMs;
    known.set(id, atMs + queuedForMs);
    const key = `${lane} ${atMs}`;
    const group = pauses.get(key);
    if (group !== undefined) {
      group.ids.push(id);
      return;
    }
    const ids = [id];
    const end = () => {
      pauses.delete(key);
      void enqueue(ids, 0, lane);
    };
    pauses.set(key, { ids, cancel: clock.after(atMs - nowMs, end) });
  };

  const enqueue = async (ids: readonly ConversationId[], delayMs: number, lane: Lane): Promise<void> => {
    if (known.size > knownMax) return;
    const untilMs = clock.monotonicMs() + delayMs + queuedForMs;
    for (const id of ids) known.set(id, untilMs);
    await queue.addLookups(ids, delayMs, lane).catch((error: Error) => {
      for (const id of ids) known.delete(id);
      log.warn(`Lookups left to the next sweep: ${error.message}`, context);
    });
  };

  const runWindow = async (ids: readonly ConversationId[], lane: Lane, leased?: Leased): Promise<void> => {
    try {
      await run(ids, lane, leased);
    } catch (error) {
      for (const id of ids) known.delete(id);
      log.warn(`Lookups left to the next sweep: ${messageOf(error)}`, context);
      void giveBack(ids);
    }
  };

  /**
   * The claim of a window that failed may have been done, its reply lost with a connection: then the leases are ours and
   * nobody knows. They are given back once Postgres takes that, so that the next sweep finds their people. Answers whether.
   */
  const giveBack = async (ids: readonly ConversationId[]): Promise<boolean> => {
    if (givingBack >= givingBackMax) return false;
    givingBack += 1;
    let isDone = false;
    for (
      let tries = 0;
      tries < giveBackTries && !isDone && (await wait(clock, giveBackAfterMs, stopTaking));
      tries += 1
    ) {
      isDone = await lookups.releaseClaimed(ids.filter((id) => !isInHand(id))).then(
        () => true,
        () => false,
      );
    }
    givingBack -= 1;
    return isDone;
  };

  const fill = (): void => {
    while (waiting.size > 0 && inFlight.size < windowsInFlight && !stopTaking.aborted) {
      const ids = [...waiting.values().take(windowMax)];
      for (const id of ids) waiting.delete(id);
      open(ids);
    }
  };

  const open = (ids: readonly ConversationId[], leased?: Leased): void => {
    for (const id of ids) known.set(id, clock.monotonicMs() + windowBoundMs);
    const window = runWindow(ids, "live", leased).finally(() => {
      inFlight.delete(window);
      fill();
    });
    inFlight.add(window);
  };

  const wake = (ids: readonly ConversationId[]): void => {
    const overflow: ConversationId[] = [];
    for (const id of ids) {
      if (isInHand(id)) continue;
      if (waiting.size >= waitingMax) overflow.push(id);
      else waiting.add(id);
    }
    if (overflow.length > 0) void enqueue(overflow, 0, "live");
    fill();
  };

  const sweep = async (): Promise<void> => {
    try {
      if ((await queue.depth()) > queuedJobsMax) return;
      const due = (await lookups.listDue(sweepMax)).filter((id) => !isInHand(id));
      if (due.length > 0) {
        log.debug(`Sweep found ${due.length} lookups that are due`, context);
        await enqueue(due, 0, "refresh"); // a backlog never delays who writes now
      }
    } catch (error) {
      log.warn(`Sweep put off: ${messageOf(error)}`, context);
    }
  };

  const isInHand = (id: ConversationId): boolean => waiting.has(id) || (known.get(id) ?? 0) > clock.monotonicMs();

  return {
    /** Starts the queue's worker and the first sweep. */
    start(): void {
      queue.work(async (ids, lane) => (stopTaking.aborted ? undefined : runWindow(ids, laneOf(lane))));
      void sweep();
    },
    /** Takes up people who are due and whom nobody has in hand. Never rejects. */
    sweep,
    /** People who wait in memory. */
    depth: () => waiting.size,
    /** What is held in memory, in entries: each is bounded by a limit of this file. */
    sizes: () => ({ waiting: waiting.size, known: known.size, pauses: pauses.size, inFlight: inFlight.size }),
    /** Takes people who want a lookup now. Returns at once. */
    wake,
    /**
     * Whether so many more people would be asked for at once. Only then may they be leased before they come here: a lease
     * that waits for a window runs out. Nor while leases of a failed statement are given back: the next may fail too.
     */
    hasRoomFor: (people: number): boolean =>
      givingBack + waiting.size === 0 &&
      inFlight.size + Math.ceil(people / windowMax) <= windowsInFlight &&
      !stopTaking.aborted,
    /** Takes people who were leased on their way here. Returns at once. */
    takeUp(leased: Leased): void {
      for (const lookups of chunk(leased.lookups, windowMax))
        open(
          lookups.map(({ conversationId }) => conversationId),
          { ...leased, lookups },
        );
    },
    /** Takes people whom a commit may have leased that failed, perhaps only in its reply. Returns at once. */
    wakeLost: (ids: readonly ConversationId[]): void => void giveBack(ids).then((isDone) => isDone && wake(ids)),
    /** After `stopTaking`: waits for the windows in flight, and leaves those who are put off to the tables. */
    async settle(): Promise<void> {
      if (stopTaking.aborted) for (const { cancel } of pauses.values()) cancel();
      await Promise.all(inFlight);
    },
  };
}

const context = "Dispatcher";

/** A job of an older version names none. */
const laneOf = (name: string): Lane => (name === "live" ? "live" : "refresh");
