/** Row 17: somebody else updates the same conversations, crosswise (40P01), and under a stricter isolation (40001). */
import postgres from "postgres";
import { createChance, hash } from "../chance.ts";
import { openRig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { countInServerLog, finish, startLoad } from "../under-load.ts";

const batchMax = 10;
const people = 6; // Of one account: so everybody meets at the same few rows.
const outsiders = 2;
const outsiderPauseMs = 20;
const peaceMs = 500; // Brings the conversations along.
const phaseMs = { short: 2_000, long: 20_000 };

export const postgresConflicts: Scenario = {
  name: "postgres-conflicts",
  fault:
    "other sessions lock the same conversations crosswise (deadlocks), then under repeatable read (serialization failures)",
  rows: [17],
  cycles: { short: 1, long: 1 },
  timeoutMs: 60_000,
  async run({ seed, long }) {
    await using rig = await openRig({ seed, batchMax, accounts: 1, people, postgres: { deadlock_timeout: "20ms" } });
    await rig.daemon.start();
    const load = startLoad(rig, { lanes: 16, perSecond: 150 });
    await Bun.sleep(peaceMs);
    const stopping = new AbortController();
    const crossing = Array.from({ length: outsiders }, (_, at) =>
      crossRows(rig.postgres.url, hash(seed, at, 41), stopping.signal),
    );
    const lastsMs = long ? phaseMs.long : phaseMs.short;
    await Bun.sleep(lastsMs);
    await rig.sql.unsafe("alter system set default_transaction_isolation = 'repeatable read'");
    await rig.sql`select pg_reload_conf()`;
    await Bun.sleep(lastsMs);
    await rig.sql.unsafe("alter system reset default_transaction_isolation");
    await rig.sql`select pg_reload_conf()`;
    stopping.abort();
    await Promise.all(crossing);
    const deadlocks = countInServerLog(rig, "deadlock detected");
    const failures = countInServerLog(rig, "could not serialize access");
    return await finish(rig, load, {
      cycles: 1,
      notes: { deadlocks, "serialization failures": failures },
      broken: [
        ...(deadlocks > 0 ? [] : ["No deadlock came about: nothing was tried"]),
        ...(failures > 0 ? [] : ["No serialization failure came about: nothing was tried"]),
      ],
    });
  },
};

/** Another client: locks two conversations in any order, changes nothing in them, and lets go. Loses a deadlock gladly. */
async function crossRows(url: string, seed: number, signal: AbortSignal): Promise<void> {
  const chance = createChance(seed);
  const sql = postgres(url, {
    max: 1,
    onnotice: () => {},
    connection: { default_transaction_isolation: "read committed" },
  });
  try {
    while (!signal.aborted) {
      const rows = await sql<{ id: string }[]>`select id from conversations order by id`;
      const [one, other] = [rows[chance.below(rows.length)], rows[chance.below(rows.length)]];
      if (one === undefined || other === undefined) continue;
      await sql
        .begin(async (locking) => {
          for (const { id } of [one, other]) {
            await locking`update conversations set unread_count = unread_count where id = ${id}`;
            await Bun.sleep(outsiderPauseMs);
          }
        })
        .catch(() => {});
    }
  } finally {
    await sql.end({ timeout: 1 });
  }
}
