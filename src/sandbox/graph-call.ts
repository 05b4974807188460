/**
 * One Graph call, whether it came alone or in a batch: who asks, may they, is there room, and which node answers. The
 * order is Meta's as far as it shows: version, token, proof, rate, then the object.
 */
import { answerAccount, answerDebugToken, answerRefresh, answerSubscriptions } from "./account-node.ts";
import { answerConversations } from "./conversation-list.ts";
import { answerThread, isThreadId } from "./conversation-node.ts";
import { type GraphReply, requestErrors, unknownPathError } from "./graph-reply.ts";
import type { AccountState, Platform, Pool, TokenState } from "./platform.ts";
import { answerProfile } from "./profile-node.ts";
import { troubleTable } from "./trouble.ts";
import { takeCall } from "./usage.ts";
import type { SandboxLogin } from "./world.ts";

export type GraphCall = {
  readonly host: SandboxLogin;
  readonly method: string;
  /** `v26.0`, or empty for a versionless call. */
  readonly version: string;
  readonly segments: readonly string[];
  readonly params: URLSearchParams;
  readonly token: string | null;
  readonly proof: string | null;
};
export type CallKind = "profile" | "list" | "other";
export type GraphOutcome = {
  readonly reply: GraphReply;
  readonly kind: CallKind;
  readonly pool: Pool;
  readonly owner: AccountState | null;
  readonly personId: string | null;
};

/** The versions that live: v20.0 went on 2026-09-24, v26.0 is the newest (meta-platform.md §0.5). */
const versionOldest = 21;
const versionNewest = 26;
const versionPattern = /^v([0-9]{1,3})\.([0-9]{1,2})$/;
const digits = /^[0-9]{1,32}$/;
const segmentsMax = 2; // No path of the box is deeper.

/** Cuts a path after the host into version and segments. */
export function readGraphPath(path: string): { version: string; segments: string[] } {
  const segments = path.split("/").filter((segment) => segment !== "");
  const version = versionPattern.test(segments[0] ?? "") ? (segments.shift() ?? "") : "";
  return { version, segments };
}

function isLiveVersion(version: string): boolean {
  if (version === "") return true;
  const [, major = "", minor = ""] = versionPattern.exec(version) ?? [];
  return minor === "0" && Number(major) >= versionOldest && Number(major) <= versionNewest;
}

/** Checks version, token and proof. Either the token's state, or the refusal. */
export function authenticate(
  platform: Platform,
  call: Pick<GraphCall, "host" | "version" | "segments" | "token" | "proof">,
): { token: TokenState; refusal: null } | { token: TokenState | null; refusal: GraphReply } {
  const refuse = (row: Parameters<Platform["writeError"]>[0], token: TokenState | null = null) => ({
    token,
    refusal: platform.writeError(row, call.host),
  });
  if (!isLiveVersion(call.version)) return refuse(unknownPathError(`/${[call.version, ...call.segments].join("/")}`));
  if (call.token === null || call.token === "") return refuse(requestErrors.tokenMissing);
  const token = platform.findToken(call.token);
  if (token === null || token.owner.account.login !== call.host) return refuse(requestErrors.tokenUnknown);
  if (token.expiresAtMs !== null && token.expiresAtMs <= platform.clock.nowMs()) return refuseTrouble("token_expired");
  if (call.host === "facebook") {
    if (call.proof === null) {
      if (platform.requireProof) return refuse(requestErrors.proofMissing, token);
    } else if (call.proof !== token.proof) return refuse(requestErrors.proofWrong, token);
  }
  const { trouble } = token.owner;
  return trouble === null ? { token, refusal: null } : refuseTrouble(trouble);

  function refuseTrouble(name: keyof typeof troubleTable) {
    const row = troubleTable[name];
    return refuse("error" in row ? row.error : requestErrors.unsupported, token);
  }
}

/** Answers one call. Never throws for anything a caller may send. */
export function answerCall(platform: Platform, call: GraphCall): GraphOutcome {
  const [first = "", edge] = call.segments;
  const isList = edge === "conversations";
  const byShape: CallKind = isList ? "list" : edge === undefined && digits.test(first) ? "profile" : "other";
  if (isDebugToken(platform, call)) {
    const reply = answerDebugToken(platform, call.params);
    return { reply, kind: "other", pool: "account", owner: null, personId: null };
  }
  const checked = authenticate(platform, call);
  const owner = checked.token?.owner ?? null;
  const isOwn = first === "me" || (owner !== null && ownIds(owner).includes(first));
  const kind = byShape === "profile" && isOwn ? "other" : byShape;
  const pool: Pool = kind === "profile" ? "profile" : isList || isThreadId(first) ? "conversations" : "account";
  const outcome = { kind, pool, owner, personId: kind === "profile" ? first : null };
  if (checked.refusal !== null) return { ...outcome, reply: checked.refusal };
  const reply = takeCall(platform, checked.token.owner, pool) ?? route(platform, checked.token, call, isOwn);
  return { ...outcome, reply };
}

function route(platform: Platform, token: TokenState, call: GraphCall, isOwn: boolean): GraphReply {
  const { host, method, params, segments } = call;
  const { owner } = token;
  const [first = "", edge] = segments;
  const unsupported = () => platform.writeError(requestErrors.unsupported, host);
  if (params.has("ids")) return platform.writeError(requestErrors.idsGone, host);
  if (first === "" || segments.length > segmentsMax) return unsupported();
  if (edge === "subscribed_apps" && isOwn) return answerSubscriptions(platform, owner, method, params);
  if (method !== "GET") return unsupported();
  if (edge === "conversations") {
    // The Page's id, not the Instagram account's, on graph.facebook.com (§7.1).
    if (!isOwn || (host === "facebook" && first === owner.account.instagramId)) return unsupported();
    return answerConversations(platform, owner, {
      version: call.version,
      ownerSegment: first,
      params,
      token: call.token ?? "",
    });
  }
  if (edge !== undefined) return unsupported();
  if (first === "refresh_access_token" && host === "instagram") return answerRefresh(platform, token, params);
  if (first === "debug_token" && host === "facebook") return answerDebugToken(platform, params);
  if (isOwn) return answerAccount(platform, owner, first, params);
  if (isThreadId(first)) return answerThread(platform, owner, first, params);
  return digits.test(first) ? answerProfile(platform, owner, first, params) : unsupported();
}

/** debug_token with an app token (`APPID|SECRET`), which belongs to no account. */
function isDebugToken(platform: Platform, call: GraphCall): boolean {
  if (call.host !== "facebook" || call.segments[0] !== "debug_token" || call.segments.length !== 1) return false;
  const [appId = "", secret = ""] = (call.token ?? "").split("|");
  return digits.test(appId) && secret === platform.appSecret;
}

function ownIds(state: AccountState): string[] {
  const { instagramId, appScopedId, pageId } = state.account;
  if (pageId !== null) return [pageId, instagramId];
  return [instagramId, appScopedId];
}
