import claimSchedule from "../../sql/queries/claim-schedule.sql" with { type: "text" };
import finishSchedule from "../../sql/queries/finish-schedule.sql" with { type: "text" };
import releaseSchedule from "../../sql/queries/release-schedule.sql" with { type: "text" };
import type { Database } from "./database.ts";

export type SchedulesRepository = ReturnType<typeof createSchedulesRepository>;

/** Work that the whole set of daemons does once an interval, whoever of them comes first. Times are the database's. */
export function createSchedulesRepository(database: Database) {
  const say = async (sql: string, name: string, owner: string, action: string): Promise<boolean> =>
    (await database.query(sql, [name, owner], action)).length > 0;
  return {
    /**
     * Takes `name` for `leaseMs`: true for one of any number of claimers an interval, counted from start to start, and
     * once more where its holder has died, which shows when the lease runs out.
     */
    async claim(name: string, everyMs: number, leaseMs: number, owner: string): Promise<boolean> {
      return (await database.query(claimSchedule, [name, everyMs, leaseMs, owner], "claim a schedule")).length > 0;
    },
    /** Done for this interval. False where the lease had run out and somebody else holds it. */
    finish: (name: string, owner: string) => say(finishSchedule, name, owner, "finish a schedule"),
    /** Gives it back undone: the next who asks gets it. False as for `finish()`. */
    release: (name: string, owner: string) => say(releaseSchedule, name, owner, "give a schedule back"),
  };
}
