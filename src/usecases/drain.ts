import { SyncError } from "../domain/error.ts";
import { type Clock, endsWithin, wait } from "../lib/clock.ts";
import { passFaultPoint } from "../lib/fault-point.ts";
import type { Log } from "../lib/log.ts";
import { messageOf } from "../lib/message-of.ts";
import type { Spool, SpoolBatch } from "../spool/spool.ts";
import { parseWebhook } from "../webhook/parse-webhook.ts";
import { type Ingest, logQuarantined } from "./ingest.ts";
import type { Store } from "./store.ts";

/** Records of one commit: small enough that live posts, which commit beside it, hardly wait for its rows. */
export const drainRecordsMax = 256;
/** Bytes of one commit, for the same reason. One larger record goes alone. */
export const drainBytesMax = 1024 * 1024;
/** A commit of the drain; nobody waits for its answer. It doubles where one record alone does not get through. */
export const drainBoundMs = 5_000;
export const drainBoundMsMax = 60_000;
/**
 * While the database is away the drain is also the probe, and must see quickly that it is back; but one that is only
 * slow needs seconds for a new connection alone, so each probe that fails gives the next one twice the time.
 */
const probeBoundMs = 1_000;
const probeBoundMsMax = 8_000;
const probeEveryMs = 100;
/** How long the drain sleeps where nothing wakes it: for what only time brings. */
const idleMs = 1_000;
/** How often folders of dead daemons are looked for (spec §12: taken over within a minute). */
export const adoptEveryMs = 15_000;
/** A database that does not flush its commits is flushed by us, this often at most, before segments are removed. */
export const flushEveryMs = 10_000;

export type DrainDependencies = {
  spool: Pick<Spool, "read" | "confirm" | "trim" | "adopt">;
  store: Store;
  ingest: Pick<Ingest, "isAway" | "isFlooded" | "resume">;
  /** Flushes what is committed; null where the database does so by itself with every commit. */
  flush: (() => Promise<void>) | null;
  clock: Pick<Clock, "monotonicMs" | "after">;
  log: Log;
};

export type Drain = ReturnType<typeof createDrain>;

/**
 * Makes the way from the spool into the tables: oldest first, through the same store, beside the live posts. Whatever
 * fails is tried again for as long as it takes; what cannot be stored whatever is done goes to quarantine. A batch that
 * was stored twice changes nothing, so nothing is remembered across a crash.
 */
export function createDrain(
  { spool, store, ingest, flush, clock, log }: DrainDependencies,
  { stopTaking }: { stopTaking: AbortSignal },
) {
  let wakeUp = () => {};
  let awake = false;
  let ended: Promise<void> | null = null;
  let recordsMax = drainRecordsMax;
  let boundMs = drainBoundMs;
  let probeMs = probeBoundMs;
  const last = { adoptedMs: clock.monotonicMs(), flushedMs: clock.monotonicMs() };
  let unflushed = false;

  /** Sleeps until woken, stopped, or `ms` have passed. */
  const sleep = async (ms: number): Promise<void> => {
    if (awake || stopTaking.aborted) return;
    const woken = new AbortController();
    wakeUp = () => woken.abort();
    await wait(clock, ms, AbortSignal.any([woken.signal, stopTaking]));
    wakeUp = () => {};
  };

  const apply = async (batch: SpoolBatch): Promise<void> => {
    const parsed = batch.records.map(({ body, receivedAtMs }) => parseWebhook(body, receivedAtMs));
    const allMs = ingest.isAway() ? probeMs : boundMs;
    try {
      await store.store(parsed, { statementMs: allMs, allMs });
    } catch (error) {
      if (!(await cannotEverBeStored(batch, error))) throw error;
    }
    for (const delivery of parsed) logQuarantined(log, delivery);
  };

  /** A single record that fails while the database is well: it is set aside whole, so that it holds up nobody. */
  const cannotEverBeStored = async ({ records }: SpoolBatch, error: unknown): Promise<boolean> => {
    const [record] = records;
    const tellsOfStorage = error instanceof SyncError && error.code === "storage_unavailable";
    if (record === undefined || records.length > 1 || tellsOfStorage) return false;
    log.error("Spooled delivery set aside: it cannot be stored", context, { reason: messageOf(error) });
    await store.setAside(record.body, boundMs);
    return true;
  };

  /** One batch, if one waits. Answers whether there was. Throws where it could not be stored. */
  const step = async (): Promise<boolean> => {
    const batch = await spool.read({ records: recordsMax, bytes: drainBytesMax });
    if (batch === null) return false;
    try {
      await apply(batch);
    } catch (error) {
      // Perhaps one of them is the trouble: fewer at once, and one alone gets more time.
      if (recordsMax === 1) boundMs = Math.min(drainBoundMsMax, boundMs * 2);
      recordsMax = Math.max(1, recordsMax >> 1);
      probeMs = Math.min(probeBoundMsMax, probeMs * 2);
      throw error;
    }
    passFaultPoint("drained");
    spool.confirm(batch);
    unflushed = true;
    recordsMax = Math.min(drainRecordsMax, recordsMax * 2);
    boundMs = drainBoundMs;
    probeMs = probeBoundMs;
    ingest.resume();
    return true;
  };

  const clean = async (now: boolean): Promise<void> => {
    if (!unflushed || (flush !== null && !now && clock.monotonicMs() - last.flushedMs < flushEveryMs)) return;
    await flush?.();
    last.flushedMs = clock.monotonicMs();
    await spool.trim();
    unflushed = false;
  };

  const adopt = async (): Promise<void> => {
    if (clock.monotonicMs() - last.adoptedMs < adoptEveryMs) return;
    last.adoptedMs = clock.monotonicMs();
    await spool.adopt(); // says itself what it found
  };

  const run = async (): Promise<void> => {
    let failing = false;
    while (!stopTaking.aborted) {
      awake = false;
      try {
        await adopt();
        if (ingest.isFlooded()) {
          await wait(clock, probeEveryMs, stopTaking);
          continue;
        }
        const worked = await step();
        await clean(false);
        if (!worked && ingest.isAway() && (await store.takesWrites(probeBoundMs))) ingest.resume();
        if (failing) log.log("Spool drains again", context);
        failing = false;
        if (!worked) await sleep(ingest.isAway() ? probeEveryMs : idleMs);
      } catch (error) {
        if (!failing && !ingest.isAway()) log.warn("Spool not drained yet", context, { reason: messageOf(error) });
        failing = true;
        await wait(clock, probeEveryMs, stopTaking);
      }
    }
  };

  return {
    start(): void {
      ended = run();
    },
    /** Says that something was spooled. Returns at once. */
    wake(): void {
      awake = true;
      wakeUp();
    },
    /**
     * After `stopTaking`: ends the batch in hand and, as far as `boundMs` reaches, brings in what is left. Where it was
     * never started nothing is: the database is not ready for it. Never throws.
     */
    async settle(boundMs: number): Promise<void> {
      if (ended === null) return;
      const finish = async () => {
        await ended;
        while (await step());
        await clean(true);
      };
      await endsWithin(
        clock,
        finish().catch((error: unknown) =>
          log.warn("Spool left for the next start", context, { reason: messageOf(error) }),
        ),
        boundMs,
      );
    },
  };
}

const context = "Spool";
