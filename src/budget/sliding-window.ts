/**
 * Buckets that one window is cut into. A call is counted until the last call of its bucket has left the window, so up to
 * 1/360 of the window too long, and never too short.
 */
export const bucketsPerWindow = 360;

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
    shared += added.shared;
  }

  /**
   * Takes back calls that were counted and never made. From the oldest bucket on: whichever call it truly was, the ones that
   * are left are then counted at least as long as they should be.
   */
  function remove(nowMs: number, removed: number): void {
    count(nowMs);
    let left = removed;
    for (const bucket of buckets) {
      const part = Math.min(left, bucket.calls);
      const sharedPart = Math.min(part, bucket.shared);
      bucket.calls -= part;
      bucket.shared -= sharedPart;
      calls -= part;
      shared -= sharedPart;
      left -= part;
      if (left === 0) return;
    }
  }

  /** How long until a count that `select` reads has fallen by at least one, in ms; 0 where there is nothing to wait for. */
  function untilLess(nowMs: number, select: (bucket: WindowCount) => number): number {
    const first = buckets.find((bucket) => select(bucket) > 0);
    return first === undefined ? 0 : Math.max(1, Math.ceil(first.lastMs + windowMs - nowMs + 1));
  }

  return { count, add, remove, untilLess };
}

export type SlidingWindow = ReturnType<typeof createSlidingWindow>;
