/**
 * Acknowledged deliveries wait here while the database is away: append-only files on local disk, fsynced before the
 * answer. Bytes in, bytes out; who reads decides what they mean. Each process writes into a folder of its own and
 * takes over those of processes that are gone, so several may share one spool folder.
 */
import { resolve } from "node:path";
import { SyncError } from "../domain/error.ts";
import { type Clock, endsWithin } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { createDamageDesk } from "./damage-desk.ts";
import { reasonOf } from "./durable-files.ts";
import { type Home, makeHome, removeHome, removeUnborn } from "./home.ts";
import { type BatchLimit, createReader, type SpoolBatch } from "./reader.ts";
import { adoptHomes } from "./recover-segment.ts";
import { isDrained } from "./segment.ts";
import type { SpoolRecord } from "./segment-format.ts";
import { bytesOn, createWriter, type Shelf, type SpoolReceipt } from "./writer.ts";

export type { SpoolBatch } from "./reader.ts";
export type { SpoolRecord } from "./segment-format.ts";
export type { SpoolReceipt } from "./writer.ts";

export type SpoolOptions = {
  readonly folder: string;
  /** Bytes on disk, this process's and those it took over, beyond which nothing is kept. */
  readonly bytesMax: number;
  readonly clock: Pick<Clock, "after" | "soon">;
  readonly log: Log;
};
export type SpoolState = {
  /** Not confirmed yet. */
  readonly records: number;
  /** On disk, own and taken over. */
  readonly bytes: number;
  /** When the oldest of `records` was received, or a little before; null where none waits. */
  readonly oldestReceivedAtMs: number | null;
  readonly bytesMax: number;
  /** Whether the last write came through. */
  readonly writable: boolean;
  /** Since the start: what could not be read and was put into `damaged/`, and bytes of unfinished writes. */
  readonly damaged: number;
  readonly cutBytes: number;
};
export type Spool = Awaited<ReturnType<typeof openSpool>>;

/** A disk that hangs must not keep the process alive. */
export const closeBoundMs = 3_000;

/**
 * Opens the spool in `folder` (made where missing) and takes over what dead processes left in it. Throws SyncError
 * `folder_unusable` where the folder cannot be written.
 */
export async function openSpool({ folder: given, bytesMax, clock, log }: SpoolOptions) {
  const folder = resolve(given);
  const shelf: Shelf = { segments: [], leftBytes: 0 };
  const desk = createDamageDesk(folder, log);
  const firstHome = await makeHome(folder).catch((error) => refuse(folder, error));
  const writer = createWriter(firstHome, shelf, { folder, bytesMax, clock, log });
  const reader = createReader(shelf, { desk, seal: writer.seal });
  /** Homes taken over, locked until they are empty. */
  let adopted: Home[] = [];
  /** Homes without a name, at the last look. */
  let unborn: ReadonlySet<string> = new Set();
  let housekeeping: Promise<unknown> = Promise.resolve();
  let closing: Promise<void> | null = null;

  /** One at a time: a second look must find what the first has locked or removed. */
  function keepHouse<T>(work: () => Promise<T>): Promise<T> {
    const done = housekeeping.then(work);
    housekeeping = done.catch(() => {});
    return done;
  }

  async function adoptNow(): Promise<number> {
    if (closing !== null) return 0;
    unborn = await removeUnborn(folder, unborn);
    const taken = new Set([writer.home(), ...adopted].map(({ name }) => name));
    const found = await adoptHomes({ folder, taken }, desk, log);
    const segments = found.flatMap((one) => one.segments);
    adopted = [...adopted, ...found.map(({ home }) => home)];
    shelf.leftBytes += found.reduce((sum, { leftBytes }) => sum + leftBytes, 0);
    const theirs = shelf.segments.filter(({ home }) => !home.own);
    const ours = shelf.segments.filter(({ home }) => home.own);
    shelf.segments = [...theirs, ...segments, ...ours];
    const records = segments.reduce((sum, { total }) => sum + total, 0);
    if (records > 0) log.log(`Took over ${records} deliveries that wait in the spool`, "Spool", { records });
    return records;
  }

  async function trimNow(): Promise<void> {
    await writer.seal(isDrained);
    for (const segment of shelf.segments.filter((one) => isDrained(one) && !writer.isActive(one))) {
      if (await reader.remove(segment)) shelf.segments = shelf.segments.filter((other) => other !== segment);
    }
    const kept: Home[] = [];
    for (const home of adopted) {
      const inUse = shelf.segments.some((segment) => segment.home === home);
      if (inUse || !(await removeHome(home))) kept.push(home);
    }
    adopted = kept;
  }

  /** Files with records stay, confirmed or not: only trim() knows that the database has them for good. */
  async function closeNow(): Promise<void> {
    await writer.stop();
    for (const segment of shelf.segments) {
      await segment.handle?.close().catch(() => {});
      if (segment.end === 0) await reader.remove(segment);
    }
    for (const home of [...adopted, writer.home()]) if (!(await removeHome(home))) home.lock.close();
  }
  const close = () => {
    closing ??= keepHouse(closeNow);
    return closing;
  };

  await adoptNow().catch(async (error) => {
    await close();
    return refuse(folder, error);
  });

  return {
    /**
     * Keeps a delivery. `kept` once its bytes are on disk for good; appends that wait share one write and one fsync.
     * `full` at once and without touching the disk where it has no room, or would wait behind too much; `unwritable`
     * where the disk refuses: the next append tries again. The body must not change until the answer. Never rejects.
     */
    append: (record: SpoolRecord): Promise<SpoolReceipt> => writer.append(record),

    /**
     * The oldest records that are not confirmed, in order, what was taken over first: at least one, whatever its size,
     * and never out of two files. Null: nothing waits. Until they are confirmed, the next read answers them again.
     * Throws SyncError `folder_unusable` where the process cannot open a file just now.
     */
    read: (limit: BatchLimit): Promise<SpoolBatch | null> => reader.read(limit),

    /** These are in the database: read() goes on behind them. Kept in memory only, so a crash brings them once more. */
    confirm: (batch: SpoolBatch): void => reader.confirm(batch),

    /** Removes every file whose records are all confirmed, and folders taken over that are empty. Never rejects. */
    trim: (): Promise<void> => keepHouse(trimNow),

    /** Takes over folders of processes that are gone; answers how many records came with them. Never rejects. */
    adopt: (): Promise<number> =>
      keepHouse(adoptNow).catch((error) => {
        log.warn(`Cannot look for spools left behind: ${reasonOf(error)}`, "Spool", { folder });
        return 0;
      }),

    /** Calls `listener` after each round of appends that is on disk. */
    onAppended: writer.onAppended,

    state(): SpoolState {
      const waiting = shelf.segments.filter(({ total, passed }) => passed < total);
      const oldest = waiting.flatMap(({ oldestMs }) => oldestMs ?? []);
      return {
        records: waiting.reduce((sum, { total, passed }) => sum + total - passed, 0),
        bytes: bytesOn(shelf),
        oldestReceivedAtMs: oldest.length === 0 ? null : Math.min(...oldest),
        bytesMax,
        writable: writer.isWritable(),
        ...desk.counts(),
      };
    },

    /**
     * Ends appends in flight within a bound, frees the locks, and removes what is empty. Where the disk hangs, the
     * locks stay until the process ends: nobody may take over a file that is still written.
     */
    async [Symbol.asyncDispose](): Promise<void> {
      const closed = await endsWithin(clock, close(), closeBoundMs);
      if (!closed) log.warn(`The spool did not close within ${closeBoundMs} ms`, "Spool", { folder });
    },
  };
}

function refuse(folder: string, error: unknown): never {
  throw new SyncError("folder_unusable", `Cannot use the spool ${folder}: ${reasonOf(error)}`, { cause: error });
}
