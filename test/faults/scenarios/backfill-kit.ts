/**
 * What the backfill scenarios share: an inbox that webhooks have filled, as many copies of it as runs are compared, the
 * backfill itself as a process, and what the sandbox's log says of its calls.
 *
 *   await using filled = await openFilledInbox({ seed, people: 1_000 });
 *   await using inbox = await filled.copy({ latencyMs: 20 });      // a database and a sandbox of its own, the same people
 *   const program = await inbox.start(["--json"]);
 *   program.signal("SIGKILL"); await program.ended; await inbox.quiet();
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import postgres, { type Sql } from "postgres";
import { createSystemClock } from "../../../src/lib/clock.ts";
import { createLog } from "../../../src/lib/log.ts";
import { openSandbox, type Sandbox } from "../../../src/sandbox/sandbox.ts";
import { createWorld, type SandboxAccount } from "../../../src/sandbox/world.ts";
import { waitUntil } from "../../support/bounded-wait.ts";
import { compiledBinary } from "../../support/compiled-binary.ts";
import { createRedisClient } from "../../support/redis-server.ts";
import { appSecret, openRig, type Rig } from "../rig.ts";
import { buildRequest } from "../sender.ts";
import { buildStranger, buildStrangerBody, sendMany } from "./hostile-kit.ts";

/** The account that logs in through a Page: its people are asked for 50 a request. */
const pageAccount = 1;
export const peoplePerRequest = 50;
/** So short a window of the rate that a throttle's pause, a quarter of it, holds up no gate. */
const rateWindowMs = 2_000;
const itemsPerPost = 200;
const postLanes = 4;
const callLogMax = 200_000; // No call of a run may fall out of the log: it is what is judged.
const windowMs = 3_600_000;
const redisDatabases = 16;
const commandMsMax = 30_000;
const quietMsMax = 20_000;
/** All that a run of 10,000 people prints: a line a person, some 250 characters each. */
const outputCharactersMax = 8_000_000;

export type FilledInbox = Awaited<ReturnType<typeof openFilledInbox>>;
export type InboxCopy = Awaited<ReturnType<FilledInbox["copy"]>>;
export type BackfillProgram = Awaited<ReturnType<InboxCopy["start"]>>;

/**
 * Servers of its own, and a database in which everybody of the page account has written once: the daemon took it in as
 * webhooks before anybody had added the account.
 */
export async function openFilledInbox({ seed, people }: { readonly seed: number; readonly people: number }) {
  await using opening = new AsyncDisposableStack();
  const env = { SOCIAL_SYNC_RATE_WINDOW_MS: String(rateWindowMs), SOCIAL_SYNC_INBOX_SPACING_MS: "0" };
  const rig = opening.use(await openRig({ seed, redis: true, env }));
  const account = createWorld({ seed, people, troubleShare: 0 }).accounts[pageAccount];
  if (account === undefined) throw new Error("Cannot fill an inbox: the sandbox has no page account.");
  await rig.daemon.start();
  const acknowledged = await sendFirstMessages(rig, account);
  await rig.settle();
  await rig.daemon.stop();
  await addAccount(rig, account);
  const admin = postgres(databaseUrl(rig.postgres.url, "template1"), { max: 1, onnotice: () => {} });
  opening.defer(() => admin.end({ timeout: 1 }));
  const base = new URL(rig.postgres.url).pathname.slice(1);
  let copies = 0;

  const owned = opening.move();
  return {
    rig,
    account,
    /** First messages of everybody. */
    acknowledged,
    /** The people, the same ones in a database, a sandbox and a cache of their own. */
    async copy({ latencyMs, redis = true }: { readonly latencyMs: number; readonly redis?: boolean }) {
      await using opened = new AsyncDisposableStack();
      const number = copies;
      copies += 1;
      const name = `copy_${number}`;
      await waitUntil(async () => (await countSessions(admin, base)) === 0, quietMsMax, "The filled inbox is in use");
      await admin`create database ${admin(name)} template ${admin(base)}`;
      opened.defer(async () => void (await admin`drop database ${admin(name)} with (force)`));
      const sandbox = opened.use(await openBox(seed, people, latencyMs));
      const url = databaseUrl(rig.postgres.url, name);
      const sql = postgres(url, { max: 1, onnotice: () => {} });
      opened.defer(() => sql.end({ timeout: 1 }));
      const programs = opened.use(new AsyncDisposableStack()); // The last opened: they end before what they use.
      const { REDIS_URL: _, ...bare } = rig.env;
      const copyEnv = {
        ...bare,
        DATABASE_URL: url,
        GRAPH_INSTAGRAM_URL: sandbox.instagramUrl,
        GRAPH_FACEBOOK_URL: sandbox.facebookUrl,
        ...(redis ? { REDIS_URL: await emptyRedis(rig, number % redisDatabases) } : {}),
      };
      const owner = opened.move();
      return {
        sql,
        sandbox,
        env: copyEnv,
        account,
        people: people,
        /** Starts `backfill` for the account. Every `seat` has a data folder of its own. */
        start: async (
          args: readonly string[] = [],
          { seat = "command", binary, env: more = {} }: ProgramOptions = {},
        ) => {
          const folder = join(rig.folder, `${name}-${seat}`);
          mkdirSync(folder, { recursive: true });
          const command = [
            binary ?? (await compiledBinary()),
            "backfill",
            "--account-id",
            account.instagramId,
            ...args,
          ];
          return programs.use(spawnProgram(command, rig.folder, { ...copyEnv, SOCIAL_SYNC_DATA_DIR: folder, ...more }));
        },
        /** Waits until nothing of a killed process is on its way to the database any more. */
        quiet: () =>
          waitUntil(
            async () => (await countSessions(admin, name)) <= 1, // our own
            quietMsMax,
            "Sessions of a killed backfill are still open",
          ),
        [Symbol.asyncDispose]: () => owner.disposeAsync(),
      };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

type ProgramOptions = {
  readonly seat?: string;
  readonly binary?: string;
  readonly env?: Readonly<Record<string, string>>;
};

/** One message of everybody, the first of the sandbox's list the latest. Answers how many were acknowledged. */
async function sendFirstMessages(rig: Rig, { instagramId, people }: SandboxAccount): Promise<number> {
  const { port } = rig.daemon;
  const latestMs = Date.now() - 60_000;
  let next = 0;
  let acknowledged = 0;
  await sendMany({
    port,
    lanes: postLanes,
    next: () => {
      const some = people.slice(next, next + itemsPerPost);
      if (some.length === 0) return null;
      const items = some.map(({ id }, at) => ({
        ...buildStranger(`first-${id}`, id, instagramId),
        timestamp: latestMs - (next + at) * 1_000,
      }));
      next += some.length;
      const body = buildStrangerBody(items, instagramId);
      return { bytes: buildRequest(body, { port, secret: rig.appSecret }), count: some.length };
    },
    onAnswer: ({ status }, { count }) => {
      if (status !== 200) throw new Error(`Cannot fill the inbox: a post was answered ${status}`);
      acknowledged += count;
    },
  });
  return acknowledged;
}

async function addAccount(rig: Rig, { instagramId, login, pageId, token }: SandboxAccount): Promise<void> {
  const args = ["accounts", "add", "--instagram-id", instagramId, "--login", login, "--page-id", pageId ?? ""];
  const child = Bun.spawn([await compiledBinary(), ...args, "--token-file", "-"], {
    cwd: rig.folder,
    env: { PATH: process.env.PATH ?? "/usr/bin:/bin", ...rig.daemon.env },
    stdin: new Blob([`${token}\n`]),
    stdout: "ignore",
    stderr: "pipe",
    timeout: commandMsMax,
  });
  const said = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`Cannot add the account:\n${said.slice(-2_000)}`);
}

async function openBox(seed: number, people: number, latencyMs: number): Promise<Sandbox> {
  return await openSandbox({
    ...{ host: "127.0.0.1", port: 0, seed, people, latencyMs, troubleShare: 0, callLogMax },
    ...{ ratePerWindow: null, windowMs, messagesPerSecond: 0, appSecret, webhookUrl: null },
    clock: createSystemClock(),
    log: createLog("error", () => {}),
  });
}

/** A cache that knows nobody. */
async function emptyRedis({ redis }: Rig, number: number): Promise<string> {
  const url = `${redis.url.replace(/\/$/, "")}/${number}`;
  const client = createRedisClient(url);
  try {
    await client.flushdb();
  } finally {
    client.disconnect();
  }
  return url;
}

async function countSessions(sql: Sql, database: string): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from pg_stat_activity where datname = ${database} and backend_type = 'client backend'`;
  return row?.count ?? 0;
}

function databaseUrl(server: string, database: string): string {
  const url = new URL(server);
  url.pathname = `/${database}`;
  return url.href;
}

/** A program whose output is kept. Disposing kills it where it runs. */
function spawnProgram(command: string[], cwd: string, env: Record<string, string>) {
  const child = Bun.spawn(command, {
    cwd, // Inside the rig's folder, whose watchdog ends everything that works in there.
    env: { PATH: process.env.PATH ?? "/usr/bin:/bin", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const output = { out: "", err: "" };
  const collect = async (stream: ReadableStream<Uint8Array>, name: "out" | "err") => {
    const decoder = new TextDecoder();
    for await (const bytes of stream)
      output[name] = (output[name] + decoder.decode(bytes, { stream: true })).slice(-outputCharactersMax);
  };
  const collected = Promise.all([collect(child.stdout, "out"), collect(child.stderr, "err")]);
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  return {
    output,
    isRunning,
    /** Its exit code; null where a signal ended it. */
    ended: child.exited.then(async () => {
      await collected;
      return child.exitCode;
    }),
    signal: (name: NodeJS.Signals): void => child.kill(name),
    /** The last event of that name that it printed as NDJSON. */
    event(name: string): Readonly<Record<string, unknown>> | null {
      const lines = output.out.split("\n").filter((line) => line.startsWith("{") && line.endsWith("}"));
      const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
      return events.findLast(({ event }) => event === name) ?? null;
    },
    [Symbol.asyncDispose]: async (): Promise<void> => {
      if (isRunning()) child.kill("SIGKILL");
      await child.exited;
    },
  };
}
