/**
 * Instagram in a box: both Graph hosts on one port, generated faces, and signed webhooks, from a seed. Written from
 * meta-platform.md and from nothing of social-sync's own client, so that one mistake cannot be made twice.
 *
 *   /graph.instagram.com/…   Instagram Login: single GETs, /me with two ids, token refresh
 *   /graph.facebook.com/…    Pages: the same profile nodes, batches, appsecret_proof, debug_token
 *   /pictures/{id}.svg       faces, whose links die
 *   /sandbox/…               levers (loopback only): world, calls, deliver, rate, trouble
 */
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { callLogMaxDefault, createCallLog, type SandboxCalls } from "./call-log.ts";
import { answerControl, isLoopback } from "./control.ts";
import { type DeliverOptions, type DeliverReport, deliver } from "./delivery.ts";
import { createEventSource } from "./event-source.ts";
import { answerGraph, type GraphServer, readHost } from "./graph-http.ts";
import type { ThreadTwist } from "./inbox-twist.ts";
import { answerPicture, pictureLifetimeMsDefault } from "./picture.ts";
import { createPlatform } from "./platform.ts";
import type { SandboxTrouble } from "./trouble.ts";
import { createWebhookSender, retryDelaysMsDefault } from "./webhook-sender.ts";
import { startWebhookStream } from "./webhook-stream.ts";
import { createWorld, type SandboxWorld } from "./world.ts";

/** A batch of 50 with all fields is about 20 kB. */
const requestBytesMax = 4 * 1024 * 1024;
/** Bun's unit and largest value: answers may take longer than its default of 10 s on purpose. */
const idleTimeoutSeconds = 255;

export type SandboxOptions = {
  host: string;
  /** 0: a free one. */
  port: number;
  seed: number;
  /** Per account. */
  people: number;
  /** Calls per window, account and pool; `null`: no limit, and none on the conversations edge. */
  ratePerWindow: number | null;
  windowMs: number;
  /** Added to each HTTP request to Graph, not to each item of a batch. */
  latencyMs: number;
  /** 0: none. */
  messagesPerSecond: number;
  appSecret: string;
  webhookUrl: string | null;
  clock: Clock;
  log: Log;
  callLogMax?: number;
  troubleShare?: number;
  /** Whether graph.facebook.com refuses calls without appsecret_proof ("Require app secret"); default true. */
  requireProof?: boolean;
  pictureLifetimeMs?: number;
  /** Pauses before further attempts of a webhook; default: as Meta, bounded. */
  retryDelaysMs?: readonly number[];
  /** Sends the webhooks. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
};

export type Sandbox = AsyncDisposable & {
  origin: string;
  instagramUrl: string;
  facebookUrl: string;
  world: SandboxWorld;
  calls: SandboxCalls;
  /** Sends webhooks now and waits for the answers. Throws where there is no webhookUrl or an option is wrong. */
  deliver: (options: DeliverOptions) => Promise<DeliverReport>;
  setRate: (ratePerWindow: number | null) => void;
  setTrouble: (personId: string, trouble: SandboxTrouble | null) => void;
  /** A trouble of a whole account: each of its calls answers it, a dead token for one. */
  setAccountTrouble: (accountIndex: number, trouble: SandboxTrouble | null) => void;
  setThreadTwist: (personId: string, twist: ThreadTwist | null) => void;
  /** Longer pages of the inbox are "too much data"; null: none is. */
  setListPageMax: (threads: number | null) => void;
  /** Every cursor handed out so far is refused from now on. */
  expireCursors: () => void;
};

/**
 * Opens the box. Throws where the port is taken or an option is out of range. Closing it ends every timer and
 * connection.
 */
export async function openSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { clock, log, seed, people, troubleShare } = options;
  const world = createWorld({ seed, people, ...(troubleShare === undefined ? {} : { troubleShare }) });
  const platform = createPlatform({
    world,
    clock,
    appSecret: options.appSecret,
    ratePerWindow: options.ratePerWindow,
    windowMs: options.windowMs,
    requireProof: options.requireProof ?? true,
    pictureLifetimeMs: options.pictureLifetimeMs ?? pictureLifetimeMsDefault,
  });
  const calls = createCallLog(options.callLogMax ?? callLogMaxDefault);
  const closing = new AbortController();
  const source = createEventSource(platform);
  const send =
    options.webhookUrl === null
      ? null
      : createWebhookSender({
          url: options.webhookUrl,
          appSecret: options.appSecret,
          clock,
          signal: closing.signal,
          retryDelaysMs: options.retryDelaysMs ?? retryDelaysMsDefault,
          fetch: options.fetch ?? globalThis.fetch,
        });
  const deliverNow = async (wanted: DeliverOptions): Promise<DeliverReport> => {
    if (send === null) throw new Error("Cannot deliver webhooks: the sandbox has no webhook URL");
    return deliver({ platform, source, send }, wanted);
  };
  const setRate = (ratePerWindow: number | null): void => {
    platform.ratePerWindow = ratePerWindow;
  };

  const graph: GraphServer = { platform, calls, clock, latencyMs: options.latencyMs, signal: closing.signal };
  const control = { platform, calls, deliver: deliverNow, setRate };
  const server = Bun.serve({
    hostname: options.host,
    port: options.port,
    development: false,
    maxRequestBodySize: requestBytesMax,
    idleTimeout: idleTimeoutSeconds,
    fetch: (request, self): Response | Promise<Response> => {
      const url = new URL(request.url);
      const host = readHost(url.pathname);
      if (host !== null) return answerGraph(graph, host, request, url);
      if (url.pathname.startsWith("/sandbox/")) {
        if (!isLoopback(self.requestIP(request)?.address ?? null)) return new Response(null, { status: 403 });
        self.timeout(request, 0); // A delivery with its retries may take longer than any idle time-out.
        return answerControl(control, request, url.pathname);
      }
      if (url.pathname === "/inside") calls.count("redirectsFollowed");
      return answerPicture(url, seed, clock.nowMs()) ?? new Response("Not found", { status: 404 });
    },
    error: (error) => {
      log.error("Sandbox answered 500", "Sandbox", { error: error.message });
      return Response.json(
        { error: { message: "Bug of the sandbox", type: "OAuthException", code: 1 } },
        { status: 500 },
      );
    },
  });
  platform.origin = `http://${writeHost(options.host)}:${server.port}`;
  const stream =
    send !== null && options.messagesPerSecond > 0
      ? startWebhookStream({ platform, source, send }, options.messagesPerSecond)
      : null;
  log.log("Sandbox is open", "Sandbox", { origin: platform.origin, people, seed, webhooks: stream !== null });

  return {
    origin: platform.origin,
    instagramUrl: `${platform.origin}/graph.instagram.com`,
    facebookUrl: `${platform.origin}/graph.facebook.com`,
    world,
    calls,
    deliver: deliverNow,
    setRate,
    setTrouble: platform.setTrouble,
    setAccountTrouble: (accountIndex, trouble) => {
      const state = platform.accounts[accountIndex];
      if (state === undefined) throw new Error(`Cannot set the trouble of account ${accountIndex}: there is none`);
      state.trouble = trouble;
    },
    setThreadTwist: platform.setTwist,
    setListPageMax: (threads) => {
      platform.listPageMax = threads;
    },
    expireCursors: () => {
      platform.cursorGeneration += 1;
    },
    [Symbol.asyncDispose]: async () => {
      closing.abort();
      await stream?.stop();
      await server.stop(true);
    },
  };
}

/** A wildcard is no address to call; the box is called from its own machine. */
function writeHost(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}
