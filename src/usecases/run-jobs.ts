import type { Run } from "../domain/run.ts";
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/message-of.ts";
import { repeat } from "../lib/repeat.ts";
import type { AccountsRepository } from "../repository/accounts.ts";
import type { RunsRepository } from "../repository/runs.ts";
import { type BackfillDependencies, backfill } from "./backfill.ts";
import type { RunSeat } from "./open-run.ts";

/** How often a daemon looks for a run that was given to the daemons. */
export const jobsEveryMs = 2_000;
/** Runs of one daemon at once: each has requests of its own in flight, beside who writes now. */
export const jobsMax = 4;

export type RunJobsDependencies = Omit<BackfillDependencies, "runs" | "clock"> & {
  runs: BackfillDependencies["runs"] & Pick<RunsRepository, "claimDetachedRun">;
  accounts: BackfillDependencies["accounts"] & Pick<AccountsRepository, "listAccounts">;
  clock: Clock;
};

/**
 * Works in this daemon on backfill runs that were given to the daemons (`backfill --detach`). The database decides which
 * daemon gets a run; one that stops, or dies, leaves it to the others.
 */
export function createRunJobs(
  dependencies: RunJobsDependencies,
  seat: RunSeat,
  { stopTaking }: { stopTaking: AbortSignal },
) {
  const { runs, accounts, clock, log } = dependencies;
  const running = new Set<Promise<void>>();

  const work = async (run: Run): Promise<void> => {
    const account = (await accounts.listAccounts()).find(({ id }) => id === run.accountId);
    if (account === undefined) {
      const { cursor, total, done } = run;
      const end = { state: "failed", cursor, total: total ?? done, blockedReason: "token_missing" } as const;
      await runs.finishRun(run, end);
      return;
    }
    const lock = seat.lock(account.id);
    try {
      await backfill(dependencies, { run, account }, { signal: stopTaking, onProgress() {} });
    } finally {
      lock?.close();
    }
  };

  const take = async (): Promise<void> => {
    while (running.size < jobsMax && !stopTaking.aborted) {
      const run = await runs.claimDetachedRun(seat);
      if (run === null) return;
      const job = work(run)
        .catch((error) => log.warn(`Backfill job ${run.id} left to another daemon: ${messageOf(error)}`, context))
        .finally(() => running.delete(job));
      running.add(job);
    }
  };

  const looks = repeat({ clock, stop: stopTaking, everyMs: jobsEveryMs }, take, (error) =>
    log.warn(`Backfill jobs put off: ${messageOf(error)}`, context),
  );

  return {
    start: looks.start,
    /** After `stopTaking`: waits for what is in hand; what is left of the runs is queued again. */
    async settle(): Promise<void> {
      await looks.settle();
      await Promise.all(running);
    },
  };
}

const context = "BackfillParticipantProfilesProcessor";
