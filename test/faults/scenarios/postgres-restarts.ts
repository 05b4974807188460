/** Row 8: Postgres crashes and comes back, again and again, under load. */
import { createChance, hash } from "../chance.ts";
import { openRig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { finish, repeatOutage, startLoad } from "../under-load.ts";

const batchMax = 10; // Many small deliveries: what is measured is time, not volume.
const peaceMs = { min: 300, max: 900 };
const awayMs = { min: 0, max: 600 };

export const postgresRestarts: Scenario = {
  name: "postgres-restarts",
  fault: "Postgres ended at once (immediate) and started again under load",
  rows: [8],
  cycles: { short: 3, long: 100 },
  timeoutMs: 90_000,
  async run(context) {
    const chance = createChance(hash(context.seed, 31));
    await using rig = await openRig({ seed: context.seed, batchMax });
    await rig.daemon.start();
    const load = startLoad(rig, { lanes: 8, perSecond: 150 });
    const outages = await repeatOutage(rig, context, {
      peaceMs: () => chance.between(peaceMs.min, peaceMs.max),
      breakIt: () => rig.postgres.stop("immediate"),
      brokenMs: () => chance.between(awayMs.min, awayMs.max),
      mendIt: async () => {
        await rig.postgres.start();
        await rig.reconnect();
      },
      acknowledgedMsMax: 1_000, // The row's own.
      storedMsMax: 3_000, // The drain asks every 0.1 s, and one under way may take its second.
    });
    return await finish(rig, load, outages);
  },
};
