/**
 * Row 50: the queue's file goes, is cut, is overwritten, loses its log or has no disk left, while lookups wait in it and
 * while messages come; or before a start. Postgres is the truth: every lookup still happens within 30 s.
 */
import { Database } from "bun:sqlite";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { waitUntil } from "../../support/bounded-wait.ts";
import { type Chance, createChance, hash } from "../chance.ts";
import { openRig, type Rig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { createPeople } from "./graph-kit.ts";

const kinds = [
  "deleted",
  "cut",
  "garbage",
  "log removed",
  "disk full",
  "garbage at start",
  "cut at start",
  "gone at start",
] as const;
type Kind = (typeof kinds)[number];

const peopleOfCycle = 30; // Of each account.
/** People who fail once by their id (the sandbox's table): their second attempt waits in the queue, for up to a second. */
const failsOnce = "502";
/** Two in three are well: where one call after the other fails, Graph itself is taken to fail and is left alone for 30 s. */
const isWell = "000";
const failsEvery = 3;
const breakAfterMs = { min: 30, max: 400 };
const gapMs = { short: 700, long: 6_000 };
const fullMs = 1_000; // How long the disk stays full.
const lookedUpMsMax = 30_000;
const diskMb = 4;
/** The queue's folder is a small disk of its own; what a start shall find there is laid beside it. */
const mountQueue =
  `mkdir -p "$SOCIAL_SYNC_DATA_DIR/queue" && mount -t tmpfs -o size=${diskMb}m tmpfs "$SOCIAL_SYNC_DATA_DIR/queue" && ` +
  `{ cp "$SOCIAL_SYNC_DATA_DIR"/queue-before/* "$SOCIAL_SYNC_DATA_DIR/queue/" 2>/dev/null || true; } && exec "$@"`;

type Cohort = { readonly kind: Kind; readonly ids: string[]; readonly sentMs: number; doneMs: number | null };

export const queueFile: Scenario = {
  name: "queue-file",
  fault: "The queue's file deleted, cut, overwritten, without its log, on a full disk; under load and before a start",
  rows: [50],
  cycles: { short: kinds.length, long: 50 },
  timeoutMs: 120_000,
  waits: true,
  async run({ cycles, long, seed, signal, say }) {
    const chance = createChance(hash(seed, 50));
    await using rig = await openRig({
      seed,
      sandbox: { people: 300, latencyMs: 20 },
      wrap: ["unshare", "-rm", "sh", "-c", mountQueue, "sh"],
    });
    await rig.daemon.start();
    const people = createPeople(rig);
    const { broken } = people;
    const load = rig.sender.start({ lanes: 4, perSecond: 40, next: rig.order.next });
    const cohorts: Cohort[] = [];
    let done = 0;
    for (; done < cycles && !signal.aborted; done += 1) {
      const kind = kinds[done % kinds.length] ?? "deleted";
      // A file that is gone is made anew by a start alone; and what is damaged for a start was whole before.
      if (!existsSync(queuePath(rig, "queue.db")) || isAtStart(kind)) await restart(rig);
      const groups = [0, 1].map((account) =>
        Array.from({ length: peopleOfCycle }, (_, at) => pickId(done, account, at)),
      );
      const cohort: Cohort = { kind, ids: groups.flat(), sentMs: performance.now(), doneMs: null };
      cohorts.push(cohort);
      for (const [account, ids] of groups.entries()) await people.send(account, ids);
      await Bun.sleep(chance.between(breakAfterMs.min, breakAfterMs.max));
      const refusal = await breakQueue(rig, kind, chance);
      if (refusal !== null) broken.push(`With a queue that was ${kind} the daemon did not start: ${refusal}`);
      await Bun.sleep(gapMs[long ? "long" : "short"]);
      await noteDone(rig, cohorts);
      if (!rig.daemon.isRunning()) {
        broken.push(`The daemon died of a queue that was ${kind}`);
        await rig.daemon.start();
      }
      if (long)
        say(`cycle ${done + 1}, ${kind}: ${cohorts.filter(({ doneMs }) => doneMs === null).length} cohorts open`);
    }
    const allDone = async () => {
      await noteDone(rig, cohorts);
      return cohorts.every(({ doneMs }) => doneMs !== null);
    };
    await waitUntil(allDone, lookedUpMsMax + 5_000, "Not everybody was looked up", 100).catch(() => {});
    for (const { kind, ids, sentMs, doneMs } of cohorts) {
      const tookMs = doneMs === null ? null : doneMs - sentMs;
      if (tookMs === null || tookMs > lookedUpMsMax)
        broken.push(
          `${ids.length} people with the queue ${kind}: named ${tookMs === null ? "never" : `after ${Math.round(tookMs)} ms`}`,
        );
    }
    load.stopTaking();
    await load.acknowledged(30_000);
    await rig.settle();
    const chosen = await countChosen(rig);
    if (chosen !== cohorts.length * 2 * peopleOfCycle)
      broken.push(`${chosen} messages of the chosen people are stored`);
    for (const table of ["events", "messages", "conversations"])
      await rig.sql`delete from ${rig.sql(table)} where ${rig.sql(table === "conversations" ? "participant_platform_id" : table === "events" ? "participant_id" : "mid")} like ${table === "messages" ? "graph-%" : "999%"}`;
    const check = await rig.check();
    const times = cohorts.map(({ sentMs, doneMs }) => (doneMs ?? Number.POSITIVE_INFINITY) - sentMs);
    const notes = {
      "lookups of the chosen people": chosen,
      "last one named after, ms": Math.round(Math.max(...times)),
      "slowest ack, ms": Math.round(people.slowestAckMs()),
    };
    return rig.result({ cycles: done, check, notes, broken });
  },
};

const isAtStart = (kind: Kind) => kind.endsWith("at start");
const pickId = (cycle: number, account: number, at: number) =>
  `999${account}${String(cycle).padStart(4, "0")}${String(at).padStart(5, "0")}${at % failsEvery === 0 ? failsOnce : isWell}`;

const dataFolder = (rig: Rig): string => rig.daemon.env.SOCIAL_SYNC_DATA_DIR ?? "";
/** A file of the queue as the daemon sees it: its disk is mounted in the daemon's own view only. */
const queuePath = (rig: Rig, name: string) => join(`/proc/${rig.daemon.pid}/root`, dataFolder(rig), "queue", name);

async function noteDone(rig: Rig, cohorts: readonly Cohort[]): Promise<void> {
  const open = cohorts.filter(({ doneMs }) => doneMs === null);
  const rows = await rig.sql<{ id: string }[]>`
    select participant_platform_id as id from conversations
    where participant_platform_id like '999%' and participant_username is not null`;
  const named = new Set(rows.map(({ id }) => id));
  for (const cohort of open) if (cohort.ids.every((id) => named.has(id))) cohort.doneMs = performance.now();
}

async function countChosen(rig: Rig): Promise<number> {
  const [row] = await rig.sql<
    { count: number }[]
  >`select count(*)::int as count from messages where mid like 'graph-%'`;
  return row?.count ?? 0;
}

async function restart(rig: Rig): Promise<void> {
  const { code } = await rig.daemon.stop();
  if (code !== 0) throw new Error(`Cannot stop the daemon in order: it ended with ${code}`);
  rmSync(join(dataFolder(rig), "queue-before"), { recursive: true, force: true });
  await rig.daemon.start();
}

/** Answers why a start failed; null: nothing was to start, or it did. */
async function breakQueue(rig: Rig, kind: Kind, chance: Chance): Promise<string | null> {
  const files = readdirSync(queuePath(rig, "."));
  const path = queuePath(rig, "queue.db");
  switch (kind) {
    case "deleted":
      for (const name of files) rmSync(queuePath(rig, name), { force: true });
      return null;
    case "log removed":
      for (const name of files) if (name !== "queue.db") rmSync(queuePath(rig, name), { force: true });
      return null;
    case "cut":
    case "garbage":
      damage(path, kind, chance);
      return null;
    case "disk full": {
      const filler = queuePath(rig, "filler");
      try {
        for (let mb = 0; mb <= diskMb * 64; mb += 1) writeFileSync(filler, Buffer.alloc(16 * 1024), { flag: "a" });
        throw new Error("Cannot fill the queue's disk: it takes more than it has");
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
      }
      await Bun.sleep(fullMs);
      rmSync(filler);
      return null;
    }
    default: {
      const before = join(dataFolder(rig), "queue-before");
      rmSync(before, { recursive: true, force: true });
      mkdirSync(before);
      rig.daemon.signal("SIGSTOP"); // A copy of one moment.
      for (const name of files) cpSync(queuePath(rig, name), join(before, name));
      await rig.daemon.kill();
      foldLog(join(before, "queue.db"));
      if (kind === "gone at start") rmSync(before, { recursive: true });
      else {
        damage(join(before, "queue.db"), kind === "cut at start" ? "cut" : "garbage", chance);
      }
      const refusal = await rig.daemon.start().then(
        () => null,
        (error: Error) => error.message.trim().split("\n").at(-1) ?? "",
      );
      rmSync(before, { recursive: true, force: true });
      if (refusal !== null) await rig.daemon.start(); // By hand, without the file: so that the rest can be seen.
      return refusal;
    }
  }
}

/** Brings the log of a copied file into the file: what is damaged then is not healed from the log. */
function foldLog(path: string): void {
  const database = new Database(path);
  database.run("pragma wal_checkpoint(truncate)");
  database.close();
  for (const name of ["-wal", "-shm"]) rmSync(`${path}${name}`, { force: true });
}

function damage(path: string, kind: "cut" | "garbage", chance: Chance): void {
  const { size } = statSync(path);
  if (kind === "cut") {
    truncateSync(path, Math.floor(size / 2));
    return;
  }
  const bytes = readFileSync(path);
  for (let at = 0; at < bytes.length; at += 1) if (at < 200 || chance.below(4) === 0) bytes[at] = chance.below(256);
  writeFileSync(path, bytes);
}
