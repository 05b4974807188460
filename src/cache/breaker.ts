import type { Clock } from "../lib/clock.ts";

/** Failures that were waited for, in a row, after which the peer is left alone. */
export const breakerFailuresMax = 5;
/** How long it is left alone before one call tries again, in ms. */
export const breakerPauseMs = 5_000;

export type Breaker = {
  /** Whether a call may go now. After the pause one caller gets true, the others not before it has told how it went. */
  readonly enter: () => boolean;
  readonly succeed: () => void;
  /** Notes a failure that came at once: it cost nothing, says nothing of the peer's speed, and changes nothing. */
  readonly pass: () => void;
  /** Answers true where this failure has shut the breaker. */
  readonly fail: () => boolean;
  /** How long nothing is tried yet, in ms; 0: it is. */
  readonly shutForMs: () => number;
};

/** Makes a breaker: a peer that does not answer costs its time-out five times, then nothing for a while (design §7). */
export function createBreaker(clock: Pick<Clock, "monotonicMs">): Breaker {
  let failures = 0;
  let shutUntilMs: number | null = null;
  let trying = false;

  return {
    enter: () => {
      if (shutUntilMs === null) return true;
      if (trying || clock.monotonicMs() < shutUntilMs) return false;
      trying = true;
      return true;
    },
    succeed: () => {
      failures = 0;
      shutUntilMs = null;
      trying = false;
    },
    pass: () => {
      trying = false;
    },
    fail: () => {
      failures += 1;
      if (!trying && failures < breakerFailuresMax) return false;
      // Calls that were under way when it shut change nothing.
      const shuts = trying || shutUntilMs === null;
      if (shuts) shutUntilMs = clock.monotonicMs() + breakerPauseMs;
      trying = false;
      return shuts;
    },
    shutForMs: () => (shutUntilMs === null ? 0 : Math.max(0, shutUntilMs - clock.monotonicMs())),
  };
}
