import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Config } from "../config.ts";
import { createHttpApp } from "../http/http-app.ts";
import { openHttpServer } from "../http/http-server.ts";
import { type Clock, endsWithin } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { messageOf } from "../lib/message-of.ts";
import { createMetrics } from "../metrics/metrics.ts";
import { openLookupQueue } from "../queue/lookup-queue.ts";
import type { LookupsRepository } from "../repository/lookups.ts";
import { openRuntime } from "../runtime.ts";
import { openSpool } from "../spool/spool.ts";
import { createDispatcher, sweepEveryMs } from "../usecases/dispatch.ts";
import { createDrain } from "../usecases/drain.ts";
import { createForgetting } from "../usecases/forget-erased.ts";
import { createIngest } from "../usecases/ingest.ts";
import { createProbes } from "../usecases/probe-accounts.ts";
import { createRetention } from "../usecases/retention.ts";
import { createRunJobs } from "../usecases/run-jobs.ts";
import { createSchedules } from "../usecases/schedules.ts";
import { createStore } from "../usecases/store.ts";
import { answerHandshake } from "../webhook/answer-handshake.ts";
import { describeDaemon } from "./daemon-text.ts";
import { checkHealth } from "./health.ts";
import { meetDatabase } from "./meet-database.ts";
import { addSandboxAccounts, openBox, type SandboxWish } from "./sandbox-box.ts";
import { countReceipts, watchDaemon } from "./watch-daemon.ts";

/** Largest webhook body. Meta names 3 MB for WhatsApp and nothing for Instagram (meta-platform.md §1.3). */
export const webhookBodyMax = 4 * 1024 * 1024;
/** Lookups under way at a stop get this long before they are given up, and then this long to say so: all of it within 5 s. */
const lookupsLastMs = 3_000;
const lookupsGiveUpMs = 500;
/** How often a daemon asks whether the set's common work is due: a sweep is late by so much at most. */
const scheduleTickMs = 5_000;
/** What a backfill has in hand gets this long at a stop; another daemon goes on with it either way. */
const jobsLastMs = 3_000;
/** What a schedule may still take at a stop: one statement. */
const schedulesLastMs = 3_000;
/** The spool's last batch gets this long at a stop; what is left is drained by the next start, or by another daemon. */
const drainLastMs = 3_000;

export type DaemonIo = {
  clock: Clock;
  log: Log;
  version: string;
  /** `host:pid`: who works on a backfill run. */
  instance: string;
  /** What the process uses: memory in bytes, processor time in seconds. */
  usage: () => { readonly residentBytes: number; readonly cpuSeconds: number };
};
export type Daemon = Awaited<ReturnType<typeof openDaemon>>;

/**
 * Starts everything that `serve` runs: the shared runtime, the queue and its worker, the HTTP server and, where wished
 * for, Instagram in a box. `close()` stops in order: no new requests → requests in flight → worker → database.
 */
export async function openDaemon(
  given: Config,
  wish: SandboxWish | null,
  { clock, log, version, instance, usage }: DaemonIo,
) {
  await using opening = new AsyncDisposableStack();
  const place: { webhookUrl: string | null } = { webhookUrl: null };
  const box = wish === null ? null : opening.use(await openBox(given, wish, place, { clock, log }));
  const config = box?.config ?? given;
  const runtime = opening.use(await openRuntime(config, { clock, log, role: "daemon" }));
  const prepare = async () => {
    await runtime.prepareDatabase();
    await freeLookups(runtime.lookups, log); // Before anything can take a lease in the same name.
  };
  // The sandbox's accounts are rows: it cannot begin without them.
  const meeting = await meetDatabase(prepare, { mayBeAway: wish === null && runtime.knowsDatabase, clock, log });
  if (box !== null && wish !== null) await addSandboxAccounts(runtime, box.sandbox, wish.accounts);

  const queue = opening.use(await openLookupQueue(join(config.dataFolder, "queue"), { clock, log }));
  const stopTaking = new AbortController();
  const abort = new AbortController();
  const { enrich, lookups, conversations, events, database } = runtime;
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

  const schedules = createSchedules(
    { schedules: runtime.schedules, daemons: runtime.daemons, clock, log },
    {
      id: randomUUID(),
      list: [
        { name: "sweep", everyMs: sweepEveryMs, leaseMs: sweepEveryMs, run: dispatcher.sweep },
        createProbes({ lookups, enrich }),
        createRetention({ events: runtime.replays, clock, log }, { days: config.eventRetentionDays }),
      ],
      tickMs: scheduleTickMs,
    },
    { stopTaking: stopTaking.signal },
  );
  opening.defer(async () => {
    stopTaking.abort();
    await endsWithin(clock, schedules.settle(), schedulesLastMs);
  });
  const forgetting = createForgetting({ ...runtime, log }, stopTaking.signal);
  opening.defer(async () => {
    stopTaking.abort();
    await endsWithin(clock, forgetting.settle(), schedulesLastMs);
  });
  const jobs = createRunJobs({ ...runtime, log }, runtime.sit(instance), { stopTaking: stopTaking.signal });
  opening.defer(async () => {
    stopTaking.abort();
    await endsWithin(clock, jobs.settle(), jobsLastMs);
  });
  const metrics = createMetrics({ clock });
  opening.use(metrics.watchStalls());
  const spool = opening.use(await openSpool({ ...config.spool, clock, log }));
  const store = createStore({
    events,
    lookups: dispatcher,
    onQuarantined: metrics.countQuarantined,
    clock,
    log,
  });
  const stopDraining = new AbortController();
  const ingest = createIngest(
    {
      store,
      spool,
      onShed: metrics.countShed,
      onFull: (full) => server.refuseDeliveries(full),
      clock,
      log,
    },
    { appSecrets: config.appSecrets, spoolFirst: database.flush !== null, startsAway: meeting.away() !== null },
  );
  const drain = createDrain(
    { spool, store, ingest, flush: database.flush, clock, log },
    { stopTaking: stopDraining.signal },
  );
  spool.onAppended(drain.wake);
  opening.defer(async () => {
    stopDraining.abort();
    await drain.settle(drainLastMs);
  });
  watchDaemon(metrics, { ingest, spool, dispatcher, cache: runtime.cache, circuit: runtime.circuit, clock, usage });

  const app = createHttpApp(
    {
      answerHandshake: (query) => answerHandshake(query, config.verifyToken),
      receive: countReceipts(ingest.receive, metrics, clock),
      isFull: ingest.isFull,
      onShed: metrics.countShed,
      listConversations: conversations.listConversations,
      getConversation: conversations.getConversation,
      listMessages: conversations.listMessages,
      requestEnrichment: async (id) => {
        const away = meeting.away(); // Nothing is written before the schema is known to be ours.
        if (away !== null) throw away;
        const answer = await runtime.explain.requestEnrichment(id);
        if (answer?.kind === "accepted") dispatcher.wake([id]);
        return answer;
      },
      explain: runtime.explain.explain,
      checkAccounts: () => runtime.explain.checkAccounts(),
      health: () => checkHealth(runtime, spool, meeting.away()?.message ?? null),
      metrics: metrics.render,
      version,
    },
    { apiKeys: config.apiKeys, webhookBodyMax, log, clock },
  );
  const server = opening.use(openHttpServer(app, { hostname: config.host, port: config.port, clock }));
  place.webhookUrl = `${server.url}/webhooks/instagram`;
  const begin = () => {
    dispatcher.start();
    drain.start();
    schedules.start();
    forgetting.start();
    jobs.start();
  };
  const stopWaiting = new AbortController();
  opening.defer(async () => stopWaiting.abort()); // First of all: what has ended must not begin.
  const unfit = Promise.withResolvers<unknown>();
  if (meeting.away() === null) begin();
  else
    void meeting
      .wait(stopWaiting.signal)
      .then((isReady) => isReady && begin())
      .catch(unfit.resolve);
  const owned = opening.move();
  return {
    url: server.url,
    runtime,
    sandbox: box?.sandbox ?? null,
    /** Resolves with what would have refused the start, where the database turns out so once it is back. */
    unfit: unfit.promise,
    describe: () => describeDaemon(runtime, server.url, version, box?.sandbox ?? null, wish),
    close: () => owned.disposeAsync(),
  };
}

/** People whom this daemon's dead predecessor held need not wait for its leases. A failure costs that wait, no more. */
async function freeLookups(lookups: Pick<LookupsRepository, "releaseOwned">, log: Log): Promise<void> {
  try {
    const freed = await lookups.releaseOwned();
    if (freed > 0) log.log(`Took up ${freed} lookups that were under way when this daemon last ended`, "Dispatcher");
  } catch (error) {
    log.warn(`Lookups left to their leases: ${messageOf(error)}`, "Dispatcher");
  }
}
