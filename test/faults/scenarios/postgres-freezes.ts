/** Row 10: Postgres stands still and says nothing: connections stay open, and nobody answers. */
import { listProcessesIn } from "../../support/server-folder.ts";
import { openRig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { finish, repeatOutage, startLoad } from "../under-load.ts";

const batchMax = 10;
const frozenMs = { short: 2_500, long: 5_000 };

export const postgresFreezes: Scenario = {
  name: "postgres-freezes",
  fault: "all of Postgres, or all but its main process, stopped (SIGSTOP) for 5 s (gate: 2.5 s) under load",
  rows: [10],
  cycles: { short: 1, long: 20 },
  timeoutMs: 60_000,
  async run(context) {
    await using rig = await openRig({ seed: context.seed, batchMax });
    await rig.daemon.start();
    const load = startLoad(rig, { lanes: 8, perSecond: 150 });
    let frozen: readonly number[] = [];
    const outages = await repeatOutage(rig, context, {
      peaceMs: () => 500,
      breakIt: (cycle) => {
        // Every other time new connections are served: but what the frozen ones have locked stays locked.
        const main = cycle % 2 === 0 ? null : rig.postgres.pid;
        frozen = listProcessesIn(rig.postgres.folder).filter((pid) => pid !== main);
        for (const pid of frozen) process.kill(pid, "SIGSTOP");
      },
      brokenMs: () => (context.long ? frozenMs.long : frozenMs.short),
      mendIt: () => {
        for (const pid of frozen) process.kill(pid, "SIGCONT");
      },
      acknowledgedMsMax: 1_000,
      storedMsMax: 3_000,
    });
    return await finish(rig, load, outages);
  },
};
