/** Row 11: the way to Postgres swallows everything, and no RST tells of it. */
import { openRig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { finish, repeatOutage, startLoad } from "../under-load.ts";

const batchMax = 10;
const swallowedMs = { short: 2_000, long: 3_000 }; // Longer than any bound of the daemon on the hot path.
/** Which connections it takes, in turns: all; those that are there; all but those that are there, which are reset. */
const kinds = ["all", "existing", "new"] as const;

export const postgresBlackHoles: Scenario = {
  name: "postgres-black-holes",
  fault: "the network to Postgres swallows everything without a reset, on old or new connections or both",
  rows: [11],
  cycles: { short: 1, long: 20 },
  timeoutMs: 60_000,
  async run(context) {
    await using rig = await openRig({ seed: context.seed, batchMax, proxy: true });
    await rig.daemon.start();
    const load = startLoad(rig, { lanes: 8, perSecond: 150 });
    const outages = await repeatOutage(rig, context, {
      peaceMs: () => 500,
      breakIt: async (cycle) => {
        const kind = kinds[cycle % kinds.length] ?? "all";
        await rig.proxies.postgres.setMode({ kind: "black_hole" }, kind);
        if (kind === "new") rig.proxies.postgres.resetAll();
      },
      brokenMs: () => (context.long ? swallowedMs.long : swallowedMs.short),
      mendIt: () => rig.proxies.postgres.setMode({ kind: "pass" }),
      acknowledgedMsMax: 1_000,
      // A connection that is being made when the way opens has lost its bytes: it is given up after 3 s.
      storedMsMax: 5_000,
    });
    return await finish(rig, load, outages);
  },
};
