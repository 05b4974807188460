/**
 * The product from the tables to Graph's wire, in virtual time: the real store, dispatcher, enrich, budget, circuit, cache and
 * Graph client, on a real Postgres whose own `now()` is the test's, beside the sandbox on the same clock. Days pass in seconds.
 * Two things stand in: the queue, whose library has a clock of its own, and the network to a Graph that never answers.
 */
import postgres from "postgres";
import { createBudget } from "../../src/budget/budget.ts";
import { openProfileCache } from "../../src/cache/profile-cache.ts";
import { type ConversationId, parseAccountId, parseConversationId } from "../../src/domain/ids.ts";
import { profileMaxAgeMsDefault } from "../../src/domain/profile.ts";
import { createCircuit } from "../../src/graph/circuit.ts";
import { createGraphClient } from "../../src/graph/graph-client.ts";
import { chunk } from "../../src/lib/chunk.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { jobsInFlight, peoplePerJob } from "../../src/queue/lookup-queue.ts";
import { createAccountsRepository } from "../../src/repository/accounts.ts";
import type { Database } from "../../src/repository/database.ts";
import { createEventsRepository } from "../../src/repository/events.ts";
import { createLookupsRepository } from "../../src/repository/lookups.ts";
import { createVault } from "../../src/repository/vault.ts";
import { openSandbox, type Sandbox } from "../../src/sandbox/sandbox.ts";
import { createDispatcher, sweepEveryMs } from "../../src/usecases/dispatch.ts";
import { createEnrich } from "../../src/usecases/enrich.ts";
import { createProbes } from "../../src/usecases/probe-accounts.ts";
import { createStore } from "../../src/usecases/store.ts";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import { createRecordingLog, openTestRepositories, systemClock } from "./test-repositories.ts";
import { delivery, inbound } from "./webhook-bodies.ts";

export type VirtualInboxOptions = {
  /** People of each of the sandbox's two accounts. */
  readonly people: number;
  readonly seed?: number;
  /** Two accounts a sandbox. */
  readonly sandboxes?: number;
  /** Calls that Instagram serves an account in `windowMs`; null: any number. */
  readonly ratePerWindow?: number | null;
  readonly windowMs?: number;
  readonly redisUrl?: string | null;
  /** Processes that share the database and nothing else. */
  readonly daemons?: number;
  /** Rarer than the daemon's own, in ms, where weeks shall pass. */
  readonly sweepEveryMs?: number;
};

/** One message of somebody to an account. */
export type VirtualMessage = { readonly accountId: string; readonly personId: string };
export type VirtualInbox = Awaited<ReturnType<typeof openVirtualInbox>>;

const startMs = Date.UTC(2026, 10, 16);
/** Turns of the event loop without any work under way, after which nothing more comes of itself. */
const quietTurns = 12;
const statementBounds = { statementMs: 60_000, allMs: 60_000 } as const;

/** Makes `now()` of this database what the test says. Before the migrations, whose defaults take whichever they find. */
async function makeVirtualNow(url: string): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice() {} });
  await sql.unsafe(`
    create table public.virtual_now (at timestamptz not null);
    insert into public.virtual_now values (to_timestamp(${startMs / 1000}));
    create function public.now() returns timestamptz language sql stable as 'select at from public.virtual_now';
    alter database ${new URL(url).pathname.slice(1)} set search_path = public, pg_catalog;`);
  await sql.end();
}

/** The database hears what time it is before it is asked something: most moments pass without a question. */
function openVirtualNow(url: string, nowMs: () => number) {
  const sql = postgres(url, { max: 1, connection: { synchronous_commit: "off" }, onnotice() {} });
  let told = { atMs: Number.NaN, done: Promise.resolve() };
  return {
    tell: (): Promise<void> => {
      const atMs = nowMs();
      if (told.atMs !== atMs)
        told = { atMs, done: sql`update virtual_now set at = to_timestamp(${atMs / 1000})`.then(() => {}) };
      return told.done;
    },
    [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }),
  };
}

/** Work on the machine that virtual time has to wait for. */
function createWork() {
  let underWay = 0;
  const track = async <T>(work: Promise<T>): Promise<T> => {
    underWay += 1;
    try {
      return await work;
    } finally {
      underWay -= 1;
    }
  };
  const settle = async (): Promise<void> => {
    for (let quiet = 0; quiet < quietTurns; quiet = underWay === 0 ? quiet + 1 : 0)
      await new Promise<void>((resolve) => setImmediate(resolve));
  };
  return { track, settle };
}

export async function openVirtualInbox(options: VirtualInboxOptions) {
  const { people, seed = 1, sandboxes: boxes = 1, ratePerWindow = null, windowMs = 3_600_000, daemons = 1 } = options;
  await using opening = new AsyncDisposableStack();
  const { track, settle } = createWork();

  let nowMs = startMs;
  let timers: { readonly atMs: number; readonly run: () => void }[] = [];
  let state = seed;
  const clock: Clock = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs - startMs,
    random: () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    },
    soon: (run) => void setImmediate(run),
    after: (delayMs, run) => {
      const timer = { atMs: nowMs + delayMs, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
  };

  const db = opening.use(await openTestRepositories("postgres", makeVirtualNow));
  const virtualNow = opening.use(openVirtualNow(db.url ?? "", () => nowMs));

  const sandboxes: Sandbox[] = [];
  for (let at = 0; at < boxes; at++)
    sandboxes.push(
      opening.use(
        await openSandbox({
          ...{
            host: "127.0.0.1",
            port: 0,
            seed: seed + at,
            people,
            troubleShare: 0,
            latencyMs: 0,
            ratePerWindow,
            windowMs,
          },
          ...{ messagesPerSecond: 0, appSecret: "test_app_secret", webhookUrl: null, requireProof: false, clock },
          ...{ log: createRecordingLog().log, callLogMax: 1_000_000 },
        }),
      ),
    );
  const accounts = sandboxes.flatMap(({ world }) => world.accounts);
  for (const { instagramId, login, pageId, token, username } of accounts) {
    const id = parseAccountId(instagramId);
    if (id === null) throw new Error("Bug: the sandbox's account has no id");
    await db.accounts.saveAccount({
      ...{ id, ownId: `${username}-${instagramId.slice(-4)}`, login, pageId, appScopedId: null, username },
      ...{ token, tokenExpiresAtMs: null },
    });
  }

  /** While set, told how many people each request asks about, which hangs until its caller gives it up: a network that swallows all. */
  const network: { swallowed: ((people: number) => void) | null } = { swallowed: null };
  const fetchFromBox = (url: string, init: RequestInit): Promise<Response> => {
    if (network.swallowed !== null) {
      network.swallowed(Math.max(1, String(init.body ?? "").split("relative_url").length - 1));
      return new Promise((_, reject) => {
        init.signal?.addEventListener("abort", () => reject(new Error("swallowed")), { once: true });
      });
    }
    // One base address a login: whose token it is tells the box.
    const bearer = new Headers(init.headers).get("authorization") ?? "";
    const box = sandboxes.find(({ world }) => world.accounts.some(({ token }) => bearer.endsWith(token)));
    const target = new URL(url);
    const answered = fetch(`${box?.origin ?? target.origin}${target.pathname}${target.search}`, init);
    return track(answered.then(async (response) => new Response(await response.arrayBuffer(), response)));
  };
  const [first] = sandboxes;
  if (first === undefined) throw new Error("Bug: an inbox needs a sandbox");

  const database: Database = {
    ...db.database,
    query: (...given) => track(virtualNow.tell().then(() => db.database.query(...given))),
    queryForWebhooks: (...given) => track(virtualNow.tell().then(() => db.database.queryForWebhooks(...given))),
    queryForLookups: (...given) => track(virtualNow.tell().then(() => db.database.queryForLookups(...given))),
  };

  const openOne = async () => {
    const { log, lines } = createRecordingLog();
    const owner = `daemon ${all.length}`;
    const lookups = createLookupsRepository(database, owner);
    const access = createAccountsRepository(database, createVault(Buffer.alloc(32, 7)));
    // With Redis its own time is the machine's: a week of it is only for an inbox without one.
    const cache = opening.use(
      await openProfileCache({
        ...{ url: options.redisUrl ?? null, timeoutMs: 1_000, entriesMax: 50_000, log },
        clock: options.redisUrl ? { ...systemClock, nowMs: clock.nowMs } : clock,
      }),
    );
    const budget = createBudget({ ceilingPerWindow: null, windowMs, clock });
    const graph = createGraphClient({
      ...{ instagramUrl: first.instagramUrl, facebookUrl: first.facebookUrl, version: "v26.0", appSecrets: [] },
      ...{ clock, fetch: fetchFromBox, probeConnect: () => new Promise<void>(() => {}) },
    });
    const circuit = createCircuit({ clock, log });
    const tracked = {
      getProfiles: (...given: Parameters<typeof cache.getProfiles>) => track(cache.getProfiles(...given)),
      saveProfiles: (...given: Parameters<typeof cache.saveProfiles>) => track(cache.saveProfiles(...given)),
    };
    const enrich = createEnrich({
      ...{ lookups, accounts: access, cache: tracked, budget, graph, circuit, clock, log },
      profileMaxAgeMs: profileMaxAgeMsDefault,
    });
    const queue = createVirtualQueue(clock);
    const stop = new AbortController();
    const signals = { stopTaking: stop.signal, abort: stop.signal };
    const dispatcher = createDispatcher({ enrich, queue, lookups, clock, log }, signals);
    const claimed = { people: 0 };
    const store = createStore({
      events: createEventsRepository(database, profileMaxAgeMsDefault, owner),
      lookups: {
        ...dispatcher,
        takeUp: (leased) => {
          claimed.people += leased.lookups.length;
          dispatcher.takeUp(leased);
        },
        wake: (ids) => {
          claimed.people += ids.length;
          dispatcher.wake(ids);
        },
      },
      ...{ onQuarantined: () => {}, clock, log },
    });
    const probes = createProbes({ lookups, enrich });
    const sweep = () => {
      if (stop.signal.aborted) return;
      void dispatcher.sweep();
      void probes.run(stop.signal);
      clock.after(options.sweepEveryMs ?? sweepEveryMs, sweep);
    };
    dispatcher.start();
    clock.after(options.sweepEveryMs ?? sweepEveryMs, sweep);
    opening.defer(() => stop.abort());
    return { store, dispatcher, enrich, budget, circuit, cache, queue, log, lines, wanted: claimed };
  };
  const all: Awaited<ReturnType<typeof openOne>>[] = [];
  for (let at = 0; at < daemons; at++) all.push(await openOne());
  await settle();

  let messages = 0;
  let requests = 0;
  const owned = opening.move();
  return {
    clock,
    db,
    accounts,
    sandboxes,
    network,
    daemons: all,
    settle,
    /** How many calls to look people up Graph has had, each item of a batch counted. */
    profileCalls: () => sandboxes.reduce((sum, { calls }) => sum + calls.profileItems, 0),
    /** Commits messages through one of the daemons, which looks up whoever wants it. Returns once nothing more comes of itself. */
    async receive(some: readonly VirtualMessage[], daemon = 0): Promise<void> {
      for (const [accountId, ofOne] of Map.groupBy(some, (message) => message.accountId)) {
        const items = ofOne.map(({ personId }) => inbound(personId, `m${++messages}`, nowMs, {}, accountId));
        await all[daemon]?.store.store([parseWebhook(delivery(items, accountId), nowMs)], statementBounds);
      }
      await settle();
    },
    /** Asks for somebody's lookup as POST …/enrich does. */
    async request({ accountId, personId }: VirtualMessage, daemon = 0): Promise<void> {
      requests += 1;
      const id = parseConversationId(`${accountId}_${personId}`)?.conversationId;
      if (id === undefined || !(await db.conversations.armLookup(id))) throw new Error("There is no such conversation");
      all[daemon]?.dispatcher.wake([id]);
      await settle();
    },
    requests: () => requests,
    /** Lets so much time pass, one timer after the other; what each sets off is waited for. */
    async pass(durationMs: number): Promise<void> {
      const endMs = nowMs + durationMs;
      for (;;) {
        const dueMs = timers.reduce((least, { atMs }) => Math.min(least, atMs), Number.POSITIVE_INFINITY);
        if (dueMs > endMs) break;
        nowMs = Math.max(nowMs, dueMs);
        const due = timers.filter(({ atMs }) => atMs <= nowMs);
        timers = timers.filter(({ atMs }) => atMs > nowMs);
        for (const { run } of due) run();
        await settle();
      }
      nowMs = endMs;
      await virtualNow.tell();
    },
    timers: () => timers.length,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Stands in for bunqueue, which lives on the machine's clock: the same jobs, as many at once, by the test's time. */
function createVirtualQueue(clock: Clock) {
  type Job = { readonly ids: readonly ConversationId[]; readonly lane: string };
  const ready: Job[] = [];
  let [delayed, running] = [0, 0];
  let handle: (ids: readonly ConversationId[], lane: string) => Promise<void> = async () => {};
  const pump = (): void => {
    while (running < jobsInFlight) {
      const job = ready.shift();
      if (job === undefined) return;
      running += 1;
      void handle(job.ids, job.lane).finally(() => {
        running -= 1;
        pump();
      });
    }
  };
  return {
    addLookups: async (ids: readonly ConversationId[], delayMs: number, lane: string): Promise<void> => {
      for (const part of chunk(ids, peoplePerJob)) {
        delayed += 1;
        clock.after(delayMs, () => {
          delayed -= 1;
          ready.push({ ids: part, lane });
          pump();
        });
      }
    },
    work: (given: typeof handle) => {
      handle = given;
    },
    depth: async () => ready.length + delayed,
  };
}
