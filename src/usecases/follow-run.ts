import { hasEnded, type Run } from "../domain/run.ts";
import { type Clock, wait } from "../lib/clock.ts";
import type { RunsRepository } from "../repository/runs.ts";

/** How often whoever watches a run reads its row. */
export const followEveryMs = 500;

/**
 * Watches a run that another process works on, by its row. Ends with the run as it was read last: where it has ended,
 * where it lost its owner (`free`) and is not to be waited for, or where `signal` fires. Null: the row is gone.
 */
export async function followRun(
  { runs, clock }: { runs: Pick<RunsRepository, "getRun">; clock: Pick<Clock, "after"> },
  { id, untilFree }: { id: string; untilFree: boolean },
  { signal, onProgress }: { signal: AbortSignal; onProgress: (run: Run) => void },
): Promise<Run | null> {
  for (;;) {
    const run = await runs.getRun(id);
    if (run === null) return null;
    onProgress(run);
    if (hasEnded(run) || (untilFree && run.free && run.state === "running") || signal.aborted) return run;
    await wait(clock, followEveryMs, signal);
  }
}
