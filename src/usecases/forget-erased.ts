import type { ProfileCache } from "../cache/profile-cache.ts";
import { profileTtlMs } from "../domain/profile.ts";
import { chunk } from "../lib/chunk.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { messageOf } from "../lib/message-of.ts";
import { repeat } from "../lib/repeat.ts";
import type { ErasuresRepository } from "../repository/erasures.ts";

/** How often a daemon whose cache is its own asks whom it still holds and should not. */
export const forgetEveryMs = 60_000;
/** Erasures that it asks after: nothing is held for longer. Who has come back since costs no call: Postgres knows them. */
export const latelyMs = profileTtlMs + 3_600_000;
/** People of one question. */
const peoplePerQuestion = 5_000;

export type ForgetDependencies = {
  erasures: Pick<ErasuresRepository, "listErased">;
  cache: Pick<ProfileCache, "listHeld" | "deleteProfiles">;
  clock: Pick<Clock, "after">;
  log: Log;
};

/**
 * Takes people out of this daemon's own cache who were erased elsewhere: only the database tells it. Where Redis is the
 * cache, the erasure itself has done so.
 */
export function createForgetting({ erasures, cache, clock, log }: ForgetDependencies, stopTaking: AbortSignal) {
  async function forget(): Promise<void> {
    for (const some of chunk(cache.listHeld(), peoplePerQuestion)) {
      const erased = await erasures.listErased(some, latelyMs);
      if (erased.length > 0) await cache.deleteProfiles(erased);
    }
  }

  return repeat({ clock, stop: stopTaking, everyMs: forgetEveryMs }, forget, (error) =>
    log.debug(`Erased people looked for later: ${messageOf(error)}`, "ProfileCache"),
  );
}
