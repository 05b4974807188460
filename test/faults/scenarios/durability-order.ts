/** "200 means kept": each 200 is sent after the flush that covers it, as the system calls tell. */
import { listProcessesIn } from "../../support/server-folder.ts";
import { createChance, hash } from "../chance.ts";
import { checkDurability, type DurabilityReport, isAnswer } from "../durability-check.ts";
import { openRig, type Rig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { type Call, parseCalls, traceCalls } from "../system-calls.ts";
import { finish, startLoad } from "../under-load.ts";

const acknowledgeMsMax = 120_000;
/** Files that keep a delivery, in each mode. */
const walFile = /\/pg_wal\/[0-9A-F]{24}$/;
const spoolFile = /\.spool$/;
/** One post at a time, so that a flush of Postgres's log cannot be another commit's; the spool's writes tell whose they are. */
const lanes = { database: 1, spool: 4 } as const;

export const durabilityOrder: Scenario = {
  name: "durability-order",
  fault: "every system call watched: the flush of Postgres's log, or of the spool's file, before each 200",
  rows: [],
  cycles: { short: 50, long: 1_000 },
  timeoutMs: 60_000,
  async run({ cycles, seed, say }) {
    await using rig = await openRig({ seed, batchMax: 1 });
    await rig.daemon.start();
    const warm = rig.order.next();
    if (warm !== null) await rig.sender.send(warm);

    // What the warm one brought about may open connections, and a server process that begins while the trace does is not in it.
    await rig.settle();
    const withDatabase = await watch(rig, cycles, lanes.database, walFile, () => [
      rig.daemon.pid,
      ...listProcessesIn(rig.postgres.folder),
    ]);
    say(`${withDatabase.report.answers} answers with Postgres looked at`);
    await rig.postgres.stop("immediate");
    const withSpool = await watch(rig, cycles, lanes.spool, spoolFile, () => [rig.daemon.pid]);
    say(`${withSpool.report.answers} answers with the spool looked at`);
    await rig.postgres.start();
    await rig.reconnect();

    const doubts = [...doubtCheck(withDatabase, walFile, seed), ...doubtCheck(withSpool, spoolFile, seed)];
    return await finish(rig, startLoad(rig, { lanes: 1, perSecond: 1 }), {
      cycles,
      notes: {
        "answers after a flush of Postgres's log": withDatabase.report.answers,
        "answers after a flush of the spool": withSpool.report.answers,
      },
      broken: [...withDatabase.report.broken, ...withSpool.report.broken, ...doubts],
    });
  },
};

type Watched = { readonly calls: readonly Call[]; readonly mids: readonly string[]; readonly report: DurabilityReport };

/** Sends `count` messages while the processes are traced, and checks the order. */
async function watch(
  rig: Rig,
  count: number,
  lanes: number,
  file: RegExp,
  pids: () => readonly number[],
): Promise<Watched> {
  const mids: string[] = [];
  const log = await traceCalls(pids, async () => {
    let sent = 0;
    const next = (): number | null => {
      // Only what says a message by itself, and only once: so its id stands in no other post.
      for (; sent < count; ) {
        const delivery = rig.order.next();
        if (delivery === null) return null;
        if (rig.ledger.isSent(delivery) || rig.plan.eventAt(rig.plan.numberOf(delivery, 0)).kind !== "message")
          continue;
        sent += 1;
        mids.push(rig.plan.midOf(rig.plan.numberOf(delivery, 0)));
        return delivery;
      }
      return null;
    };
    await rig.sender.start({ lanes, next }).acknowledged(acknowledgeMsMax);
  });
  const calls = parseCalls(log);
  return { calls, mids, report: checkDurability(calls, mids, file) };
}

/** A check that finds nothing wrong in a wrong log proves nothing: it must find every fault that is put in. */
function doubtCheck({ calls, mids }: Watched, file: RegExp, seed: number): string[] {
  const chance = createChance(hash(seed, 61));
  const isFlush = ({ name }: Call) => name === "fsync" || name === "fdatasync";
  const place = (call: Call, at: number): Call => ({ ...call, beginsAt: at, endsAt: at });
  const wrongLogs = {
    "without flushes": calls.filter((call) => !isFlush(call)),
    "of failed flushes": calls.map((call) => (isFlush(call) ? { ...call, ok: false } : call)),
    "that is shuffled": calls.map((call) => place(call, chance.below(calls.length))),
    "of answers at once": calls.map((call) => {
      if (!isAnswer(call)) return call;
      const post = calls.findLast(
        ({ target, name, endsAt }) => target === call.target && name === "recvfrom" && endsAt < call.beginsAt,
      );
      return post === undefined ? call : place(call, post.endsAt + 0.5);
    }),
  };
  return Object.entries(wrongLogs)
    .filter(([, wrong]) => checkDurability(wrong, mids, file).broken.length === 0)
    .map(([name]) => `The check itself sees nothing wrong in a log ${name}`);
}
