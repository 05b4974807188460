/** What Postgres saw of the schedules: every turn that a daemon of the set took and brought to its end. */
import { sweepEveryMs } from "../../src/usecases/dispatch.ts";
import type { Rig } from "./rig.ts";

/** Writes down each finished turn from now on. The schema must be there. */
export async function recordTurns({ sql }: Rig): Promise<void> {
  await sql`create table harness_turns (name text, owner text, started_at timestamptz)`;
  await sql`create function harness_record_turn() returns trigger language plpgsql as ${sql.unsafe(
    "$$ begin insert into harness_turns values (old.name, old.owner, old.last_started_at); return new; end $$",
  )}`;
  await sql`create trigger harness_turns after update on schedules for each row
    when (old.owner is not null and new.last_ended_at is distinct from old.last_ended_at)
    execute function harness_record_turn()`;
}

/**
 * Spec §12: work runs once in the whole set. Of the sweep, whose turn comes every 15 s: how many turns were finished, by
 * how many processes, and how many of them began before the interval of the one before was over. A turn that failed, or
 * whose daemon died, is none.
 */
export async function readTurns({ sql }: Rig): Promise<{ turns: number; owners: number; tooSoon: number }> {
  const [row] = await sql<{ turns: number; owners: number; tooSoon: number }[]>`
    select count(*)::int as turns, count(distinct owner)::int as owners,
      (count(*) filter (where gap < make_interval(secs => ${sweepEveryMs}::float8 / 1000)))::int as "tooSoon"
    from (select owner, started_at - lag(started_at) over (order by started_at) as gap
      from harness_turns where name = 'sweep') as turn`;
  return row ?? { turns: 0, owners: 0, tooSoon: 0 };
}
