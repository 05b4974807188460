import type { Clock } from "../lib/clock.ts";
import { createSharedBound } from "../lib/shared-bound.ts";

/**
 * Longest time a body may take to arrive, in ms. Bun closes a connection that sends less than some 16 kB a second, and
 * lets a faster one go on for as long as it likes: at the cap of 4 MiB for four minutes. Meta's bodies take milliseconds.
 */
export const bodyMsMax = 30_000;

/**
 * Makes a reader of bodies that waits `bodyMs` at most: the bytes, or null where they took longer. Rejects where the
 * sender hangs up.
 */
export function createBodyReader(clock: Pick<Clock, "after" | "monotonicMs">, bodyMs = bodyMsMax) {
  const within = createSharedBound(clock, bodyMs);
  return async (request: Request): Promise<Uint8Array | null> => {
    const bytes = await within(request.arrayBuffer());
    return bytes && new Uint8Array(bytes);
  };
}
