import type { Clock } from "../lib/clock.ts";
import type { ConnectWatch } from "./connect-watch.ts";
import type { GraphRequest } from "./graph-request.ts";
import { interruption } from "./limiter.ts";
import { parseJson } from "./parse-json.ts";
import { readUsage } from "./read-usage.ts";
import type { Usage } from "./usage.ts";

/** What one request brought. */
export type GraphReply =
  /** JSON came, whatever it says; nobody has looked into it. */
  | {
      readonly kind: "json";
      readonly httpStatus: number;
      readonly body: unknown;
      readonly usage: Usage | null;
    }
  /** Nothing that can be read came. `detail` is a word for the log: an error code or what was wrong with the answer. */
  | {
      readonly kind: "none";
      readonly reason: "timeout" | "network" | "bad_answer" | "server_error";
      readonly httpStatus: number | null;
      readonly usage: Usage | null;
      readonly detail: string;
    };

/** The part of `globalThis.fetch` that is used. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/**
 * Longest body that is taken in, in bytes after decompression. A batch of 50 is about 50 kB; the room is for one absurd
 * name of a megabyte, so that its 49 neighbours are not lost with it.
 */
export const bodyBytesMax = 2 * 1024 * 1024;

type Transport = { readonly fetch: Fetch; readonly clock: Clock; readonly connectWatch: ConnectWatch };

/** The body as text; null where it is longer than `bodyBytesMax`. Counts while it comes, so that no more is ever held. */
async function readText(response: Response): Promise<string | null> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const piece of response.body) {
    bytes += piece.byteLength;
    if (bytes > bodyBytesMax) return null;
    text += decoder.decode(piece, { stream: true });
  }
  return text + decoder.decode();
}

async function readReply(response: Response, nowMs: number): Promise<GraphReply> {
  const httpStatus = response.status;
  const usage = readUsage(response.headers, nowMs);
  const none = (detail: string): GraphReply => {
    const reason = httpStatus >= 500 ? "server_error" : "bad_answer";
    return { kind: "none", reason, httpStatus, usage, detail };
  };
  // Meta's API redirects nobody; an address that somebody else names is never called.
  if (httpStatus >= 300 && httpStatus < 400) return none("redirect");
  const text = await readText(response);
  if (text === null) return none("too large");
  const body = parseJson(text);
  return body === undefined ? none("not JSON") : { kind: "json", httpStatus, body, usage };
}

/** `ECONNREFUSED` and the like. Never the error's message: it may quote what was sent. */
function readErrorWord(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return typeof code === "string" ? code : "broken off";
}

/**
 * Sends `request` once and reads the whole answer within `timeoutMs`, which is a deadline for everything, so that a server
 * that drips a byte a second gains nothing. Follows no redirect. Throws SyncError `interrupted` where `signal` fires, and
 * nothing else.
 */
export async function fetchReply(
  { fetch, clock, connectWatch }: Transport,
  request: GraphRequest,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<GraphReply> {
  if (signal.aborted) throw interruption(signal);
  const cut = new AbortController();
  let late = false;
  const expire = () => {
    late = true;
    cut.abort();
  };
  const stop = () => cut.abort();
  signal.addEventListener("abort", stop, { once: true });
  const cancelDeadline = clock.after(timeoutMs, expire);
  const endWatch = connectWatch.watch(request.url, expire);
  // Raced beside the exchange: a body stream that does not notice the abort must not hold the caller.
  const cutOff = new Promise<never>((_, reject) => {
    cut.signal.addEventListener("abort", () => reject(new Error("cut off")), { once: true });
  });

  const exchange = async (): Promise<GraphReply> => {
    const { url, method, headers, body } = request;
    const response = await fetch(url, { method, headers, body, redirect: "manual", signal: cut.signal });
    endWatch();
    connectWatch.hear(url);
    return readReply(response, clock.nowMs());
  };

  let reply: GraphReply | null = null;
  try {
    const exchanged = exchange();
    exchanged.catch(() => {});
    reply = await Promise.race([exchanged, cutOff]);
    return reply;
  } catch (cause) {
    if (signal.aborted) throw interruption(signal);
    const detail = late ? "deadline" : readErrorWord(cause);
    return { kind: "none", reason: late ? "timeout" : "network", httpStatus: null, usage: null, detail };
  } finally {
    cancelDeadline();
    endWatch();
    signal.removeEventListener("abort", stop);
    // Whatever is still on its way is let go of; a connection that was read to its end stays open for the next call.
    if (reply?.kind !== "json") cut.abort();
  }
}
