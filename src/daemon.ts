import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Config } from "./config.ts";
import { parseAccountId } from "./domain/ids.ts";
import { createHttpApp } from "./http/http-app.ts";
import { openHttpServer } from "./http/http-server.ts";
import { type Clock, endsWithin } from "./lib/clock.ts";
import type { Log } from "./lib/log.ts";
import { openLookupQueue } from "./queue/lookup-queue.ts";
import { readVersion, schemaVersion } from "./repository/migrate.ts";
import { openRuntime, type Runtime } from "./runtime.ts";
import type { Sandbox } from "./sandbox/sandbox.ts";
import { createDispatcher } from "./usecases/dispatch.ts";
import { createIngest } from "./usecases/ingest.ts";
import { answerHandshake } from "./webhook/answer-handshake.ts";

/** Largest webhook body. Meta names 3 MB for WhatsApp and nothing for Instagram (meta-platform.md §1.3). */
export const webhookBodyMax = 4 * 1024 * 1024;
/** A health question is answered by then, whatever the database does. */
const healthDeadlineMs = 1_000;
/** Lookups under way at a stop get this long before they are given up, and then this long to say so. */
const lookupsLastMs = 8_000;
const lookupsGiveUpMs = 2_000;

export type SandboxWish = {
  readonly people: number;
  readonly ratePerWindow: number | null;
  readonly latencyMs: number;
  readonly messagesPerSecond: number;
  readonly seed: number;
  /** How many of its accounts are added here. */
  readonly accounts: number;
};

export type DaemonIo = { clock: Clock; log: Log; version: string };
export type Daemon = Awaited<ReturnType<typeof openDaemon>>;

/**
 * Starts everything that `serve` runs: the shared runtime, the queue and its worker, the HTTP server and, where wished
 * for, Instagram in a box. `close()` stops in order: no new requests → requests in flight → worker → database.
 */
export async function openDaemon(given: Config, wish: SandboxWish | null, { clock, log, version }: DaemonIo) {
  await using opening = new AsyncDisposableStack();
  const place: { webhookUrl: string | null } = { webhookUrl: null };
  const box = wish === null ? null : opening.use(await openBox(given, wish, place, { clock, log }));
  const config = box?.config ?? given;
  const runtime = opening.use(await openRuntime(config, { clock, log, role: "daemon" }));
  if (box !== null && wish !== null) await addSandboxAccounts(runtime, box.sandbox, wish.accounts);

  const queue = opening.use(await openLookupQueue(join(config.dataFolder, "queue"), { clock, log }));
  const stopTaking = new AbortController();
  const abort = new AbortController();
  const { enrich, lookups, conversations, events } = runtime;
  const dispatcher = createDispatcher(
    { enrich, queue, lookups, clock, log },
    { stopTaking: stopTaking.signal, abort: abort.signal },
  );
  opening.defer(async () => {
    stopTaking.abort();
    if (await endsWithin(clock, dispatcher.settle(), lookupsLastMs)) return;
    abort.abort();
    await endsWithin(clock, dispatcher.settle(), lookupsGiveUpMs);
  });
  const ingest = createIngest({ events, onWanted: dispatcher.wake, clock, log }, { appSecrets: config.appSecrets });

  const app = createHttpApp(
    {
      answerHandshake: (query) => answerHandshake(query, config.verifyToken),
      receive: ingest.receive,
      listConversations: conversations.listConversations,
      getConversation: conversations.getConversation,
      listMessages: conversations.listMessages,
      requestEnrichment: async (id) => {
        if (!(await conversations.armLookup(id))) return null;
        dispatcher.wake([id]);
        return "accepted";
      },
      health: () => checkHealth(runtime),
      version,
    },
    { apiKeys: config.apiKeys, webhookBodyMax, log },
  );
  const server = opening.use(openHttpServer(app, { hostname: config.host, port: config.port, clock }));
  place.webhookUrl = `${server.url}/webhooks/instagram`;
  dispatcher.start();
  const owned = opening.move();
  return {
    url: server.url,
    runtime,
    sandbox: box?.sandbox ?? null,
    describe: () => describe(runtime, server.url, version, box?.sandbox ?? null, wish),
    close: () => owned.disposeAsync(),
  };
}

type Box = AsyncDisposable & { readonly sandbox: Sandbox; readonly config: Config };

/** Opens Instagram in a box and turns the settings towards it: its Graph, a secret of its own, a data folder of its own. */
async function openBox(
  config: Config,
  wish: SandboxWish,
  place: { readonly webhookUrl: string | null },
  { clock, log }: { clock: Clock; log: Log },
): Promise<Box> {
  const { openSandbox } = await import("./sandbox/sandbox.ts");
  const appSecret = config.appSecrets[0] ?? randomBytes(16).toString("hex");
  const sandbox = await openSandbox({
    ...wish,
    host: "127.0.0.1",
    port: 0,
    windowMs: config.rateWindowMs,
    appSecret,
    // The daemon's port is known only once it listens, and it listens last; until then a webhook is simply sent again.
    webhookUrl: "http://127.0.0.1/webhooks/instagram",
    fetch: (_, init) =>
      place.webhookUrl === null
        ? Promise.reject(new Error("Cannot deliver: nobody listens yet"))
        : fetch(place.webhookUrl, init),
    clock,
    log,
  });
  return {
    sandbox,
    config: {
      ...config,
      appSecrets: [...new Set([appSecret, ...config.appSecrets])],
      verifyToken: config.verifyToken ?? randomBytes(8).toString("hex"),
      dataFolder: join(config.dataFolder, "sandbox"),
      graph: { ...config.graph, instagramUrl: sandbox.instagramUrl, facebookUrl: sandbox.facebookUrl },
    },
    [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose](),
  };
}

async function addSandboxAccounts({ accounts }: Runtime, { world }: Sandbox, count: number): Promise<void> {
  for (const { instagramId, appScopedId, username, login, pageId, token } of world.accounts.slice(0, count)) {
    const id = parseAccountId(instagramId);
    if (id === null) continue;
    await accounts.saveAccount({ id, ownId: id, login, pageId, appScopedId, username, token, tokenExpiresAtMs: null });
  }
}

async function checkHealth({ database, cache, config }: Runtime) {
  const storage = await readVersion(database, healthDeadlineMs).then(
    (found) => ({
      ok: found === schemaVersion,
      detail: `schema version ${found}, this program needs ${schemaVersion}`,
    }),
    (error: Error) => ({ ok: false, detail: error.message }),
  );
  const { working, failures } = cache.health();
  const checks = [
    { name: "database", state: storage.ok ? ("ok" as const) : ("failed" as const), detail: storage.detail },
    {
      name: "cache",
      state: working ? ("ok" as const) : ("degraded" as const),
      detail: `${cache.describe()}${working ? "" : `, ${failures} failed calls: profiles are looked up without it`}`,
    },
    {
      name: "settings",
      state: config.verifyToken === null ? ("degraded" as const) : ("ok" as const),
      detail: config.verifyToken === null ? "META_VERIFY_TOKEN is not set: Meta's handshake is refused" : "complete",
    },
  ];
  return { ready: storage.ok, checks };
}

/** What is running and what is missing, for the terminal. */
function describe(
  { config, database, databaseVersion, cache }: Runtime,
  url: string,
  version: string,
  sandbox: Sandbox | null,
  wish: SandboxWish | null,
): string[] {
  const open = config.apiKeys.length === 0;
  const missing = [
    config.verifyToken === null ? "META_VERIFY_TOKEN: Meta's handshake is refused until it is set" : null,
    open ? "SOCIAL_SYNC_API_KEYS: the API answers on this machine only" : null,
    config.databaseUrl === null ? "DATABASE_URL: the embedded database is for evaluation" : null,
    config.redisUrl === null ? "REDIS_URL: cache and rate budget are this process's own" : null,
  ].filter((line) => line !== null);
  const boxed =
    sandbox === null || wish === null
      ? []
      : [
          `  sandbox    ${sandbox.origin}, ${sandbox.world.accounts.length} accounts with ${wish.people} people each, ${wish.messagesPerSecond} messages a second`,
        ];
  return [
    `social-sync ${version} listens on ${url}`,
    `  database   ${database.describe()} (Postgres ${databaseVersion})`,
    `  cache      ${cache.describe()}`,
    `  queue      bunqueue in ${join(config.dataFolder, "queue")}`,
    ...boxed,
    ...missing.map((line) => `  not set    ${line}`),
    `  look at    ${url}/   or   curl ${url}/messaging/conversations   or   ${url}/docs`,
  ];
}
