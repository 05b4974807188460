/** Row 52: strangers' connections take every descriptor that the daemon may have, while it needs new ones itself. */
import { connect, type Socket } from "node:net";
import { openRig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { finish, repeatOutage, startLoad } from "../under-load.ts";

const batchMax = 10;
const descriptorsMax = 64; // The row's own. In peace it has some 30.
const strangers = 120;
const takenMs = 2_000;

export const fdExhaustion: Scenario = {
  name: "fd-exhaustion",
  fault: "64 descriptors at most (prlimit), 120 idle connections from strangers, and Postgres restarted meanwhile",
  rows: [52],
  cycles: { short: 1, long: 20 },
  timeoutMs: 60_000,
  async run(context) {
    await using rig = await openRig({ seed: context.seed, batchMax, wrap: ["prlimit", `--nofile=${descriptorsMax}`] });
    await rig.daemon.start();
    const load = startLoad(rig, { lanes: 4, perSecond: 100 });
    let sockets: Socket[] = [];
    const hangUp = () => {
      for (const socket of sockets) socket.destroy();
      sockets = [];
    };
    try {
      const outages = await repeatOutage(rig, context, {
        peaceMs: () => 500,
        breakIt: async () => {
          sockets = Array.from({ length: strangers }, () =>
            connect(rig.daemon.port, "127.0.0.1").on("error", () => {}),
          );
          await Bun.sleep(takenMs / 2);
          // Now the daemon needs connections of its own again, and a file of the spool.
          await rig.postgres.stop("immediate");
          await rig.postgres.start();
          await rig.reconnect();
        },
        brokenMs: () => takenMs,
        mendIt: hangUp,
        acknowledgedMsMax: 2_000,
        storedMsMax: 5_000, // A connection that was refused is tried again after a pause of the driver.
      });
      return await finish(rig, load, outages);
    } finally {
      hangUp();
    }
  },
};
