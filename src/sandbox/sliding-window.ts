/**
 * A true sliding window: in *no* stretch of `windowMs`, wherever it starts, are more than `limit` calls let through.
 * It keeps the moment of each call, because buckets and fixed windows let twice the limit through at their seams.
 */

/** Drops the dead front of the list when it is this long and half of the list: each call is moved once at most. */
const compactAt = 1024;

export type SlidingWindow = ReturnType<typeof createSlidingWindow>;

/** Makes a window. Moments are handed in and must not go back (use a monotonic clock). */
export function createSlidingWindow(windowMs: number) {
  let moments: number[] = [];
  let head = 0;

  const forget = (nowMs: number): void => {
    // A call is out of the window the instant it is windowMs old: windows are half open, (now - windowMs, now].
    while (head < moments.length && (moments[head] ?? 0) <= nowMs - windowMs) head += 1;
    if (head >= compactAt && head * 2 >= moments.length) {
      moments = moments.slice(head);
      head = 0;
    }
  };

  return {
    /** Takes a place at `nowMs` if fewer than `limit` calls stand in the window. */
    take: (nowMs: number, limit: number): boolean => {
      forget(nowMs);
      if (moments.length - head >= limit) return false;
      moments.push(nowMs);
      return true;
    },
    /** How many calls stand in the window. */
    used: (nowMs: number): number => {
      forget(nowMs);
      return moments.length - head;
    },
    /** Milliseconds until a call is let through again; 0 where one would be now. */
    waitMs: (nowMs: number, limit: number): number => {
      forget(nowMs);
      const excess = moments.length - head - limit;
      if (excess < 0) return 0;
      // The call that has to leave; with a limit of 0 no leaving helps, and a whole window is the honest answer.
      const leaving = moments[head + excess];
      return leaving === undefined ? windowMs : leaving + windowMs - nowMs;
    },
  };
}
