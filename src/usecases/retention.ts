import { type Clock, wait } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { ReplayRepository } from "../repository/replay.ts";
import type { Schedule } from "./schedules.ts";

/** Rows one statement removes: it holds its locks for milliseconds, and nothing waits for it. */
export const removedMax = 1_000;
/** Blocks one statement looks through: 16 MB of a Postgres with its usual blocks of 8 kB. */
export const stretchBlocks = 2_000;
/** Between two statements the disk is the webhook's. */
export const pauseMs = 50;
/** Statements of one run: at most 20 million rows, or 300 GB of table, in some 20 minutes. The next run goes on. */
export const statementsMax = 20_000;
/** How often old events are looked for. They are kept for days: some hours more or less are nothing. */
export const retentionEveryMs = 6 * 3_600_000;
/** Longer than a run may take, so that no two run at once; a dead daemon's run is taken over after this. */
export const retentionLeaseMs = 3_600_000;

export type RetentionDependencies = {
  events: Pick<ReplayRepository, "removeExpired" | "removeExpiredQuarantine">;
  clock: Pick<Clock, "after">;
  log: Log;
};

/** Makes the schedule that removes raw events and quarantined bodies that are older than `days`. */
export function createRetention({ events, clock, log }: RetentionDependencies, { days }: { days: number }): Schedule {
  let from = 0; // where the last run of this process stopped for its bound

  return {
    name: "retention",
    everyMs: retentionEveryMs,
    leaseMs: retentionLeaseMs,
    /** One pass over the table in small steps. Throws `storage_unavailable`; what was removed until then stays removed. */
    async run(signal) {
      let removed = 0;
      let ended = false;
      for (let statements = 0; statements < statementsMax && !signal.aborted && !ended; statements++) {
        const step = await events.removeExpired(days, { from, blocks: stretchBlocks }, removedMax);
        removed += step.removed;
        // A full batch may have left some in its stretch: the same one again.
        if (step.removed < removedMax) from += stretchBlocks;
        ended = from >= step.blocks;
        if (!ended) await wait(clock, pauseMs, signal);
      }
      if (ended) from = 0;
      let quarantined = 0;
      for (let full = true; full && !signal.aborted; ) {
        const count = await events.removeExpiredQuarantine(days, removedMax);
        quarantined += count;
        full = count === removedMax;
        if (full) await wait(clock, pauseMs, signal);
      }
      if (removed + quarantined > 0)
        log.log(`Removed ${removed} raw events and ${quarantined} quarantined bodies older than ${days} days`, context);
    },
  };
}

const context = "Retention";
