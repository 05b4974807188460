import beatDaemon from "../../sql/queries/beat-daemon.sql" with { type: "text" };
import countDaemons from "../../sql/queries/count-daemons.sql" with { type: "text" };
import deleteDaemon from "../../sql/queries/delete-daemon.sql" with { type: "text" };
import type { Database } from "./database.ts";

/** Rows of daemons that died stay this long, so that one can see that there was one. */
export const silentForMs = 86_400_000;
/** Such rows that one beat removes: a beat is short, and there are many. */
export const silentRowsMax = 100;

export type DaemonsRepository = ReturnType<typeof createDaemonsRepository>;

/** The daemons that run on this database. Times are the database's. */
export function createDaemonsRepository(database: Database) {
  return {
    /** Says that `id` is alive; removes old rows of others. */
    async beat(id: string): Promise<void> {
      await database.query(beatDaemon, [id, silentForMs, silentRowsMax], "say that this daemon is alive");
    },
    /** Says that `id` has stopped in order. */
    async leave(id: string): Promise<void> {
      await database.query(deleteDaemon, [id], "say that this daemon stops");
    },
    /** How many have said so within the last `withinMs`. */
    async countAlive(withinMs: number): Promise<number> {
      const [row] = await database.query<{ alive: number }>(countDaemons, [withinMs], "count the running daemons");
      return row?.alive ?? 0;
    },
  };
}
