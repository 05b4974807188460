import type { Clock } from "../lib/clock.ts";
import { watchStalls } from "./stall-watch.ts";

/** What a delivery can come to. */
export const receipts = ["kept", "unsigned", "unavailable"] as const;
export type Receipt = (typeof receipts)[number];

/**
 * Upper bounds of the histogram's buckets, in seconds: a usual commit, a slow one, the aim under load (25 ms), what
 * Meta's patience and our own bound of 3 s leave. Few, since each is a time series of its own for good.
 */
export const bucketBounds = [0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 3] as const;

/** A number that somebody else keeps, read when it is asked for. */
export type Watched = { readonly name: string; readonly help: string; readonly read: () => number };

/** What was counted since the start: plain numbers, so that counting costs next to nothing. */
export type Counts = {
  readonly receipts: Record<Receipt, number>;
  /** How many deliveries fell into each bucket, not summed up; those beyond the last are in `seconds.count` alone. */
  readonly seconds: { readonly buckets: number[]; sum: number; count: number };
  quarantined: number;
  shed: number;
  stalls: number;
};

export type Metrics = ReturnType<typeof createMetrics>;

/**
 * Keeps the daemon's figures and writes them out for Prometheus. Labels are closed words, never ids: the number of time
 * series is fixed. The library that writes the format costs 55 ms and 17 MB, so it is loaded by the first question.
 */
export function createMetrics({ clock }: { clock: Pick<Clock, "after" | "monotonicMs"> }) {
  const counts: Counts = {
    receipts: { kept: 0, unsigned: 0, unavailable: 0 },
    seconds: { buckets: bucketBounds.map(() => 0), sum: 0, count: 0 },
    quarantined: 0,
    shed: 0,
    stalls: 0,
  };
  const watched = new Map<string, Watched>();

  return {
    countReceipt(receipt: Receipt): void {
      counts.receipts[receipt] += 1;
    },
    /** How long a delivery took from its last byte to its answer. */
    observeWebhookSeconds(seconds: number): void {
      const { seconds: kept } = counts;
      kept.sum += seconds;
      kept.count += 1;
      for (let at = 0; at < bucketBounds.length; at++) {
        if (seconds > (bucketBounds[at] ?? 0)) continue;
        kept.buckets[at] = (kept.buckets[at] ?? 0) + 1;
        return;
      }
    },
    /** Items or bodies that were set aside. */
    countQuarantined(items: number): void {
      counts.quarantined += items;
    },
    /** A delivery that our own code refused because too many, or too many bytes, were waiting. */
    countShed(): void {
      counts.shed += 1;
    },
    /**
     * Shows a number that somebody else keeps. A name that ends in `_total` is a counter and never falls, any other a
     * gauge. A second watch of one name takes the place of the first.
     */
    watch(name: string, help: string, read: () => number): void {
      watched.set(name, { name, help, read });
    },
    /** Counts from now on how often the event loop stood still. Dispose of what it answers to end that. */
    watchStalls: (): AsyncDisposable =>
      watchStalls(clock, () => {
        counts.stalls += 1;
      }),
    /** The figures now, in Prometheus' text format 0.0.4. A number that cannot be read is left out. */
    async render(): Promise<string> {
      const { writeExposition } = await import("./write-exposition.ts");
      return writeExposition(counts, [...watched.values()]);
    },
  };
}
