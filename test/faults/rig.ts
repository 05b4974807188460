/**
 * Everything a scenario breaks, put together: real Postgres and Redis of its own, proxies before them, the sandbox,
 * the compiled daemon, and outside of it the plan, the ledger and the sender.
 *
 *   await using rig = await openRig({ seed, redis: true, proxy: true });
 *   await rig.daemon.start();
 *   const load = rig.sender.start({ lanes: 8, next: rig.order.next });
 *   await rig.postgres.stop("immediate"); await rig.postgres.start();    // PostgresServer of test/support
 *   await rig.proxies.postgres.setMode({ kind: "latency", ms: 500 });     // with proxy: true
 *   rig.sql`…`                                                            // the tables, straight, never through a proxy
 *   rig.sandbox.setTrouble(id, "hang")                                    // with sandbox: { people: 100 }
 *   load.stopTaking(); await load.acknowledged(30_000);
 *   const check = await rig.check();
 *   return rig.result({ cycles, check, notes: {}, broken: [] });
 *
 * With `sandbox` the plan's accounts and people are the sandbox's (added with their tokens, so lookups happen); without
 * it they are nobody's and no lookup reaches any Graph.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import postgres, { type Sql } from "postgres";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLog } from "../../src/lib/log.ts";
import { openSandbox, type Sandbox } from "../../src/sandbox/sandbox.ts";
import { waitUntil } from "../support/bounded-wait.ts";
import { compiledBinary } from "../support/compiled-binary.ts";
import type { PostgresServer } from "../support/postgres-server.ts";
import type { RedisServer } from "../support/redis-server.ts";
import { createServerFolder, startWatchdog } from "../support/server-folder.ts";
import { openPostgres, openRedis } from "../support/services.ts";
import { type CheckReport, checkTables } from "./check-tables.ts";
import { createDaemonProcess, type DaemonProcess } from "./daemon-process.ts";
import { createEventPlan, createSendOrder, makePlanAccounts } from "./event-plan.ts";
import { type FaultProxy, openFaultProxy } from "./fault-proxy.ts";
import { createLedger } from "./ledger.ts";
import { findQuietPort } from "./quiet-port.ts";
import type { ScenarioResult } from "./scenario.ts";
import { createSender } from "./sender.ts";

/** How far back the plan begins: an event `e` happens `e` ms later, and a long run has tens of millions of places. */
const planHoursBack = 16;
const hourMs = 3_600_000;
const accountsDefault = 4;
const peopleDefault = 250; // An account: enough that commits meet on some conversations and not on all.
const spoolDrainMsMax = 300_000; // What a spool holds after the longest outage or flood of a scenario: two million posts.
const commandMsMax = 30_000; // `accounts add`: a second.
export const appSecret = "faults_app_secret";

export type RigOptions = {
  readonly seed: number;
  /** Settings of Postgres, such as `{ max_connections: "5" }`. */
  readonly postgres?: Readonly<Record<string, string>>;
  /** A folder to make Postgres's in, such as a small file system. */
  readonly postgresUnder?: string;
  readonly redis?: boolean | { readonly settings: Readonly<Record<string, string>> };
  readonly sandbox?:
    | boolean
    | { readonly people?: number; readonly latencyMs?: number; readonly troubleShare?: number };
  /** Puts a fault proxy before Postgres, and before Redis and Graph where they are there. */
  readonly proxy?: boolean;
  /** Settings of the daemon beside the rig's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** A folder to make the data folders in. */
  readonly under?: string;
  /** Goes before the binary's command line. */
  readonly wrap?: readonly string[];
  /** Another program than the compiled one. */
  readonly binary?: string;
  readonly batchMax?: number;
  readonly accounts?: number;
  readonly people?: number;
};
export type Rig = Awaited<ReturnType<typeof openRig>>;
export type RigCheck = CheckReport;

/** Opens all of it. The daemon is not started yet; the first start migrates. Disposing leaves nothing behind. */
export async function openRig(options: RigOptions) {
  await using opening = new AsyncDisposableStack();
  await compiledBinary(); // Before anything else runs on the two cores.
  const folder = createServerFolder("faults", null, options.under);
  const watchdog = startWatchdog(folder, "TERM");
  opening.defer(() => watchdog.release());
  const [server, redis] = await Promise.all([
    openPostgres({
      settings: options.postgres ?? {},
      ...(options.postgresUnder === undefined ? {} : { under: options.postgresUnder }),
    }).then((opened) => opening.use(opened)),
    options.redis
      ? openRedis(options.redis === true ? {} : options.redis).then((opened) => opening.use(opened))
      : Promise.resolve(null),
  ]);
  const sandbox = options.sandbox
    ? opening.use(await openRigSandbox(options.seed, options.sandbox === true ? {} : options.sandbox))
    : null;
  const proxies = options.proxy ? await openProxies(opening, server, redis, sandbox) : null;
  let sql = connect(server.url);
  opening.defer(() => sql.end({ timeout: 1 }));

  const env: Record<string, string> = {
    DATABASE_URL: through(server.url, proxies?.postgres ?? null),
    ...(redis === null ? {} : { REDIS_URL: through(redis.url, proxies?.redis ?? null) }),
    // Nothing of a test ever leaves the machine: without a sandbox, Graph is a port where nobody listens.
    GRAPH_INSTAGRAM_URL:
      sandbox === null ? "http://127.0.0.1:9" : through(sandbox.instagramUrl, proxies?.graph ?? null),
    GRAPH_FACEBOOK_URL: sandbox === null ? "http://127.0.0.1:9" : through(sandbox.facebookUrl, proxies?.graph ?? null),
    META_APP_SECRET: appSecret,
    META_VERIFY_TOKEN: "faults_verify_token",
    SOCIAL_SYNC_ENCRYPTION_KEY: "5a".repeat(32),
    SOCIAL_SYNC_LOG_LEVEL: "warn",
    SOCIAL_SYNC_LOG_FORMAT: "json",
    ...options.env,
  };
  const daemons: DaemonProcess[] = [];
  const running = opening.use(new AsyncDisposableStack()); // The last opened: they end before what they use.
  const addDaemon = async (name: string, more: Readonly<Record<string, string>> = {}): Promise<DaemonProcess> => {
    const dataFolder = join(folder, name);
    mkdirSync(dataFolder, { recursive: true });
    const daemon = running.use(
      createDaemonProcess({
        name,
        folder,
        port: await findQuietPort(),
        env: { ...env, SOCIAL_SYNC_DATA_DIR: dataFolder, ...more },
        ...(options.wrap === undefined ? {} : { wrap: options.wrap }),
        ...(options.binary === undefined ? {} : { binary: options.binary }),
      }),
    );
    daemons.push(daemon);
    return daemon;
  };
  const daemon = await addDaemon("daemon");

  const plan = createEventPlan({
    seed: options.seed,
    startMs: Date.now() - planHoursBack * hourMs,
    accounts:
      sandbox === null
        ? makePlanAccounts(options.seed, options.accounts ?? accountsDefault, options.people ?? peopleDefault)
        : sandbox.world.accounts.map(({ instagramId, people }) => ({
            id: instagramId,
            people: people.map(({ id }) => id),
          })),
    ...(options.batchMax === undefined ? {} : { batchMax: options.batchMax }),
  });
  const ledger = createLedger();
  const sender = createSender({ ports: [daemon.port], secret: appSecret, ledger, bodyOf: plan.buildBody });
  if (sandbox !== null) await addAccounts(sandbox, daemon, server.url, options.binary);

  /** Asks a daemon how it stands. */
  const readHealth = (asked: DaemonProcess = daemon) => readHealthOf(asked.url);

  /** Waits until no spool of a running daemon holds anything. Does nothing where the product has no spool. */
  const settle = async (timeoutMs = spoolDrainMsMax): Promise<void> => {
    for (const asked of daemons.filter((one) => one.isRunning()))
      await waitUntil(
        async () => countSpooled(await readHealthOf(asked.url)) === 0,
        timeoutMs,
        `Cannot compare the tables: the spool of ${asked.name} is not empty`,
      );
  };

  const owned = opening.move();
  return {
    seed: options.seed,
    folder,
    appSecret,
    env,
    postgres: server,
    /** Throws where the rig was opened without it. */
    get redis(): RedisServer {
      return redis ?? missing("redis");
    },
    get sandbox(): Sandbox {
      return sandbox ?? missing("sandbox");
    },
    get proxies(): RigProxies {
      return proxies ?? missing("proxy");
    },
    /** The tables, straight from Postgres. After a restart of Postgres call `reconnect()`. */
    get sql(): Sql {
      return sql;
    },
    reconnect: async (): Promise<void> => {
      const old = sql;
      sql = connect(server.url);
      await old.end({ timeout: 0 }).catch(() => {});
    },
    daemon,
    /** One more daemon on the same servers, with a data folder and a port of its own. Not started. */
    addDaemon,
    plan,
    order: createSendOrder(plan),
    ledger,
    sender,
    readHealth,
    settle,
    /** Waits for the spools, then compares every table with the model. The daemon may run or not. `setAside`: rows that quarantine must hold. */
    check: async ({ setAside = 0 }: { readonly setAside?: number } = {}): Promise<CheckReport> => {
      await settle();
      return await checkTables({ sql, plan, ledger, setAside });
    },
    /** A scenario's result from its check; the daemons' complaints are broken laws too. */
    result: (given: {
      readonly cycles: number;
      readonly check: CheckReport;
      readonly notes?: Readonly<Record<string, number | string>>;
      readonly broken?: readonly string[];
    }): ScenarioResult => ({
      cycles: given.cycles,
      acknowledged: given.check.acknowledged,
      lost: given.check.lost,
      doubled: given.check.doubled,
      notes: given.notes ?? {},
      broken: [...given.check.broken, ...(given.broken ?? []), ...daemons.flatMap((one) => one.complaints())],
    }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export type RigProxies = { readonly postgres: FaultProxy; readonly redis: FaultProxy; readonly graph: FaultProxy };

async function openProxies(
  opening: AsyncDisposableStack,
  server: PostgresServer,
  redis: RedisServer | null,
  sandbox: Sandbox | null,
): Promise<{ postgres: FaultProxy; redis: FaultProxy; graph: FaultProxy }> {
  const open = async (port: number | null) => opening.use(await openFaultProxy(port ?? 9));
  return {
    postgres: await open(server.port),
    redis: await open(redis?.port ?? null),
    graph: await open(sandbox === null ? null : Number(new URL(sandbox.origin).port)),
  };
}

async function openRigSandbox(
  seed: number,
  { people = 100, latencyMs = 20, troubleShare = 0 }: { people?: number; latencyMs?: number; troubleShare?: number },
): Promise<Sandbox> {
  return await openSandbox({
    host: "127.0.0.1",
    port: 0,
    seed,
    people,
    latencyMs,
    troubleShare,
    ratePerWindow: null,
    windowMs: hourMs,
    messagesPerSecond: 0,
    appSecret,
    webhookUrl: null,
    clock: createSystemClock(),
    log: createLog("error", () => {}),
  });
}

/** Adds the sandbox's accounts by the product's own command, which also migrates. */
async function addAccounts(
  sandbox: Sandbox,
  daemon: DaemonProcess,
  databaseUrl: string,
  binary?: string,
): Promise<void> {
  for (const { instagramId, login, pageId, token } of sandbox.world.accounts) {
    const page = pageId === null ? [] : ["--page-id", pageId];
    const args = ["accounts", "add", "--instagram-id", instagramId, "--login", login, ...page, "--token-file", "-"];
    const child = Bun.spawn([binary ?? (await compiledBinary()), ...args], {
      env: { PATH: process.env.PATH ?? "/usr/bin:/bin", ...daemon.env, DATABASE_URL: databaseUrl },
      stdin: new Blob([`${token}\n`]),
      stdout: "ignore",
      stderr: "pipe",
      timeout: commandMsMax,
    });
    const said = await new Response(child.stderr).text();
    if ((await child.exited) !== 0) throw new Error(`Cannot add an account of the sandbox:\n${said.slice(-2_000)}`);
  }
}

function connect(url: string): Sql {
  return postgres(url, { max: 2, connect_timeout: 10, onnotice: () => {} });
}

/** The same address, through the proxy where there is one. */
const through = (address: string, proxy: FaultProxy | null): string => proxy?.through(address) ?? address;

export type HealthAnswer = {
  readonly ready: boolean;
  readonly checks: readonly {
    readonly name: string;
    readonly state: string;
    readonly detail: string;
    readonly values?: Readonly<Record<string, number>>;
  }[];
};

/** `/health/ready`, or null where nobody answers. */
export async function readHealthOf(url: string): Promise<HealthAnswer | null> {
  try {
    const response = await fetch(`${url}/health/ready`, {
      headers: { Connection: "close" },
      signal: AbortSignal.timeout(3_000),
    });
    return (await response.json()) as HealthAnswer;
  } catch {
    return null;
  }
}

/** Records in the spool by the daemon's own word; 0 where it has no spool, null where it does not say. */
export function countSpooled(health: HealthAnswer | null): number | null {
  if (health === null) return null;
  const spool = health.checks.find(({ name }) => name === "spool");
  if (spool === undefined) return 0;
  const told = Object.entries(spool.values ?? {}).find(([name]) => /^(records|depth)/i.test(name))?.[1];
  if (told !== undefined) return told;
  const words = /(\d+) (?:record|deliver)/.exec(spool.detail)?.[1];
  return words === undefined ? (spool.state === "ok" ? 0 : null) : Number(words);
}

function missing(option: string): never {
  throw new Error(`Cannot use ${option}: the rig was opened without it.`);
}
