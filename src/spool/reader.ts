import { rm } from "node:fs/promises";
import { SyncError } from "../domain/error.ts";
import type { DamageDesk } from "./damage-desk.ts";
import { isPassing, openToRead, readSpan, reasonOf, withFile } from "./durable-files.ts";
import { isDrained, passTo, type Segment } from "./segment.ts";
import { type SpoolRecord, scanRecords } from "./segment-format.ts";
import type { Shelf } from "./writer.ts";

/** Records that follow each other. `confirm()` takes this very object back. */
export type SpoolBatch = { readonly records: readonly SpoolRecord[] };
export type BatchLimit = { readonly records: number; readonly bytes: number };

/** What a confirmed batch leaves behind it: offsets as in Segment. */
type Place = { readonly segment: Segment; readonly end: number; readonly passed: number; readonly oldestMs: number };
/** The durable bytes of one segment from `base` on, kept between reads: each byte is read once. */
type Loaded = { readonly segment: Segment; readonly base: number; readonly bytes: Uint8Array };

type Options = { readonly desk: DamageDesk; readonly seal: (isDue: (segment: Segment) => boolean) => Promise<void> };

export function createReader(shelf: Shelf, { desk, seal }: Options) {
  const places = new WeakMap<SpoolBatch, Place>();
  let loaded: Loaded | null = null;

  /** The bytes behind `segment.position`, to a boundary of records. Null: the file is lost, which has been reported. */
  async function load(segment: Segment): Promise<Loaded | null> {
    const at = segment.position;
    if (loaded?.segment === segment && loaded.base <= at && at < loaded.base + loaded.bytes.length) return loaded;
    const end = segment.end;
    let bytes: Uint8Array;
    try {
      bytes = await readDurable(segment, at, end);
    } catch (error) {
      if (isPassing(error))
        throw new SyncError("folder_unusable", `Cannot read the spool: ${reasonOf(error)}`, { cause: error });
      await lose(segment, reasonOf(error));
      return null;
    }
    if (bytes.length < end - at) await shorten(segment, at + bytes.length);
    loaded = { segment, base: at, bytes };
    return loaded;
  }

  /** By name, since the writer may close its own handle at any time; by the handle where the name was removed. */
  async function readDurable(segment: Segment, start: number, end: number): Promise<Uint8Array> {
    try {
      return await withFile(openToRead(segment.path), (file) => readSpan(file, start, end));
    } catch (error) {
      if (segment.handle === null || reasonOf(error) !== "ENOENT") throw error;
      return readSpan(segment.handle, start, end);
    }
  }

  async function lose(segment: Segment, why: string): Promise<void> {
    await seal((active) => active === segment);
    const moved = await desk.setAside(segment, why, segment.total - segment.passed);
    if (!moved) segment.unsaved.push({ start: 0, end: segment.end });
    passTo(segment, segment.end, segment.total, null);
  }

  /** Somebody cut the file: what is left in it is read all the same. */
  async function shorten(segment: Segment, end: number): Promise<void> {
    await seal((active) => active === segment);
    await desk.report(segment, { start: end, end: segment.end }, new Uint8Array(0));
    segment.end = end;
    passTo(segment, segment.position, segment.passed, segment.oldestMs);
  }

  /** Null: nothing but damage stood in what was loaded, and the segment's position is behind it. */
  async function takeBatch({ segment, base, bytes }: Loaded, limit: BatchLimit): Promise<SpoolBatch | null> {
    const records: SpoolRecord[] = [];
    const from = segment.position;
    let end = from;
    let oldestMs: number | null = null;
    for (const stretch of scanRecords(bytes, from - base)) {
      const stop = base + stretch.end;
      if (stretch.kind !== "record") {
        const span = { start: base + stretch.start, end: stop };
        if (!segment.damage.has(span.start) && segment.total > segment.passed) segment.total -= 1;
        await desk.report(segment, span, bytes.subarray(stretch.start, stretch.end));
      } else if (records.length > 0 && (records.length >= limit.records || stop - from > limit.bytes)) {
        oldestMs = stretch.record.receivedAtMs;
        break;
      } else records.push(stretch.record);
      end = stop;
    }
    const first = records[0];
    if (first === undefined) {
      passTo(segment, end, segment.passed, null);
      return null;
    }
    segment.oldestMs = first.receivedAtMs;
    const batch = { records };
    const last = records[records.length - 1] ?? first;
    places.set(batch, {
      segment,
      end,
      passed: segment.passed + records.length,
      oldestMs: oldestMs ?? last.receivedAtMs,
    });
    return batch;
  }

  return {
    /** See Spool.read. */
    async read(limit: BatchLimit): Promise<SpoolBatch | null> {
      for (const segment of shelf.segments) {
        while (!isDrained(segment)) {
          const found = await load(segment);
          const batch = found && (await takeBatch(found, limit));
          if (batch !== null) return batch;
        }
      }
      return null;
    },

    /** See Spool.confirm. */
    confirm(batch: SpoolBatch): void {
      const place = places.get(batch);
      if (place === undefined || place.end <= place.segment.position) return;
      passTo(place.segment, place.end, place.passed, place.oldestMs);
    },

    /** Removes a drained segment's file. False: it must stay for now, for evidence or because the disk refuses. */
    async remove(segment: Segment): Promise<boolean> {
      for (const span of segment.unsaved) {
        const bytes = await withFile(openToRead(segment.path), (file) => readSpan(file, span.start, span.end)).catch(
          () => null,
        );
        if (bytes === null || !(await desk.save(segment, span, bytes))) return false;
        segment.unsaved = segment.unsaved.filter((other) => other !== span);
      }
      try {
        await rm(segment.path, { force: true });
      } catch {
        return false;
      }
      if (loaded?.segment === segment) loaded = null;
      await segment.handle?.close().catch(() => {});
      segment.handle = null;
      return true;
    },
  };
}
