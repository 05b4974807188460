import type { FileHandle } from "node:fs/promises";
import type { Home } from "./home.ts";

/**
 * Longest spool file; no record is longer either. It bounds what reading takes in memory and what a scan takes at once
 * (about 10 ms), and is long enough that a new file's two extra fsyncs do not count.
 */
export const segmentBytesMax = 8 * 1_048_576;

/** A spool file as this process knows it. Offsets are bytes from its start. */
export type Segment = {
  readonly home: Home;
  readonly name: string;
  readonly path: string;
  /** The durable length: what may stand behind it was never acknowledged. */
  end: number;
  /** What stands before it is in the database. */
  position: number;
  /** Whole records up to `end`, and how many of them stand before `position`. */
  total: number;
  passed: number;
  /** When the first record behind `position` was received: exact after a read, else not later than that. */
  oldestMs: number | null;
  /** Starts of damaged stretches that have been reported. */
  readonly damage: Set<number>;
  /** Damaged stretches that could not be copied yet: the file must stay until they are. */
  unsaved: { readonly start: number; readonly end: number }[];
  /** Open while it is written; and where its name was removed, so that what is in it can still be read. */
  handle: FileHandle | null;
};

export const isDrained = (segment: Segment) => segment.position >= segment.end;

/** Notes that everything before `position` is dealt with, `passed` records in all. Never goes back. */
export function passTo(segment: Segment, position: number, passed: number, oldestMs: number | null): void {
  segment.position = Math.max(segment.position, position);
  segment.passed = Math.max(segment.passed, Math.min(passed, segment.total));
  if (isDrained(segment)) segment.passed = segment.total;
  segment.oldestMs = segment.passed < segment.total ? oldestMs : null;
}
