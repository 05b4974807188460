/**
 * Time and chance as one argument, made once in `bin` and handed down, so that a test can run days in
 * milliseconds and repeat a run from its seed.
 */
export type Clock = {
  /** Wall time in milliseconds since 1970; may step. For time stamps that people read. */
  nowMs: () => number;
  /** Milliseconds since some moment; never steps. For limits, leases and durations. */
  monotonicMs: () => number;
  /** A number in [0, 1). */
  random: () => number;
  /** Calls `run` once after `delayMs`; the returned function takes it back. */
  after: (delayMs: number, run: () => void) => () => void;
  /** Calls `run` once what this turn of the event loop brought has been handled. */
  soon: (run: () => void) => void;
};

/** The machine's own clock. Only the composition root and tests call this. */
export function createSystemClock(): Clock {
  return {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    random: () => Math.random(),
    after: (delayMs, run) => {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
    soon: (run) => void setImmediate(run),
  };
}

/** Waits `delayMs`, or until `signal` fires. Answers true where the whole time passed. Never throws. */
export function wait(clock: Pick<Clock, "after">, delayMs: number, signal?: AbortSignal): Promise<boolean> {
  if (signal?.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const onAbort = () => {
      cancel();
      resolve(false);
    };
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve(true);
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** Waits for `work` to end, `boundMs` at most. Answers whether it did. Rejects as `work` does; leaves no timer behind. */
export function endsWithin(clock: Pick<Clock, "after">, work: Promise<unknown>, boundMs: number): Promise<boolean> {
  // Bare, since every post waits through here: with a race and a signal it cost a tenth of all time in a flood.
  return new Promise((resolve, reject) => {
    const cancel = clock.after(boundMs, () => resolve(false));
    work.then(
      () => {
        cancel();
        resolve(true);
      },
      (error) => {
        cancel();
        reject(error);
      },
    );
  });
}
