/** Row 12: every answer of Postgres comes half a second late. */

import { commitsInFlightMax } from "../../../src/usecases/ingest.ts";
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
/**
 * Two are under way at once and each takes half a second at the least, so four a second must carry all that comes; one
 * more at each end. Not a multiple of those in peace: on a machine that others slow they are large already.
 */
const commitsMax = (seconds: number) => (commitsInFlightMax * seconds * 1000) / (2 * latencyMs) + 2;

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
    const inPeace = await readCommits(rig, 0, slow.atMs);
    const whileSlow = await readCommits(rig, slow.atMs + 2 * latencyMs, slowUntilMs);
    const mayBe = commitsMax((slowUntilMs - slow.atMs) / 1000);
    await rig.proxies.postgres.setMode({ kind: "pass" });
    return await finish(rig, load, {
      cycles: 1,
      notes: {
        "acknowledged of what was offered while slow, %": Math.round(share * 100),
        "time to a 200 while slow, median ms": Math.round(percentile(times, 0.5)),
        "first commit after the cut, still slow, ms": storedMs === null ? "none" : Math.round(storedMs),
        "in the spool at the end of it": waiting,
        "events of a commit in peace and while slow": `${sizeOf(inPeace)}, ${sizeOf(whileSlow)}`,
      },
      broken: [
        ...(share >= shareMin
          ? []
          : [`Only ${Math.round(share * 100)} % of what was offered was acknowledged while Postgres was slow`]),
        ...(whileSlow.events > 0 && whileSlow.commits <= mayBe
          ? []
          : [`Commits did not grow: ${whileSlow.commits} while Postgres was slow, with ${whileSlow.events} events`]),
        ...(storedMs !== null
          ? []
          : ["A Postgres that answers after 500 ms was never written to again once its connections were cut"]),
      ],
    });
  },
};

/** The rows of one commit bear its time. */
async function readCommits(rig: Rig, fromMs: number, toMs: number): Promise<Commits> {
  const [row] = await rig.sql<Commits[]>`
    select count(*)::int as events, count(distinct received_at)::int as commits from events
    where received_at between to_timestamp(${fromMs}::float8 / 1000) and to_timestamp(${toMs}::float8 / 1000)`;
  return row ?? { events: 0, commits: 0 };
}

type Commits = { readonly events: number; readonly commits: number };
const sizeOf = ({ events, commits }: Commits) => Math.round(events / Math.max(1, commits));
