import type { Clock } from "../lib/clock.ts";
import type { Io } from "./io.ts";

/** How often the memory is looked at, which takes some µs. A backfill may bring 20 MB within a tenth of a second. */
export const lookEveryMs = 15;
/** Resident memory from which on garbage is collected: what a backfill of any length really uses, so that 30 MB are left to 128 MB. */
export const collectFromBytes = 95_000_000;
/** What must have come since the last collection: one that comes too soon finds nothing, and they were a fifth of a backfill's processor time. */
export const collectGrowthBytes = 7_000_000;
/** Resident memory from which on none waits for that. */
export const collectAlwaysBytes = 109_000_000;
/** From the end of a collection to the next. Each takes 10 to 40 ms. */
export const collectApartMs = 75;

/**
 * Collects this process's garbage while much memory is in use, until its scope ends: left to itself the engine lets it grow
 * to the double. For a process of its own only: a daemon answers meanwhile.
 */
export function sweepMemory(
  { usage, clock }: Pick<Io, "usage"> & { readonly clock: Pick<Clock, "after" | "monotonicMs"> },
  collect: () => void = () => Bun.gc(true),
): Disposable {
  let collectedAtMs = Number.NEGATIVE_INFINITY;
  let leftBytes = 0;
  let cancel = () => {};
  const look = (): void => {
    const fromBytes = Math.max(collectFromBytes, Math.min(leftBytes + collectGrowthBytes, collectAlwaysBytes));
    if (clock.monotonicMs() - collectedAtMs >= collectApartMs && usage().residentBytes >= fromBytes) {
      collect();
      leftBytes = usage().residentBytes;
      collectedAtMs = clock.monotonicMs();
    }
    cancel = clock.after(lookEveryMs, look);
  };
  look();
  return { [Symbol.dispose]: () => cancel() };
}
