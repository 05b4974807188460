import type { LogEntry } from "./ledger.ts";

/**
 * Buckets that one window is cut into. A call is counted until the last call of its bucket has left the window, so up to
 * 1/1000 of the window too long, and never too short.
 */
export const bucketsPerWindow = 1_000;

type Bucket = { readonly index: number; lastMs: number; calls: number; shared: number };

/** Counts of one window: all calls, and those of them that are not `live`. */
export type WindowCount = { readonly calls: number; readonly shared: number };

/**
 * Counts calls over the last `windowMs` in bounded memory: at most `bucketsPerWindow` + 2 buckets whatever the traffic. A bucket is let go of once its
 * *youngest* call is more than `windowMs` old. So at any moment every call of the window that ends there is still counted, and
 * whoever adds only while the count allows it never has more than that in any window at all, wherever it begins.
 */
export function createSlidingWindow(windowMs: number) {
  const bucketMs = windowMs / bucketsPerWindow;
  const buckets: Bucket[] = [];
  let calls = 0;
  let shared = 0;
  let landed = 0;

  function count(nowMs: number): WindowCount {
    let first = buckets[0];
    while (first !== undefined && nowMs - first.lastMs > windowMs) {
      calls -= first.calls;
      shared -= first.shared;
      buckets.shift();
      first = buckets[0];
    }
    return { calls, shared };
  }

  function add(nowMs: number, added: WindowCount): void {
    const index = Math.floor(nowMs / bucketMs);
    let bucket = buckets.at(-1);
    if (bucket === undefined || bucket.index !== index) {
      bucket = { index, lastMs: nowMs, calls: 0, shared: 0 };
      buckets.push(bucket);
    }
    bucket.lastMs = nowMs;
    bucket.calls += added.calls;
    bucket.shared += added.shared;
    calls += added.calls;
    landed += added.calls;
    shared += added.shared;
  }

  /** Calls of the buckets whose youngest call is at or before `atMs`. */
  function countUntil(atMs: number): number {
    let sum = 0;
    for (const bucket of buckets) {
      if (bucket.lastMs > atMs) break;
      sum += bucket.calls;
    }
    return sum;
  }

  /** The calls that count now, oldest first. */
  function list(nowMs: number): LogEntry[] {
    count(nowMs);
    return buckets.map(({ lastMs, calls: made, shared: part }) => ({
      ageMs: nowMs - lastMs,
      calls: made,
      shared: part,
    }));
  }

  /** Adds calls of the past to the others. */
  function insert(nowMs: number, entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      if (entry.ageMs > windowMs) continue;
      const lastMs = nowMs - Math.max(0, entry.ageMs);
      buckets.push({ index: Math.floor(lastMs / bucketMs), lastMs, calls: entry.calls, shared: entry.shared });
      calls += entry.calls;
      landed += entry.calls;
      shared += entry.shared;
    }
    buckets.sort((one, other) => one.lastMs - other.lastMs);
  }

  /** How long until a count that `select` reads has fallen by at least one, in ms; 0 where there is nothing to wait for. */
  function untilLess(nowMs: number, select: (bucket: WindowCount) => number): number {
    const first = buckets.find((bucket) => select(bucket) > 0);
    return first === undefined ? 0 : Math.max(1, Math.ceil(first.lastMs + windowMs - nowMs + 1));
  }

  return { landed: () => landed, count, add, countUntil, list, insert, untilLess };
}

export type SlidingWindow = ReturnType<typeof createSlidingWindow>;
