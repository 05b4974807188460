/** The one hand that writes: appends that wait go to disk together, with one write and one fsync for all of them. */
import { constants, fstatSync } from "node:fs";
import { open, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { reasonOf, syncFolder, writeAll } from "./durable-files.ts";
import { type Home, makeHome, nameSegment } from "./home.ts";
import { isDrained, type Segment, segmentBytesMax } from "./segment.ts";
import { type EncodedRecord, encodeRecord, type SpoolRecord, segmentHead } from "./segment-format.ts";

/** `kept`: on disk for good. `full`: no room, disk untouched. `unwritable`: the disk refused; it may yet turn up on a read. */
export type SpoolReceipt = "kept" | "full" | "unwritable";

/** Bytes that may wait in memory for the disk: a disk that hangs must not cost the process its memory. */
export const waitingBytesMax = 64 * 1_048_576;

/**
 * Appends that are answered in one turn of the event loop. An answer costs its server some 15 us, so a round at once
 * took 10 ms; under three times the load that Postgres takes, a refusal waits 1 to 4 ms now where it waited 15.
 */
const answersPerTurn = 32;

type Waiting = EncodedRecord & { readonly receivedAtMs: number; readonly answer: (receipt: SpoolReceipt) => void };
type Options = {
  readonly folder: string;
  readonly bytesMax: number;
  readonly clock: Pick<Clock, "soon">;
  readonly log: Log;
};
/**
 * The segments in the order of reading: the writer adds at the end, and drops what never held a record. Beside them, the
 * bytes of files that cannot be read nor moved: they take the disk's room too.
 */
export type Shelf = { segments: Segment[]; leftBytes: number };

export const bytesOn = ({ segments, leftBytes }: Shelf) => segments.reduce((sum, { end }) => sum + end, leftBytes);

export function createWriter(firstHome: Home, shelf: Shelf, { folder, bytesMax, clock, log }: Options) {
  const listeners: (() => void)[] = [];
  let home = firstHome;
  let sequence = 0;
  /** The segment being written; its handle is open. */
  let active: Segment | null = null;
  let waiting: Waiting[] = [];
  let waitingBytes = 0;
  let running = false;
  let closed = false;
  let writable = true;
  let turn: Promise<unknown> = Promise.resolve();
  /** Ends when everybody whose round is over has been told. Never rejects. */
  let telling: Promise<void> = Promise.resolve();

  /** One at a time: a round, a seal and the end never meet. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = turn.then(work);
    turn = done.catch(() => {});
    return done;
  }

  function noteOutcome(error: unknown): void {
    if (writable === (error === null)) return;
    writable = error === null;
    if (writable) log.warn("The spool can be written again", "Spool", { folder });
    else log.warn(`Cannot write the spool: ${reasonOf(error)}`, "Spool", { folder });
  }

  async function createSegment(): Promise<Segment> {
    sequence += 1;
    const name = nameSegment(sequence);
    const path = join(home.path, name);
    const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants;
    const handle = await open(path, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW, 0o600);
    const nothingYet = { end: 0, position: 0, total: 0, passed: 0, oldestMs: null, damage: new Set<number>() };
    return { home, name, path, ...nothingYet, unsaved: [], handle };
  }

  async function startSegment(): Promise<Segment> {
    const started = await createSegment().catch(async (error) => {
      if (reasonOf(error) !== "ENOENT") throw error;
      const lost = home; // somebody removed the folder under us
      home = await makeHome(folder);
      lost.lock.close();
      return createSegment();
    });
    shelf.segments.push(started);
    active = started;
    return started;
  }

  async function close(segment: Segment): Promise<void> {
    if (active === segment) active = null;
    const handle = segment.handle;
    segment.handle = null;
    await handle?.close().catch(() => {}); // what counts is on disk already
  }

  /**
   * Writes no more into `segment`; it is read up to its durable length. After a failed fsync nothing can be said of
   * what was written since the last good one, and a second fsync would lie: so a new file is the only way on.
   */
  async function abandon(segment: Segment): Promise<void> {
    await segment.handle?.truncate(segment.end).catch(() => {});
    const unlinked = (await segment.handle?.stat().catch(() => null))?.nlink === 0;
    if (active === segment) active = null;
    if (!unlinked || segment.end === 0) await close(segment);
    if (segment.end > 0) return;
    shelf.segments = shelf.segments.filter((other) => other !== segment);
    await unlink(segment.path).catch(() => {});
  }

  /** Takes from the front of the queue what fits into `room` bytes, the first in any case. */
  function takeRound(room: number): Waiting[] {
    let count = 0;
    for (let left = room; count < waiting.length; count++) {
      left -= waiting[count]?.bytes ?? 0;
      if (left < 0 && count > 0) break;
    }
    const round = waiting.slice(0, count);
    waiting = waiting.slice(count);
    return round;
  }

  async function write(segment: Segment, handle: NonNullable<Segment["handle"]>, round: Waiting[]): Promise<void> {
    const fresh = segment.end === 0;
    const bytes = Buffer.concat([
      fresh ? segmentHead : Buffer.alloc(0),
      ...round.flatMap((one) => [one.head, one.body]),
    ]);
    try {
      await writeAll(handle, bytes, segment.end);
    } catch (error) {
      const isCut = await handle.truncate(segment.end).then(
        () => true,
        () => false,
      );
      if (!isCut) await abandon(segment);
      throw error;
    }
    try {
      if (fresh) {
        await handle.sync();
        await syncFolder(segment.home.path);
      } else await handle.datasync();
      // A file without a name takes bytes and syncs them, and is gone with the process.
      // Asked in place, since that waits for no disk: another turn of the event loop is long when posts pour in.
      if (fstatSync(handle.fd).nlink === 0) throw new Error("its file was removed");
    } catch (error) {
      await abandon(segment);
      throw error;
    }
    if (isDrained(segment)) segment.oldestMs = round[0]?.receivedAtMs ?? null;
    if (fresh) segment.position = segmentHead.length;
    segment.total += round.length;
    segment.end += bytes.length;
  }

  async function runRound(): Promise<void> {
    let round: Waiting[] = [];
    let failure: unknown = null;
    try {
      const end = active?.end ?? 0;
      if (active !== null && end > 0 && end + (waiting[0]?.bytes ?? 0) > segmentBytesMax) await close(active);
      const segment = active ?? (await startSegment());
      round = takeRound(segmentBytesMax - Math.max(segment.end, segmentHead.length));
      if (segment.handle === null) throw new Error("its file is closed");
      await write(segment, segment.handle, round);
    } catch (error) {
      failure = error;
      if (round.length === 0) round = takeRound(segmentBytesMax);
    }
    for (const { bytes } of round) waitingBytes -= bytes;
    noteOutcome(failure);
    telling = telling.then(() => tell(round, failure === null ? "kept" : "unwritable"));
    if (failure === null) tellListeners();
  }

  /** While the next round is written. Everybody at once would hold up the event loop, and whoever is refused meanwhile. */
  async function tell(round: readonly Waiting[], receipt: SpoolReceipt): Promise<void> {
    for (const [at, { answer }] of round.entries()) {
      if (at > 0 && at % answersPerTurn === 0) await new Promise<void>(clock.soon);
      answer(receipt);
    }
  }

  function tellListeners(): void {
    for (const listener of listeners) {
      try {
        listener();
      } catch (error) {
        log.error(`A listener of the spool failed: ${reasonOf(error)}`, "Spool");
      }
    }
  }

  async function runRounds(): Promise<void> {
    if (running) return;
    running = true;
    while (waiting.length > 0) await inTurn(runRound);
    running = false;
  }

  /** Room left on disk once all that waits is written, a new segment's head reckoned in. */
  const roomFor = (bytes: number) =>
    bytes <= segmentBytesMax - segmentHead.length &&
    waitingBytes + bytes <= waitingBytesMax &&
    bytesOn(shelf) + waitingBytes + bytes + segmentHead.length <= bytesMax;

  return {
    /** See Spool.append. */
    append(record: SpoolRecord): Promise<SpoolReceipt> {
      if (closed) return Promise.resolve("unwritable");
      if (!roomFor(record.body.length)) return Promise.resolve("full"); // before the work of encoding
      const encoded = encodeRecord(record);
      if (!roomFor(encoded.bytes)) return Promise.resolve("full");
      return new Promise((answer) => {
        waitingBytes += encoded.bytes;
        waiting.push({ ...encoded, receivedAtMs: record.receivedAtMs, answer });
        void runRounds();
      });
    },

    onAppended: (listener: () => void): void => void listeners.push(listener),
    isWritable: () => writable,
    isActive: (segment: Segment) => segment === active,
    home: () => home,

    /** Ends the segment being written where `isDue` says so; the next append starts another. */
    seal: (isDue: (segment: Segment) => boolean): Promise<void> =>
      inTurn(async () => {
        if (active !== null && isDue(active)) await close(active);
      }),

    /** Takes no more appends; resolves when those in flight are answered. */
    stop(): Promise<void> {
      closed = true;
      return runToEnd();
    },
  };

  async function runToEnd(): Promise<void> {
    while (running) await inTurn(() => Promise.resolve());
    await telling;
    if (active !== null) await close(active);
  }
}
