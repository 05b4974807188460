import type { Clock } from "../lib/clock.ts";

/** Time between two looks, in ms: short beside what is looked for, and four wake-ups a second are nothing. */
export const stallTickMs = 250;
/** A look that comes this much too late was a stall: nobody was served for a second. */
export const stallMs = 1_000;

/**
 * Calls `onStall` each time the event loop stood still for more than a second: a tick that is late by so much says so.
 * Each stall of `stallMs` + `stallTickMs` or more is found, none shorter than `stallMs` is. A stopped process counts too.
 */
export function watchStalls(clock: Pick<Clock, "after" | "monotonicMs">, onStall: () => void): AsyncDisposable {
  let cancel = () => {};
  const look = () => {
    const dueMs = clock.monotonicMs() + stallTickMs;
    cancel = clock.after(stallTickMs, () => {
      if (clock.monotonicMs() - dueMs > stallMs) onStall();
      look();
    });
  };
  look();
  return { [Symbol.asyncDispose]: async () => cancel() };
}
