/**
 * Batch requests of graph.facebook.com (meta-platform.md §4.2): up to 50 items, each a call of its own, answered in
 * order with string bodies; `null` for an item that was not finished in time. graph.instagram.com refuses them: no
 * working example is known.
 */
import { answerCall, authenticate, type GraphOutcome, readGraphPath } from "./graph-call.ts";
import { createReply, type GraphReply, requestErrors } from "./graph-reply.ts";
import type { Platform } from "./platform.ts";
import { createUsageHeaders, isExhausted, takeCall } from "./usage.ts";
import type { SandboxLogin } from "./world.ts";

/** "Max 50 items." */
export const batchItemsMax = 50;

export type BatchRequest = {
  readonly host: SandboxLogin;
  readonly version: string;
  /** The `batch` parameter: JSON text, or the array itself in a JSON body. */
  readonly batch: unknown;
  readonly includeHeaders: boolean;
  readonly token: string | null;
  readonly proof: string | null;
};
export type BatchOutcome = { readonly reply: GraphReply; readonly items: readonly GraphOutcome[] };

/** Answers a whole batch. */
export function answerBatch(platform: Platform, request: BatchRequest): BatchOutcome {
  const { host, token, proof } = request;
  const refuse = (reply: GraphReply): BatchOutcome => ({ reply, items: [] });
  if (host === "instagram") return refuse(platform.writeError(requestErrors.batchUnsupported, host));
  const checked = authenticate(platform, { host, version: request.version, segments: [], token, proof });
  if (checked.refusal !== null) return refuse(checked.refusal);
  const items = readItems(request.batch);
  if (items === null) return refuse(platform.writeError(requestErrors.batchMalformed, host));
  if (items.length > batchItemsMax) return refuse(platform.writeError(requestErrors.batchTooLong, host));
  if (isExhausted(platform, checked.token.owner, "profile")) {
    const throttled = takeCall(platform, checked.token.owner, "profile");
    if (throttled !== null) return refuse(throttled);
  }
  const outcomes = items.map((item) => answerItem(platform, request, item));
  const fault = outcomes.find(({ reply }) => reply.fault !== null)?.reply.fault ?? null;
  const written = outcomes.map((outcome) => writeItem(platform, request, outcome));
  return { reply: { ...createReply(twistItems(written, outcomes)), fault }, items: outcomes };
}

type BatchItem = { method: string; relativeUrl: string };

function readItems(batch: unknown): BatchItem[] | null {
  let list = batch;
  if (typeof batch === "string") {
    try {
      list = JSON.parse(batch);
    } catch {
      return null;
    }
  }
  if (!Array.isArray(list) || list.length === 0) return null;
  return list.map((item: unknown) => {
    const given = typeof item === "object" && item !== null ? item : {};
    const method = "method" in given && typeof given.method === "string" ? given.method : "GET";
    const relativeUrl = "relative_url" in given && typeof given.relative_url === "string" ? given.relative_url : "";
    return { method: method.toUpperCase(), relativeUrl };
  });
}

function answerItem(platform: Platform, request: BatchRequest, item: BatchItem): GraphOutcome {
  const [path = "", query = ""] = item.relativeUrl.split("?", 2);
  const params = new URLSearchParams(query);
  const own = params.get("access_token");
  const proof = params.get("appsecret_proof");
  return answerCall(platform, {
    host: request.host,
    method: item.method,
    ...readGraphPath(path),
    params,
    // An item's own token wins; the proof on top belongs to the token on top.
    token: own ?? request.token,
    proof: proof ?? (own === null || own === request.token ? request.proof : null),
  });
}

function writeItem(platform: Platform, request: BatchRequest, { reply, owner, pool }: GraphOutcome): unknown {
  if (reply.batch === "null_item") return null;
  const item = { code: reply.status, body: JSON.stringify(reply.body) };
  if (!request.includeHeaders) return item;
  const usage = createUsageHeaders(platform, request.host, owner === null ? null : { state: owner, pool });
  const headers = Object.entries({ "Content-Type": "application/json; charset=UTF-8", ...usage });
  return { ...item, headers: headers.map(([name, value]) => ({ name, value })) };
}

/** Answers that do not fit the request: an item short, one too many, or two in each other's place. */
function twistItems(written: readonly unknown[], outcomes: readonly GraphOutcome[]): unknown[] {
  const items = [...written];
  for (let at = outcomes.length - 1; at >= 0; at -= 1) {
    const twist = outcomes[at]?.reply.batch;
    if (twist === "batch_missing") items.splice(at, 1);
    if (twist === "batch_extra") items.splice(at, 0, written[at]);
    if (twist === "batch_reordered" && items.length > 1) {
      const other = at === 0 ? 1 : at - 1;
      [items[at], items[other]] = [items[other], items[at]];
    }
  }
  return items;
}
