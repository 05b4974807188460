import type { Clock } from "./clock.ts";

/** Work on its way: when its time is over, and how it is given up. */
type Pending = { readonly endMs: number; readonly giveUp: () => void };

/**
 * Makes a bound for work of which there is much at once: `within(work)` answers what `work` does, or null where it took
 * longer than `boundMs`, and rejects as `work` does. One timer serves all: the next to run out of time is always the
 * oldest. A timer each would cost more than what is waited for.
 */
export function createSharedBound(clock: Pick<Clock, "after" | "monotonicMs">, boundMs: number) {
  const pending = new Set<Pending>(); // the oldest first
  let cancel: (() => void) | null = null;

  const watch = (endMs: number): void => {
    cancel = clock.after(Math.max(1, endMs - clock.monotonicMs()), () => {
      cancel = null;
      const nowMs = clock.monotonicMs();
      for (const one of pending) {
        if (one.endMs > nowMs) {
          watch(one.endMs);
          return;
        }
        end(one);
        one.giveUp();
      }
    });
  };
  const end = (one: Pending): void => {
    if (!pending.delete(one) || pending.size > 0 || cancel === null) return;
    cancel(); // a timer that is left behind would keep the process from ending
    cancel = null;
  };

  return <T>(work: Promise<T>): Promise<T | null> =>
    new Promise((resolve, reject) => {
      const one: Pending = { endMs: clock.monotonicMs() + boundMs, giveUp: () => resolve(null) };
      pending.add(one);
      if (cancel === null) watch(one.endMs);
      work.then(
        (value) => {
          end(one);
          resolve(value);
        },
        (error) => {
          end(one);
          reject(error);
        },
      );
    });
}
