import type { InboxPosition } from "./inbox-cursor.ts";

/** Instagram's clock and the database's may differ by so much: what is younger than that at a listing's start may have come after it. */
const clockMarginMs = 60_000;
/** After this a listing is done to its end again: people rename themselves, and a right that an app gains uncovers threads. */
const listingTrustMs = 7 * 86_400_000;

/** What changed before this (ms since 1970) was covered by the listing that began at `coveredAtMs`; null: nothing was. */
export function readKnownBefore(coveredAtMs: number | null, { startedAtMs }: InboxPosition): number | null {
  if (coveredAtMs === null || coveredAtMs < startedAtMs - listingTrustMs) return null;
  return coveredAtMs - clockMarginMs;
}

/** Whether all of some pages changed before `beforeMs`: their latest thread did, and said when. */
export function isOlder(newestAtMs: number | null, beforeMs: number | null): boolean {
  return beforeMs !== null && newestAtMs !== null && newestAtMs > 0 && newestAtMs < beforeMs;
}
