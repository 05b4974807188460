/**
 * Who said what when, kept outside of the product: which delivery was sent, which was acknowledged, how long each
 * request took. The product is judged by this and by nothing that it says of itself.
 *
 *   const ledger = createLedger();
 *   const tick = ledger.sent(delivery);          // at the moment of sending
 *   ledger.answered(tick, 200)                   // status, or 0 where no whole answer came
 *   ledger.isAcknowledged(7), ledger.unacknowledged(), ledger.firstAckAfter(performance.now())
 *   ledger.worst()                               // { pendingMs, gapMs, overMs: requests pending over 3 s }
 */
import { createGrowingBits } from "./growing-bits.ts";

/** No request may be pending for longer (spec §3). */
export const pendingMsMax = 3_000;
/** Starts of requests that got no 200 are listed up to here: enough to see what went wrong. */
const latesMax = 50;

export type SentTick = { readonly delivery: number; readonly startMs: number };
export type Ledger = ReturnType<typeof createLedger>;

/** Makes an empty ledger. Times are those of `performance.now()`. */
export function createLedger() {
  const sentOnce = createGrowingBits();
  const acknowledged = createGrowingBits();
  const statuses = new Map<number, number>();
  /** End of each acknowledged request, ascending by nature. */
  const ackEnds: number[] = [];
  const ackTimes: number[] = [];
  const lates: { delivery: number; ms: number; status: number }[] = [];
  const pending = new Set<SentTick>();
  let longestMs = 0;
  let over = 0;

  const lowerBound = (ms: number) => {
    let [low, high] = [0, ackEnds.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((ackEnds[middle] ?? 0) < ms) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  return {
    sent(delivery: number): SentTick {
      sentOnce.add(delivery);
      const tick = { delivery, startMs: performance.now() };
      pending.add(tick);
      return tick;
    },
    /** `status`: 0 where the connection was refused, cut or timed out. A refused connection is no pending request: `counted` false. */
    answered(tick: SentTick, status: number, { counted = true } = {}): void {
      const endMs = performance.now();
      pending.delete(tick);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      const ms = endMs - tick.startMs;
      if (counted) longestMs = Math.max(longestMs, ms);
      if (counted && ms > pendingMsMax) {
        over += 1;
        if (lates.length < latesMax) lates.push({ delivery: tick.delivery, ms, status });
      }
      if (status !== 200) return;
      acknowledged.add(tick.delivery);
      ackEnds.push(endMs);
      ackTimes.push(ms);
    },
    isSent: sentOnce.has,
    isAcknowledged: acknowledged.has,
    sentDeliveries: sentOnce.members,
    acknowledgedDeliveries: acknowledged.members,
    acknowledgedCount: acknowledged.size,
    sentCount: sentOnce.size,
    /** Sent, and no 200 seen: they may be stored or not. */
    unacknowledged: (): number[] => [...sentOnce.members()].filter((delivery) => !acknowledged.has(delivery)),
    /** Requests under way now. */
    pendingCount: () => pending.size,
    /** Answers by status; 0: none came. */
    statuses: (): ReadonlyMap<number, number> => statuses,
    /** Ms from the moment `sinceMs` to the first 200 after it; null where none came yet. */
    firstAckAfter(sinceMs: number): number | null {
      const end = ackEnds[lowerBound(sinceMs)];
      return end === undefined ? null : end - sinceMs;
    },
    /** Times of the acknowledged requests that ended within [fromMs, toMs], in ms. */
    ackTimesWithin: (fromMs: number, toMs: number) => ackTimes.slice(lowerBound(fromMs), lowerBound(toMs)),
    ackCountWithin: (fromMs: number, toMs: number) => lowerBound(toMs) - lowerBound(fromMs),
    /** Longest time without a single 200 within [fromMs, toMs], its ends included. */
    worstGapWithin(fromMs: number, toMs: number): number {
      let [worst, last] = [0, fromMs];
      for (const end of [...ackEnds.slice(lowerBound(fromMs), lowerBound(toMs)), toMs]) {
        worst = Math.max(worst, end - last);
        last = end;
      }
      return worst;
    },
    /** Forgets the longest request so far: for judging a phase by itself. */
    resetWorst(): void {
      longestMs = 0;
      over = 0;
      lates.length = 0;
    },
    /** The longest that any request was pending, those under way included, and how many were over `pendingMsMax`. */
    worst() {
      const nowMs = performance.now();
      const running = [...pending].map((tick) => nowMs - tick.startMs);
      return {
        pendingMs: Math.max(longestMs, ...running),
        over: over + running.filter((ms) => ms > pendingMsMax).length,
        lates: [...lates],
      };
    },
  };
}
