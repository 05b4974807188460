/** Row 12: every answer of Postgres comes half a second late. */

import { percentile } from "../percentile.ts";
import { openRig, type Rig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { finish, startLoad, waitForStored } from "../under-load.ts";

const batchMax = 10;
const latencyMs = 250; // Each way.
const peaceMs = 1_000;
const slowMs = { short: 2_000, long: 60_000 };
const storedMsMax = 10_000; // From a cut of all connections: each step of the handshake takes its half second.
/** Of the deliveries of a second in peace, those that must be acknowledged in a second of slowness. */
const shareMin = 0.8;
/** Commits take some hundred times as long then. */
const growthMin = 3;

export const postgresSlow: Scenario = {
  name: "postgres-slow",
  fault: "Postgres 500 ms slower, with all its connections cut once meanwhile",
  rows: [12],
  cycles: { short: 1, long: 1 },
  timeoutMs: 60_000,
  async run({ seed, long, say }) {
    await using rig = await openRig({ seed, batchMax, proxy: true });
    await rig.daemon.start();
    const perSecond = 150;
    // Enough that a rate of 150 a second can be held at half a second each.
    const load = startLoad(rig, { lanes: 128, perSecond });
    await Bun.sleep(peaceMs);
    await rig.proxies.postgres.setMode({ kind: "latency", ms: latencyMs });
    const slow = { ms: performance.now(), atMs: Date.now(), lastsMs: long ? slowMs.long : slowMs.short };
    await Bun.sleep(slow.lastsMs);
    const times = rig.ledger.ackTimesWithin(slow.ms, performance.now());
    const slowUntilMs = Date.now();
    // A pool that has to connect again pays half a second for each step of the handshake.
    rig.proxies.postgres.resetAll();
    const cutAtMs = Date.now();
    const storedMs = await waitForStored(rig, cutAtMs, storedMsMax);
    const offered = (perSecond * (performance.now() - slow.ms)) / 1000;
    const share = rig.ledger.ackCountWithin(slow.ms, performance.now()) / offered;
    const waiting = (await rig.readHealth())?.checks.find(({ name }) => name === "spool")?.values?.records ?? 0;
    say(
      `stored again ${storedMs === null ? "not at all" : `after ${Math.round(storedMs)} ms`}, ${waiting} in the spool`,
    );
    const [inPeace, whileSlow] = [
      await eventsPerCommit(rig, 0, slow.atMs),
      await eventsPerCommit(rig, slow.atMs + 2 * latencyMs, slowUntilMs),
    ];
    await rig.proxies.postgres.setMode({ kind: "pass" });
    return await finish(rig, load, {
      cycles: 1,
      notes: {
        "acknowledged of what was offered while slow, %": Math.round(share * 100),
        "time to a 200 while slow, median ms": Math.round(percentile(times, 0.5)),
        "first commit after the cut, still slow, ms": storedMs === null ? "none" : Math.round(storedMs),
        "in the spool at the end of it": waiting,
        "events of a commit in peace and while slow": `${Math.round(inPeace)}, ${Math.round(whileSlow)}`,
      },
      broken: [
        ...(share >= shareMin
          ? []
          : [`Only ${Math.round(share * 100)} % of what was offered was acknowledged while Postgres was slow`]),
        ...(whileSlow >= growthMin * inPeace
          ? []
          : [`Commits did not grow: ${inPeace} events each in peace, ${whileSlow} while Postgres was slow`]),
        ...(storedMs !== null
          ? []
          : ["A Postgres that answers after 500 ms was never written to again once its connections were cut"]),
      ],
    });
  },
};

/** The rows of one commit bear its time. */
async function eventsPerCommit(rig: Rig, fromMs: number, toMs: number): Promise<number> {
  const [row] = await rig.sql<{ size: number }[]>`
    select coalesce(count(*)::float8 / nullif(count(distinct received_at), 0), 0) as size from events
    where received_at between to_timestamp(${fromMs}::float8 / 1000) and to_timestamp(${toMs}::float8 / 1000)`;
  return row?.size ?? 0;
}
