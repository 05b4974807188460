/**
 * HTTP to Graph call and back: hosts as path prefixes, parameters from query and body, tokens from header or
 * parameter, headers of each host.
 */
import { type Clock, wait } from "../lib/clock.ts";
import type { SandboxCalls } from "./call-log.ts";
import { answerBatch } from "./graph-batch.ts";
import { answerCall, type GraphOutcome, readGraphPath } from "./graph-call.ts";
import { type GraphReply, isThrottleCode } from "./graph-reply.ts";
import type { Platform } from "./platform.ts";
import { answerFault } from "./transport-fault.ts";
import { createUsageHeaders } from "./usage.ts";
import type { SandboxLogin } from "./world.ts";

const prefixes = { instagram: "/graph.instagram.com", facebook: "/graph.facebook.com" } as const;
/** What graph.instagram.com names in `instagram-api-version` for a versionless call. */
const versionDefault = "v26.0";

export type GraphServer = {
  platform: Platform;
  calls: SandboxCalls;
  clock: Clock;
  latencyMs: number;
  /** Fires when the box closes. */
  signal: AbortSignal;
};

/** Which host a path belongs to, or `null`. */
export function readHost(path: string): SandboxLogin | null {
  for (const host of ["instagram", "facebook"] as const) {
    const prefix = prefixes[host];
    if (path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === "/")) return host;
  }
  return null;
}

/** Answers a request to one of the two hosts, after the latency. */
export async function answerGraph(
  server: GraphServer,
  host: SandboxLogin,
  request: Request,
  url: URL,
): Promise<Response> {
  const { platform, calls } = server;
  const atMs = server.clock.monotonicMs();
  const path = url.pathname.slice(prefixes[host].length);
  const { version, segments } = readGraphPath(path);
  const { method } = request;
  const body = method === "GET" || method === "HEAD" ? null : await readBody(request, url.searchParams);
  const params = body?.params ?? url.searchParams;
  const token = params.get("access_token") ?? readBearer(request.headers.get("authorization"));
  const proof = params.get("appsecret_proof");

  let reply: GraphReply;
  let items: readonly GraphOutcome[];
  if (method === "POST" && segments.length === 0) {
    const includeHeaders = params.get("include_headers") !== "false";
    const batch = body?.batch ?? params.get("batch");
    ({ reply, items } = answerBatch(platform, { host, version, batch, includeHeaders, token, proof }));
    calls.count("batchRequests");
  } else {
    const outcome = answerCall(platform, { host, method, version, segments, params, token, proof });
    reply = outcome.reply;
    items = [outcome];
  }

  const owner = items.find((item) => item.owner !== null) ?? null;
  const tokenOwner = owner?.owner ?? (token === null ? null : (platform.findToken(token)?.owner ?? null));
  const personIds = items.flatMap(({ personId }) => (personId === null ? [] : [personId]));
  calls.add({
    atMs,
    host,
    method,
    path: path === "" ? "/" : path,
    accountId: tokenOwner?.account.instagramId ?? null,
    personIds,
    status: reply.status,
    code: reply.code,
  });
  countCalls(calls, reply, items, personIds.length);

  // Usage is told as it stands when the call comes in; the wait is the network's and Meta's own time.
  const usage = createUsageHeaders(platform, host, tokenOwner && { state: tokenOwner, pool: owner?.pool ?? "profile" });
  if (server.latencyMs > 0) await wait(server.clock, server.latencyMs, server.signal);
  return writeResponse(server, host, version, reply, usage);
}

function countCalls(calls: SandboxCalls, reply: GraphReply, items: readonly GraphOutcome[], profiles: number): void {
  calls.count("requests");
  if (profiles > 0) calls.count("profileRequests");
  calls.count("profileItems", profiles);
  if (items.some(({ kind }) => kind === "list")) calls.count("listRequests");
  const throttledItems = items.filter((item) => isThrottleCode(item.reply.code)).length;
  calls.count("throttled", items.length === 0 && isThrottleCode(reply.code) ? 1 : throttledItems);
}

function writeResponse(
  server: GraphServer,
  host: SandboxLogin,
  version: string,
  reply: GraphReply,
  usage: Record<string, string>,
): Response | Promise<Response> {
  const headers: Record<string, string> = {
    "Content-Type": "application/json; charset=UTF-8",
    "Cache-Control": "private, no-cache, no-store, must-revalidate",
    ...usage,
  };
  headers[host === "instagram" ? "instagram-api-version" : "facebook-api-version"] = version || versionDefault;
  const text = JSON.stringify(reply.body);
  if (reply.fault === null) return new Response(text, { status: reply.status, headers });
  const { clock, signal, platform } = server;
  return answerFault(reply.fault, { clock, signal, origin: platform.origin, text, headers });
}

function readBearer(header: string | null): string | null {
  return /^(?:Bearer|OAuth) +(\S+)$/i.exec(header ?? "")?.[1] ?? null;
}

/** Parameters of a POST: of the query and of a form or JSON body, the body's first. Malformed bodies read as empty. */
async function readBody(
  request: Request,
  query: URLSearchParams,
): Promise<{ params: URLSearchParams; batch: unknown }> {
  const params = new URLSearchParams(query);
  const type = request.headers.get("content-type") ?? "";
  try {
    if (type.includes("application/json")) {
      const json: unknown = await request.json();
      if (typeof json !== "object" || json === null) return { params, batch: null };
      for (const [name, value] of Object.entries(json)) {
        if (typeof value !== "object") params.set(name, String(value));
        else if (Array.isArray(value) && name !== "batch") params.set(name, value.join(","));
      }
      return { params, batch: "batch" in json ? json.batch : null };
    }
    if (type.includes("multipart/form-data")) {
      for (const [name, value] of (await request.formData()).entries()) {
        if (typeof value === "string") params.set(name, value);
      }
    } else {
      for (const [name, value] of new URLSearchParams(await request.text())) params.set(name, value);
    }
  } catch {
    return { params, batch: null };
  }
  return { params, batch: params.get("batch") };
}
