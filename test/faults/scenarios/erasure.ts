/**
 * Row 38: people are erased under load while one of them is being looked up, and then comes back whatever can bring them
 * back: every delivery of theirs again, a spool that somebody restored from a backup, a replay. Nothing of them may
 * stand in any table, nor in Redis; everybody else's events are compared with the model as ever. Who writes afterwards
 * is there again, and new.
 */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "../../support/bounded-wait.ts";
import { compiledBinary } from "../../support/compiled-binary.ts";
import { createRedisClient } from "../../support/redis-server.ts";
import { openLane } from "../request-lane.ts";
import { openRig, type Rig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { buildRequest, requestMsDefault } from "../sender.ts";
import { finish, startLoad } from "../under-load.ts";
import { buildStranger, buildStrangerBody } from "./hostile-kit.ts";

/** How long a lookup takes: enough for an erasure to begin meanwhile. */
const graphMs = 400;
const commandMsMax = 60_000; // An erasure waits for a lookup under way: 45 s where its daemon died within.
const eventMsMax = 60_000; // Tried again by a sweep at the latest, also where a claim's answer was lost: its lease ends after 40 s.
const batchMax = 3;
const perSecond = 40;
const acknowledgedStatus = 200;
/** An id that the sandbox takes for a person, who has a name that must be cleaned: 999, ten digits, its suffix. */
const idOf = (cycle: number, one: number) => `999${String(cycle * 10 + one).padStart(10, "0")}905`;

export const erasure: Scenario = {
  name: "erasure",
  fault:
    "People erased under load and within a lookup; then all of their events again, a replay, and a spool out of a backup",
  rows: [38],
  cycles: { short: 1, long: 50 },
  timeoutMs: 90_000,
  async run({ cycles, seed, signal }) {
    await using rig = await openRig({
      seed,
      batchMax,
      redis: true,
      proxy: true,
      sandbox: { people: 200, latencyMs: graphMs },
    });
    await rig.daemon.start();
    const load = startLoad(rig, { lanes: 4, perSecond });
    await using _ = { [Symbol.asyncDispose]: load.stop }; // Else a run that throws would go on sending for ever.
    const accountId = rig.sandbox.world.accounts[0]?.instagramId ?? "";
    const broken: string[] = [];
    const erasureMs: number[] = [];
    let sentAgain = 0;
    let done = 0;
    for (; done < cycles && !signal.aborted; done += 1) {
      const [known, asked] = [idOf(done, 1), idOf(done, 2)];
      const bodies: Buffer[] = [];
      const send = async (body: Buffer) => {
        using lane = openLane(rig.daemon.port);
        const { status } = await lane.send(
          buildRequest(body, { port: rig.daemon.port, secret: rig.appSecret }),
          requestMsDefault,
        );
        if (status !== acknowledgedStatus) broken.push(`Cycle ${done}: a delivery got ${status}`);
      };
      const sendNew = async (body: Buffer) => {
        bodies.push(body);
        await send(body);
      };

      // Somebody with everything that can be kept of a person.
      for (const body of everythingOf(known, accountId, done)) await sendNew(body);
      await lookedUp(rig, known);
      // And a message that waits in the spool, of which somebody takes a backup.
      rig.proxies.postgres.setMode({ kind: "refuse" });
      rig.proxies.postgres.resetAll();
      await sendNew(buildStrangerBody([buildStranger(`spooled-${done}`, known, accountId)], accountId));
      const spool = join(rig.folder, rig.daemon.name, "spool");
      const backup = join(rig.folder, `backup-${done}`);
      cpSync(spool, backup, { recursive: true });
      rig.proxies.postgres.setMode({ kind: "pass" });
      const isStored = async () => (await rig.sql`select from messages where mid = ${`spooled-${done}`}`).length > 0;
      await waitUntil(isStored, eventMsMax, "Cannot see the spooled message in the table");
      // And somebody who is being looked up just now.
      await sendNew(buildStrangerBody([buildStranger(`asked-${done}`, asked, accountId)], accountId));
      const isLeased = async () =>
        (await rig.sql`select from conversations where participant_platform_id = ${asked} and lease_until > now()`)
          .length > 0;
      await waitUntil(isLeased, eventMsMax, "Cannot see the lookup under way", 5);

      const startMs = performance.now();
      broken.push(...(await run(rig, ["erase", "--file", "-", "--yes", "--json"], `${known}\n${asked}\n`)));
      erasureMs.push(performance.now() - startMs);
      const tell = (when: string, traces: readonly string[]) =>
        broken.push(...traces.map((trace) => `Cycle ${done}, ${when}: ${trace}`));
      tell("after the erasure", await findTraces(rig, [known, asked]));

      // The daemon dies, and its spool comes back as it was.
      await rig.daemon.kill();
      cpSync(backup, spool, { recursive: true });
      await rig.daemon.start();
      for (const body of [...bodies].reverse()) await send(body);
      sentAgain += bodies.length;
      broken.push(...(await run(rig, ["replay"], "")));
      await rig.settle();
      tell("with everything again", await findTraces(rig, [known, asked]));

      // Who writes now is new, and gets a name; then they leave for good, so that the tables are the model's.
      await send(buildStrangerBody([buildStranger(`later-${done}`, known, accountId)], accountId));
      await lookedUp(rig, known);
      const [row] = await rig.sql`select unread_count::int as unread, (select count(*)::int from messages m
        where m.conversation_id = c.id) as messages from conversations c where participant_platform_id = ${known}`;
      if (row?.unread !== 1 || row.messages !== 1)
        broken.push(`Cycle ${done}: who wrote after their erasure has ${JSON.stringify(row ?? null)}, not one message`);
      broken.push(...(await run(rig, ["erase", "--person", known, "--yes"], "")));
      tell("after the second erasure", await findTraces(rig, [known, asked]));
    }
    return await finish(rig, load, {
      cycles: done,
      starts: 1 + done,
      notes: {
        "deliveries of erased people sent again": sentAgain,
        "an erasure within a lookup, worst ms": Math.round(Math.max(0, ...erasureMs)),
      },
      broken,
    });
  },
};

/** A message, a reaction, a read, a comment with the name, and a delivery that nobody can read. */
function everythingOf(person: string, accountId: string, cycle: number): Buffer[] {
  const sides = { sender: { id: person }, recipient: { id: accountId }, timestamp: Date.now() };
  const mid = `known-${cycle}`;
  const comment = { id: `comment-${cycle}`, timestamp: Date.now(), from: { id: person, username: "a.comment" } };
  const entry = { id: accountId, time: Date.now(), changes: [{ field: "comments", value: comment }] };
  return [
    buildStrangerBody(
      [
        buildStranger(mid, person, accountId),
        { ...sides, reaction: { mid, action: "react", reaction: "love", emoji: "❤" } },
        { ...sides, read: { mid } },
      ],
      accountId,
    ),
    Buffer.from(JSON.stringify({ object: "instagram", entry: [entry] })),
    Buffer.from(`{"object":"instagram","entry":[{"id":"${accountId}","about":"${person}`),
  ];
}

/** Waits for the person's name; throws with what their row says instead. */
async function lookedUp({ sql }: Rig, person: string): Promise<void> {
  const read = () => sql`select profile_status, reason_code, attempts, fetched_at, participant_name, next_attempt_at,
      lease_until, last_message_at, now() as now from conversations where participant_platform_id = ${person}`;
  const isKnown = async () => {
    const [row] = await read();
    return row?.fetched_at != null && row.participant_name !== null && (row.lease_until ?? 0) < row.now;
  };
  await waitUntil(isKnown, eventMsMax, "Not known").catch(async () => {
    throw new Error(`Cannot see the person's name within ${eventMsMax} ms: ${JSON.stringify(await read())}`);
  });
}

/** Runs a command beside the daemon, straight to the servers. Answers what was wrong with its end. */
async function run(rig: Rig, args: readonly string[], stdin: string): Promise<string[]> {
  const child = Bun.spawn([await compiledBinary(), ...args], {
    cwd: rig.folder,
    env: {
      PATH: process.env.PATH ?? "/usr/bin:/bin",
      ...rig.env,
      DATABASE_URL: rig.postgres.url,
      REDIS_URL: rig.redis.url,
      SOCIAL_SYNC_DATA_DIR: join(rig.folder, "command"),
    },
    stdin: new Blob([stdin]),
    stdout: "pipe",
    stderr: "pipe",
    timeout: commandMsMax,
  });
  const words = (await new Response(child.stdout).text()) + (await new Response(child.stderr).text());
  const code = await child.exited;
  return code === 0 ? [] : [`${args[0]} ended with ${code}: ${words.slice(-1_000)}`];
}

/** Where anything tells of `people`. */
async function findTraces({ sql, redis }: Rig, people: readonly string[]): Promise<string[]> {
  const traces: string[] = [];
  for (const table of ["events", "messages", "conversations", "reactions", "read_receipts", "known_usernames"])
    for (const person of people) {
      const rows = await sql<{ row: string }[]>`
        select r::text as row from ${sql(table)} r where position(${person} in r::text) > 0`;
      traces.push(...rows.map(({ row }) => `${table} holds ${row.slice(0, 300)}`));
    }
  for (const person of people) {
    const rows = await sql`select from quarantine where position(${Buffer.from(person)} in body) > 0`;
    if (rows.length > 0) traces.push(`${rows.length} rows of quarantine hold ${person}`);
  }
  const client = createRedisClient(redis.url);
  try {
    for (const person of people)
      if ((await client.exists(`instagram:profile:${person}`)) > 0) traces.push(`Redis holds ${person}`);
  } finally {
    client.disconnect();
  }
  return traces;
}
