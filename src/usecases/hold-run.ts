import type { Run, RunPlace } from "../domain/run.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { messageOf } from "../lib/message-of.ts";
import type { RunsRepository } from "../repository/runs.ts";

/** How often a run's owner says that it lives, and hears whether it should stop: whoever watches sees it this late. */
export const beatEveryMs = 2_000;

/** Why an owner has to let go. `lost`: somebody else owns the run; `cancelled`: an operator wants its end. */
export type HoldEnd = "lost" | "cancelled";

/**
 * Keeps a run owned until `release()`: saves `place()` every two seconds and whenever `save()` is called. A database
 * that is away costs a warning: it refuses the writes of a run that was lost meanwhile all by itself.
 */
export function holdRun(
  { runs, clock, log }: { runs: Pick<RunsRepository, "saveRun">; clock: Pick<Clock, "after">; log: Pick<Log, "warn"> },
  run: Run,
  place: () => RunPlace,
) {
  const ended = new AbortController();
  let why: HoldEnd | null = null;
  let released = false;
  let cancel = () => {};
  let beating = Promise.resolve();
  let saving = Promise.resolve();

  const saveNow = async (): Promise<void> => {
    const answer = await runs.saveRun(run, place());
    if (answer !== null && !answer.cancelRequested) return;
    why ??= answer === null ? "lost" : "cancelled";
    ended.abort();
  };
  // One after the other: a beat that came to the database late would take back where the run stands by then.
  const save = (): Promise<void> => {
    const saved = saving.then(saveNow);
    saving = saved.catch(() => {});
    return saved;
  };
  const beat = (): void => {
    beating = save()
      .catch((error) => log.warn(`Heartbeat of run ${run.id} put off: ${messageOf(error)}`, context))
      .then(plan);
  };
  const plan = (): void => {
    if (!released) cancel = clock.after(beatEveryMs, beat);
  };
  plan();

  return {
    /** Fires when the run has to be let go. */
    ended: ended.signal,
    why: (): HoldEnd | null => why,
    save,
    async release(): Promise<void> {
      released = true;
      cancel();
      await beating;
    },
  };
}

const context = "BackfillParticipantProfilesProcessor";
