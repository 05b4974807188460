/** Row 14: somebody else holds every connection that Postgres has (53300). */
import postgres, { type Sql } from "postgres";
import { waitUntil } from "../../support/bounded-wait.ts";
import { openRig, type Rig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { countInServerLog, finish, repeatOutage, startLoad } from "../under-load.ts";

const batchMax = 10;
const connectionsMax = 24; // Room for the daemon's 8, the harness's own and those that Postgres holds back.
const takenMs = 2_000;
const takeMsMax = 10_000;
const letInMs = 150; // Some 5 ms; a machine that is busy takes a multiple.

export const postgresConnections: Scenario = {
  name: "postgres-connections",
  fault: "all of Postgres's connections taken by another client, the daemon's own cut",
  rows: [14],
  cycles: { short: 1, long: 10 },
  timeoutMs: 60_000,
  async run(context) {
    await using rig = await openRig({
      seed: context.seed,
      batchMax,
      postgres: { max_connections: String(connectionsMax) },
    });
    await rig.daemon.start();
    const load = startLoad(rig, { lanes: 8, perSecond: 150 });
    let hogs: Sql[] = [];
    let [before, refused] = [0, 0];
    const unsaid: string[] = [];
    const release = async () => {
      const held = hogs;
      hogs = [];
      await Promise.all(held.map((one) => one.end({ timeout: 0 })));
    };
    /** Cuts whoever is not ours and takes what gets free, until the daemon has nothing left. */
    const takeAll = async (): Promise<boolean> => {
      await rig.sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name not in (${hogName}, ${rigName})`;
      while (await takeOne(rig.postgres.url, hogs));
      // Who is being let in has a place before they can be seen, and who is cut gives theirs back after: nothing may be left.
      await Bun.sleep(letInMs);
      if (await takeOne(rig.postgres.url, hogs)) return false;
      const [row] = await rig.sql<{ others: number }[]>`
        select count(*)::int as others from pg_stat_activity
        where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name not in (${hogName}, ${rigName})`;
      return row?.others === 0;
    };
    try {
      const outages = await repeatOutage(rig, context, {
        peaceMs: () => 500,
        breakIt: async () => {
          // What the harness asks with stays its own while it cuts the others.
          await rig.sql.unsafe(`set application_name = '${rigName}'`);
          await waitUntil(takeAll, takeMsMax, "Cannot take every connection of Postgres: the daemon keeps some");
          before = countInServerLog(rig, refusal);
        },
        brokenMs: () => takenMs,
        mendIt: async () => {
          const health = await rig.readHealth();
          const database = health?.checks.find(({ name }) => name === "database");
          // It goes on taking messages, so it stays ready; but it says what is wrong.
          if (health?.ready !== true || database?.state !== "degraded")
            unsaid.push(`Without a connection the health check says ${JSON.stringify(database ?? null)}`);
          refused += countInServerLog(rig, refusal) - before;
          await release();
        },
        acknowledgedMsMax: 1_000,
        storedMsMax: 3_000,
      });
      return await finish(rig, load, {
        ...outages,
        broken: [
          ...outages.broken,
          ...unsaid,
          ...warningsOf(rig),
          ...(refused > 0 ? [] : ["The daemon was never refused a connection"]),
        ],
      });
    } finally {
      await release();
    }
  },
};

/** The alert in the log. */
function warningsOf(rig: Rig): string[] {
  const count = rig.daemon.output().split("Postgres does not take messages").length - 1;
  return count > 0 ? [] : ["The log does not warn that Postgres takes no messages"];
}

/** What a superuser is told; others are refused a little earlier. */
const refusal = "sorry, too many clients already";
const hogName = "hog";
const rigName = "rig";

/** Takes one more connection; answers whether there was one. */
async function takeOne(url: string, held: Sql[]): Promise<boolean> {
  const one = postgres(url, {
    max: 1,
    connect_timeout: 5,
    connection: { application_name: hogName },
    onnotice: () => {},
  });
  try {
    await one`select 1`;
    held.push(one);
    return true;
  } catch {
    await one.end({ timeout: 0 });
    return false;
  }
}
