/**
 * Rows 4 and 36: a daemon and two backfills at once over the same people, while some of them write. Nearly nobody is
 * asked for twice, and the second start watches the first. Then the owner of a run stands still for longer than an owner
 * may be silent: who watched it takes over, and what the sleeper saves when it wakes is refused.
 */
import { waitUntil, withDeadline } from "../../support/bounded-wait.ts";
import { createChance, hash } from "../chance.ts";
import type { DaemonProcess } from "../daemon-process.ts";
import { openFaultProxy } from "../fault-proxy.ts";
import { openLane } from "../request-lane.ts";
import type { Scenario } from "../scenario.ts";
import { buildRequest, requestMsDefault } from "../sender.ts";
import { type BackfillProgram, type FilledInbox, type InboxCopy, openFilledInbox } from "./backfill-kit.ts";
import { compareMessages, judgeRepeats, judgeTotals, listAsked, readRun } from "./backfill-laws.ts";
import { buildStranger, buildStrangerBody } from "./hostile-kit.ts";

const peopleOf = { short: 1_000, long: 10_000 };
const twiceShareMax = 0.001;
const latencyMs = 60;
const pollMs = 1;
/** Of the people, those who are the daemon's to look up as it starts, and those who write meanwhile. */
const dueShare = 0.2;
const writingShare = 0.2;
const itemsPerPost = 5;
const postEveryMs = 15;
const runMsMax = 120_000;
const stepMsMax = 20_000;
/** Where in a run its owner stops, in shares of the people asked for. */
const stoppedAtShare = { min: 10, max: 50 };
/** An owner is dead after 60 s of silence (spec §6); whoever watches sees it within a second. */
const silenceMs = 61_000;
const takeOverMsMax = 90_000;
/** So far from the database the heir has not leased anybody yet when the sleeper is awake: the fence alone refuses it. */
const heirFarMs = 200;
const [doneCode, someFailedCode, interruptedCode] = [0, 2, 3];

export const backfillCrowd: Scenario = {
  name: "backfill-crowd",
  fault: "A daemon and two backfills over the same people; SIGSTOP of the run's owner for over a minute, SIGCONT",
  rows: [4, 36],
  cycles: { short: 1, long: 3 },
  timeoutMs: 120_000,
  async run({ cycles, long, seed, signal, say }) {
    const people = peopleOf[long ? "long" : "short"];
    await using filled = await openFilledInbox({ seed, people });
    const broken: string[] = [];
    const told = { acknowledged: 0, lost: 0, doubled: 0, twice: 0, elsewhere: 0, late: 0, slowestMs: 0 };
    let done = 0;
    for (; done < cycles && !signal.aborted; done += 1) {
      const chance = createChance(hash(seed, done, 36));
      await using copy = await filled.copy({ latencyMs });
      await copy.sql`
        update conversations set next_attempt_at = null
        where (hashtext(participant_platform_id) & 2147483647) % 1000 >= ${Math.round(dueShare * 1_000)}`;
      const { DATABASE_URL, GRAPH_INSTAGRAM_URL, GRAPH_FACEBOOK_URL, REDIS_URL = "" } = copy.env;
      const servers = { DATABASE_URL, GRAPH_INSTAGRAM_URL, GRAPH_FACEBOOK_URL, REDIS_URL };
      const daemon = await filled.rig.addDaemon(`crowd-${done}`, servers);
      await daemon.start();

      const crowd = await runCrowd(filled, copy, daemon);
      broken.push(...crowd.broken);
      told.twice += crowd.twice;
      told.elsewhere += crowd.elsewhere;
      told.acknowledged += crowd.acknowledged;
      say(`${crowd.twice} of ${people} people were asked for twice`);

      const share = chance.between(stoppedAtShare.min, stoppedAtShare.max) / 100;
      const sleep = await runSleeper(copy, { stopAt: Math.round(share * people), waits: long });
      broken.push(...sleep.broken);
      told.late += sleep.late;
      told.slowestMs = Math.max(told.slowestMs, sleep.takeOverMs);
      say(`${sleep.late} people were being asked for when the owner stopped`);

      await daemon.stop();
      const compared = await compareMessages(copy.sql, filled.acknowledged + crowd.acknowledged);
      told.lost += compared.lost;
      told.doubled += compared.doubled;
      broken.push(...daemon.complaints());
    }
    const notes = {
      people,
      "asked for twice in a crowd": told.twice,
      "looked up by the daemon meanwhile": told.elsewhere,
      "under way as the owner stopped": told.late,
      [long ? "slowest take-over, ms" : "take-over once the owner counts as silent, ms"]: Math.round(told.slowestMs),
    };
    const { acknowledged, lost, doubled } = told;
    broken.push(...filled.rig.daemon.complaints());
    return { cycles: done, acknowledged: filled.acknowledged + acknowledged, lost, doubled, notes, broken };
  },
};

/** Everybody at once. Nobody is in any trouble. */
async function runCrowd(filled: FilledInbox, copy: InboxCopy, daemon: DaemonProcess) {
  const broken: string[] = [];
  const writing = startWriting(filled, daemon);
  const programs = await Promise.all([
    copy.start(["--json"], { seat: "first" }),
    copy.start(["--json"], { seat: "second" }),
  ]);
  const codes = await Promise.all(programs.map((one) => withDeadline(one.ended, runMsMax, "A backfill has not ended")));
  const acknowledged = await writing.stop();
  const run = await readRun(copy.sql);
  if (codes.some((code) => code !== doneCode))
    broken.push(`In the crowd they ended with ${codes}: ${programs.map(({ output }) => output.err.slice(-500))}`);
  const watchers = programs.filter((one) => one.event("start")?.watching === true).length;
  if (watchers !== 1) broken.push(`${watchers} of the two backfills watched the other`);
  const ends = programs.map((one) => tellEnd(one));
  if (ends[0] !== ends[1]) broken.push(`The two ended with ${ends[0]} and ${ends[1]}`);
  if (run?.state !== "completed") broken.push(`The crowd's run is ${run?.state}`);
  await waitUntil(async () => (await countUnnamed(copy)) === 0, stepMsMax, "People without a name are left").catch(
    async () => broken.push(`${await countUnnamed(copy)} people have no profile after everybody was done`),
  );
  broken.push(...(await judgeTotals(copy.sql, "In the crowd")));
  const twice = [...listAsked(copy).values()].filter((times) => times.length > 1).length;
  if (twice > twiceShareMax * copy.people) broken.push(`${twice} of ${copy.people} people were asked for twice`);
  const { looked_up_elsewhere: held = 0, already_done: known = 0 } = run?.outcomes ?? {};
  const elsewhere = copy.people - (run?.done ?? 0) + held + known;
  if (elsewhere === 0) broken.push("The harness hit nothing: the daemon looked nobody up beside the backfills");
  return { broken, twice, acknowledged, elsewhere };
}

/** How a backfill says that its run ended. */
function tellEnd(program: BackfillProgram): string {
  const { runId, done, successful, errors, outcomes, exitCode } = program.event("end") ?? {};
  const sorted = Object.entries({ ...(outcomes as object) }).sort(([left], [right]) => (left < right ? -1 : 1));
  return JSON.stringify({ runId, done, successful, errors, exitCode, outcomes: sorted });
}

/** A message now and then of some of the people, to the daemon, until told to stop. */
function startWriting({ rig, account }: FilledInbox, { port }: DaemonProcess) {
  const writers = account.people.filter((_, at) => hash(at, 8) % 100 < writingShare * 100);
  let stopped = false;
  const write = async (): Promise<number> => {
    using lane = openLane(port);
    let acknowledged = 0;
    for (let next = 0; !stopped && next < writers.length; next += itemsPerPost) {
      const some = writers.slice(next, next + itemsPerPost);
      const items = some.map(({ id }) => buildStranger(`second-${id}`, id, account.instagramId));
      const request = buildRequest(buildStrangerBody(items, account.instagramId), { port, secret: rig.appSecret });
      const { status } = await lane.send(request, requestMsDefault);
      if (status === 200) acknowledged += items.length;
      await Bun.sleep(postEveryMs);
    }
    return acknowledged;
  };
  const written = write();
  return {
    /** Answers how many messages were acknowledged. */
    stop: (): Promise<number> => {
      stopped = true;
      return written;
    },
  };
}

/** A run over everybody whose owner stands still; `waits`: for as long as an owner may, else the row says that it has. */
async function runSleeper(copy: InboxCopy, { stopAt, waits }: { readonly stopAt: number; readonly waits: boolean }) {
  const broken: string[] = [];
  await using proxy = await openFaultProxy(Number(new URL(copy.env.DATABASE_URL).port));
  const before = copy.sandbox.calls.list().length;
  const itemsBefore = copy.sandbox.calls.profileItems;
  const sleeper = await copy.start(["--json", "--force"], { seat: "first" });
  const owned = async () => (await readRun(copy.sql))?.state === "running";
  await waitUntil(owned, stepMsMax, "The first backfill has not begun");
  const env = { DATABASE_URL: proxy.through(copy.env.DATABASE_URL) };
  const heir = await copy.start(["--json", "--force"], { seat: "second", env });
  const watches = () => heir.event("start")?.watching === true;
  await waitUntil(watches, stepMsMax, "The second backfill does not watch the first");

  const isThere = () => copy.sandbox.calls.profileItems >= itemsBefore + stopAt;
  await waitUntil(isThere, runMsMax, "Too few people are asked for", pollMs);
  const requests = copy.sandbox.calls.profileRequests;
  const isAsking = () => copy.sandbox.calls.profileRequests > requests || !sleeper.isRunning();
  await waitUntil(isAsking, stepMsMax, "No request is under way", pollMs);
  sleeper.signal("SIGSTOP");
  const stoppedMs = performance.now();
  await Bun.sleep(2 * latencyMs); // What it had asked is answered.
  // What it had told the database is done: that is no late write.
  await waitUntil(async () => (await countActive(copy)) === 0, stepMsMax, "The stopped owner's statements do not end");
  const run = await readRun(copy.sql);
  const askedFor = listAsked(copy, before);
  const late = await listUnfinished(copy, [...askedFor.keys()], run?.number ?? "0");
  if (late.length === 0) broken.push("The harness hit nothing: nobody was being asked for");
  // What Instagram says of them changes: the sleeper's answers are not only late, they are wrong by now.
  for (const id of late) copy.sandbox.setTrouble(id, "gone");
  await proxy.setMode({ kind: "latency", ms: heirFarMs });
  if (!waits)
    await copy.sql`update backfill_runs set heartbeat_at = now() - make_interval(secs => ${silenceMs / 1_000})`;
  const silentMs = performance.now();
  const isTaken = async () => (await readRun(copy.sql))?.fencing_token !== run?.fencing_token;
  await waitUntil(isTaken, takeOverMsMax, "Nobody has taken the run over", pollMs);
  const takeOverMs = performance.now() - (waits ? stoppedMs : silentMs);

  const rowsBefore = await readRows(copy);
  const callsBefore = copy.sandbox.calls.list().length;
  sleeper.signal("SIGCONT");
  const code = await withDeadline(sleeper.ended, stepMsMax, "The sleeper goes on");
  const askedSince = listAsked(copy, callsBefore);
  const written = [...(await readRows(copy))].filter(([id, row]) => rowsBefore.get(id) !== row && !askedSince.has(id));
  if (written.length > 0) broken.push(`${written.length} stale writes went through, of ${written[0]}`);
  if (code !== interruptedCode || !sleeper.output.err.includes("another process has taken it over"))
    broken.push(`The sleeper ended with ${code}: ${sleeper.output.err.slice(-500)}`);
  await proxy.setMode({ kind: "pass" });

  const heirCode = await withDeadline(heir.ended, runMsMax, "The heir has not ended");
  if (heirCode !== someFailedCode) broken.push(`The heir ended with ${heirCode}: ${heir.output.err.slice(-500)}`);
  const ended = await readRun(copy.sql);
  if (ended?.id !== run?.id || ended?.state !== "completed" || ended.done !== copy.people)
    broken.push(`The heir left a run that is ${ended?.state} with ${ended?.done} of ${copy.people} people`);
  if (ended?.outcomes.gone !== late.length)
    broken.push(`${ended?.outcomes.gone} people are gone by the run, and ${late.length} are`);
  broken.push(...(await judgeTotals(copy.sql, "After the sleep")), ...(await judgeRepeats(copy)));
  return { broken, late: late.length, takeOverMs };
}

/** Those of them whom the run has not finished with. */
async function listUnfinished({ sql }: InboxCopy, ids: readonly string[], number: string): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    select participant_platform_id as id from conversations
    where run_number is distinct from ${number}::bigint
      and participant_platform_id in (select jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb))`;
  return rows.map(({ id }) => id);
}

/** Statements that others have under way. One that waits for its client, which may stand still, has done nothing yet. */
async function countActive({ sql }: InboxCopy): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and state = 'active'
      and wait_event_type is distinct from 'Client'`;
  return row?.count ?? 0;
}

async function countUnnamed({ sql }: InboxCopy): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from conversations where profile_status not in ('complete', 'no_picture')`;
  return row?.count ?? 0;
}

/** Each person's row but its lease. */
async function readRows({ sql }: InboxCopy): Promise<Map<string, string>> {
  const rows = await sql<{ id: string; row: string }[]>`
    select participant_platform_id as id, (to_jsonb(c) - '{lease_token,lease_until,lease_owner}'::text[])::text as row
    from conversations c`;
  return new Map(rows.map(({ id, row }) => [id, row]));
}
