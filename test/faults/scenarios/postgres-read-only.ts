/** Row 13: Postgres takes no writes, as after a failover to a server that is not the first any more (25006). */
import { openRig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { countInServerLog, finish, repeatOutage, startLoad } from "../under-load.ts";

const batchMax = 10;
const readOnlyMs = 1_500;

export const postgresReadOnly: Scenario = {
  name: "postgres-read-only",
  fault: "Postgres read-only under load, and back",
  rows: [13],
  cycles: { short: 1, long: 10 },
  timeoutMs: 60_000,
  async run(context) {
    await using rig = await openRig({ seed: context.seed, batchMax });
    await rig.daemon.start();
    const load = startLoad(rig, { lanes: 8, perSecond: 150 });
    const setReadOnly = async (word: "on" | "off") => {
      await rig.sql.unsafe(`alter system set default_transaction_read_only = ${word}`);
      await rig.sql`select pg_reload_conf()`;
    };
    const outages = await repeatOutage(rig, context, {
      peaceMs: () => 500,
      breakIt: () => setReadOnly("on"),
      brokenMs: () => readOnlyMs,
      mendIt: () => setReadOnly("off"),
      acknowledgedMsMax: 1_000,
      storedMsMax: 3_000,
    });
    const refused = countInServerLog(rig, "in a read-only transaction");
    return await finish(rig, load, {
      ...outages,
      broken: [...outages.broken, ...(refused > 0 ? [] : ["The daemon never met a read-only Postgres"])],
    });
  },
};
