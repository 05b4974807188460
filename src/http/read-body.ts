import type { Clock } from "../lib/clock.ts";

/**
 * Longest time a body may take to arrive, in ms. Bun closes a connection that sends less than some 16 kB a second, and
 * lets a faster one go on for as long as it likes: at the cap of 4 MiB for four minutes. Meta's bodies take milliseconds.
 */
export const bodyMsMax = 30_000;

/** A body on its way: when its time is over, and how it is given up. */
type Arrival = { readonly endMs: number; readonly giveUp: () => void };

/**
 * Makes a reader of bodies that waits `bodyMs` at most: the bytes, or null where they took longer. Rejects where the
 * sender hangs up. One timer serves all bodies: the next to run out of time is always the oldest.
 */
export function createBodyReader(clock: Pick<Clock, "after" | "monotonicMs">, bodyMs = bodyMsMax) {
  const arrivals = new Set<Arrival>(); // the oldest first
  let cancel: (() => void) | null = null;

  const watch = (endMs: number): void => {
    cancel = clock.after(Math.max(1, endMs - clock.monotonicMs()), () => {
      cancel = null;
      const nowMs = clock.monotonicMs();
      for (const arrival of arrivals) {
        if (arrival.endMs > nowMs) {
          watch(arrival.endMs);
          return;
        }
        end(arrival);
        arrival.giveUp();
      }
    });
  };
  const end = (arrival: Arrival): void => {
    if (!arrivals.delete(arrival) || arrivals.size > 0 || cancel === null) return;
    cancel(); // a timer that is left behind would keep the process from ending
    cancel = null;
  };

  return (request: Request): Promise<Uint8Array | null> =>
    new Promise((resolve, reject) => {
      const arrival: Arrival = { endMs: clock.monotonicMs() + bodyMs, giveUp: () => resolve(null) };
      arrivals.add(arrival);
      if (cancel === null) watch(arrival.endMs);
      request.arrayBuffer().then(
        (bytes) => {
          end(arrival);
          resolve(new Uint8Array(bytes));
        },
        (error) => {
          end(arrival);
          reject(error);
        },
      );
    });
}
