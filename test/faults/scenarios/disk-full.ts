/** Rows 15, 49: the disk under Postgres gets full, then the spool's, then the queue's; and then there is room again. */
import { waitUntil } from "../../support/bounded-wait.ts";
import { openRig, type Rig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { openSmallDisk, type SmallDisk } from "../small-disk.ts";
import { finish, judgeTimes, longest, startLoad, waitForStored } from "../under-load.ts";

/** MB. Postgres: an empty cluster, its log in advance, and some room for the load. */
const megabytes = { postgres: 224, spool: 4, data: 24 };
const batchMax = 10;
const perSecond = 150;
const people = 400; // An account of the sandbox: enough that new ones turn up all the time.
const peaceMs = 700;
const fullMs = 1_200;
const backMsMax = 2_000; // The row's own: from the removal of the ballast to a commit.
const acknowledgedMsMax = 30_000;
const lookupsMsMax = 75_000; // A claim whose answer was lost holds its people for 40 s; then a sweep, every 15 s, finds them.
const walFiles = 5; // Of 16 MB: Postgres must not die for want of room in its log, which is another row's fault.

export const diskFull: Scenario = {
  name: "disk-full",
  fault:
    "no room left under Postgres, then under the spool, then under the queue; every second time a SIGKILL while all are full",
  rows: [15, 49],
  cycles: { short: 2, long: 20 },
  timeoutMs: 120_000,
  async run({ cycles, long, seed, signal, say }) {
    await using postgresDisk = openSmallDisk("postgres", megabytes.postgres);
    await using spoolDisk = openSmallDisk("spool", megabytes.spool);
    await using dataDisk = openSmallDisk("data", megabytes.data);
    await using rig = await openRig({
      seed,
      batchMax,
      sandbox: { people },
      proxy: true,
      postgresUnder: postgresDisk.path,
      postgres: { min_wal_size: "80MB", max_wal_size: "96MB" },
      under: dataDisk.path,
      env: { SOCIAL_SYNC_SPOOL_DIR: `${spoolDisk.path}/spool` },
    });
    await rig.daemon.start();
    const load = startLoad(rig, { lanes: 8, perSecond });
    const stored: (number | null)[] = [];
    const broken: string[] = [];
    let [refusedInAll, spooledInAll] = [0, 0];
    let done = 0;
    while (done < cycles && !signal.aborted) {
      await Bun.sleep(peaceMs);
      await prepareLog(rig);
      postgresDisk.fill();
      const fullSinceMs = performance.now();
      await Bun.sleep(fullMs);
      const spooled = rig.ledger.ackCountWithin(fullSinceMs, performance.now());
      if (spooled === 0) broken.push("Nothing was acknowledged while the spool had room");
      dataDisk.fill();
      // With Graph away too, whoever turns up now belongs into the queue: what it cannot keep, a sweep must find.
      if (long) await rig.proxies.graph.setMode({ kind: "refuse" });
      const refused = await fillSpool(rig, spoolDisk);
      if (refused === 0) broken.push("Nothing was refused with every disk full: nothing was tried");
      if (done % 2 === 1) await rig.daemon.kill();
      postgresDisk.empty();
      const mending = { ms: performance.now(), atMs: Date.now() };
      if (await startAgain(rig)) say("Postgres did not survive its full disk and was started again");
      if (!rig.daemon.isRunning()) {
        spoolDisk.empty(); // A daemon does not start where it could keep nothing.
        dataDisk.empty();
        await rig.daemon.start();
      }
      const mendMs = performance.now() - mending.ms;
      const first = await waitForStored(rig, mending.atMs, backMsMax + mendMs);
      stored.push(first === null ? null : Math.max(0, first - mendMs));
      spoolDisk.empty();
      if (long) await Bun.sleep(fullMs); // The lookups of what was just stored fail, and the queue has no room yet.
      dataDisk.empty();
      await rig.proxies.graph.setMode({ kind: "pass" });
      done += 1;
      refusedInAll += refused;
      spooledInAll += spooled;
      say(`${done} times full, ${refused} refused, first commit after ${longest(stored)} ms`);
    }
    load.stopTaking();
    await load.acknowledged(acknowledgedMsMax);
    const lookedUpMs = long ? await waitForLookups(rig) : 0;
    return await finish(rig, load, {
      cycles: done,
      starts: 1 + Math.floor(done / 2),
      notes: {
        "spooled while Postgres had no room": spooledInAll,
        "refused while nothing had room": refusedInAll,
        "first commit after there is room, worst ms": longest(stored),
        ...(long && lookedUpMs !== null ? { "until everybody was looked up, ms": Math.round(lookedUpMs) } : {}),
      },
      broken: [
        ...broken,
        ...judgeTimes("The first commit after there is room", stored, backMsMax),
        ...(lookedUpMs === null ? [`Not everybody was looked up within ${lookupsMsMax} ms`] : []),
      ],
    });
  },
};

/** Makes files of Postgres's log in advance, by using some and letting the checkpoint keep them for later. */
async function prepareLog(rig: Rig): Promise<void> {
  for (let count = 0; count < walFiles; count += 1) {
    await rig.sql`select pg_logical_emit_message(false, 'faults', 'next')`;
    await rig.sql`select pg_switch_wal()`;
  }
  await rig.sql.unsafe("checkpoint");
}

/** Takes the spool's last room and waits while the load goes on; answers how many deliveries were refused. */
async function fillSpool(rig: Rig, disk: SmallDisk): Promise<number> {
  const count = () => rig.ledger.statuses().get(503) ?? 0;
  const before = count();
  disk.fill();
  await Bun.sleep(fullMs);
  return count() - before;
}

/** Starts Postgres where its full disk has ended it; answers whether it had. */
async function startAgain(rig: Rig): Promise<boolean> {
  try {
    if (rig.postgres.pid > 0) return false;
  } catch {
    await rig.postgres.start();
    await rig.reconnect();
  }
  return true;
}

/** Ms until nobody who has written waits for a name; null where that takes too long. */
async function waitForLookups(rig: Rig): Promise<number | null> {
  const startMs = performance.now();
  const isDone = async () => {
    const [row] = await rig.sql<{ waiting: number }[]>`
      select count(*)::int as waiting from conversations where last_inbound_at is not null and profile_status = 'pending'`;
    return row?.waiting === 0;
  };
  try {
    await waitUntil(isDone, lookupsMsMax, "Cannot see everybody looked up", 100);
    return performance.now() - startMs;
  } catch {
    return null;
  }
}
