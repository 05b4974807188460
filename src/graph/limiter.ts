import { SyncError } from "../domain/error.ts";

/** Runs work a bounded number at a time, in the order it was handed over. */
export type Limiter = <T>(signal: AbortSignal, work: () => Promise<T>) => Promise<T>;

/** The error of a lookup that was told to stop. */
export function interruption(signal: AbortSignal): SyncError {
  return new SyncError("interrupted", "Cannot finish the lookup: told to stop", { cause: signal.reason });
}

/** Makes a limiter of `slotsMax` places. Where `signal` fires before a place is free, the work never starts and the promise fails with `interrupted`. */
export function createLimiter(slotsMax: number): Limiter {
  let taken = 0;
  const waiting = new Set<() => void>();

  function enter(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(interruption(signal));
    if (taken < slotsMax) {
      taken += 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const leaveQueue = () => {
        waiting.delete(start);
        reject(interruption(signal));
      };
      const start = () => {
        signal.removeEventListener("abort", leaveQueue);
        resolve();
      };
      waiting.add(start);
      signal.addEventListener("abort", leaveQueue, { once: true });
    });
  }

  function leave(): void {
    const [next] = waiting;
    if (next === undefined) {
      taken -= 1;
      return;
    }
    // The place passes on directly, so that nobody can slip in between.
    waiting.delete(next);
    next();
  }

  return async (signal, work) => {
    await enter(signal);
    try {
      return await work();
    } finally {
      leave();
    }
  };
}
