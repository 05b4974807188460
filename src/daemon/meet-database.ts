import type { SyncError } from "../domain/error.ts";
import { type Clock, wait } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { isAway } from "../repository/storage-error.ts";

/** From an attempt that failed to the next: as often as a running daemon asks, since a full spool refuses so much longer than it must. */
export const meetAgainMs = 100;

type MeetOptions = {
  /** Whether a daemon may start without its database. */
  readonly mayBeAway: boolean;
  readonly clock: Pick<Clock, "after">;
  readonly log: Log;
};
export type Meeting = Awaited<ReturnType<typeof meetDatabase>>;

/**
 * Makes a daemon's database ready by `prepare`; where the server is away and may be, says so and leaves it to `wait()`.
 * Throws what `prepare` does otherwise.
 */
export async function meetDatabase(prepare: () => Promise<void>, { mayBeAway, clock, log }: MeetOptions) {
  const attempt = (): Promise<SyncError | null> =>
    prepare().then(
      () => null,
      (error: unknown) => {
        if (isAway(error)) return error;
        throw error;
      },
    );
  let away = await attempt();
  if (away !== null && !mayBeAway) throw away;
  if (away !== null)
    log.warn("Postgres is away: messages wait in the spool until it is back", "Database", { reason: away.message });

  return {
    /** Why the database is not ready; null once it is. */
    away: (): SyncError | null => away,
    /** Tries until the database is ready; false where `stop` fired first. Throws where it turns out to be unusable. */
    async wait(stop: AbortSignal): Promise<boolean> {
      while (away !== null) {
        if (!(await wait(clock, meetAgainMs, stop))) return false;
        away = await attempt();
      }
      return !stop.aborted;
    },
  };
}
