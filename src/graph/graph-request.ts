import { createHmac } from "node:crypto";
import type { AccountAccess } from "../domain/account.ts";
import type { ParticipantId } from "../domain/ids.ts";

/** One HTTP request, ready to be sent. The token stands in a header or in the body, never in `url`. */
export type GraphRequest = {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
};

/** Where Graph is and what is asked of a person. */
export type GraphTarget = {
  /** The host's address without a version; a path in front is kept. */
  readonly baseUrl: string;
  /** `v26.0` */
  readonly version: string;
  readonly fields: readonly string[];
  /** Signs `appsecret_proof`; null: no proof. Never for graph.instagram.com, where its support is unknown (§6.4). */
  readonly appSecret: string | null;
};

/** What a profile is made of; both hosts have them (§3.1). `id` comes back without being asked for. */
export const profileFields = ["name", "username", "profile_pic"] as const;
/** The further fields that Meta documents for this node (§3.1). Any other name is refused with a plain 100. */
export const extraFieldNames = [
  "follower_count",
  "is_user_follow_business",
  "is_business_follow_user",
  "is_verified_user",
] as const;
export type ExtraField = (typeof extraFieldNames)[number];

/** hex(HMAC-SHA256(key = app secret, message = token)), meta-platform.md §6.4. */
export function buildProof(appSecret: string, token: string): string {
  return createHmac("sha256", appSecret).update(token).digest("hex");
}

function buildHeaders(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}`, accept: "application/json" };
}

function buildBase(target: GraphTarget): string {
  return `${target.baseUrl.replace(/\/+$/, "")}/${target.version}`;
}

/** A GET of `path` below the version, with the proof where one is made. */
function buildGet(
  target: GraphTarget,
  token: string,
  path: string,
  parameters: Readonly<Record<string, string>>,
): GraphRequest {
  const url = new URL(`${buildBase(target)}/${path}`);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  if (target.appSecret !== null) url.searchParams.set("appsecret_proof", buildProof(target.appSecret, token));
  return { url: url.href, method: "GET", headers: buildHeaders(token), body: null };
}

/** The inbox: of the Page for Facebook Login, not of the Instagram account (§7.1). */
const inboxPath = ({ pageId }: Pick<AccountAccess, "pageId">) => `${encodeURIComponent(pageId ?? "me")}/conversations`;

/** True for text that would climb in a path instead of naming a node: the only such text the id pattern lets through. */
export function isPathTrick(id: string): boolean {
  return /^\.+$/.test(id);
}

/** One person by a GET of their own (§3.1, Instagram Login). */
export function buildProfileRequest(target: GraphTarget, token: string, id: ParticipantId): GraphRequest {
  const url = `${buildBase(target)}/${encodeURIComponent(id)}?fields=${target.fields.join(",")}`;
  return { url, method: "GET", headers: buildHeaders(token), body: null };
}

/**
 * Up to `batchSizeMax` people in one POST (§4.2, Facebook Login). The form's top level carries the proof, and
 * `access_token` too: Meta documents it as mandatory there for a batch.
 */
export function buildBatchRequest(target: GraphTarget, token: string, ids: readonly ParticipantId[]): GraphRequest {
  const fields = target.fields.join(",");
  const batch = ids.map((id) => ({
    method: "GET",
    relative_url: `${target.version}/${encodeURIComponent(id)}?fields=${fields}`,
  }));
  const form = new URLSearchParams({ batch: JSON.stringify(batch), include_headers: "false", access_token: token });
  if (target.appSecret !== null) form.set("appsecret_proof", buildProof(target.appSecret, token));
  const headers = { ...buildHeaders(token), "content-type": "application/x-www-form-urlencoded" };
  return { url: `${buildBase(target)}/`, method: "POST", headers, body: form.toString() };
}

/** Asks the inbox for its thread with one person, for their username alone (§7.1). */
export function buildThreadRequest(
  target: GraphTarget,
  access: Omit<AccountAccess, "id">,
  id: ParticipantId,
): GraphRequest {
  const parameters = { platform: "instagram", user_id: id, fields: "participants" };
  return buildGet(target, access.token, inboxPath(access), parameters);
}

/**
 * Asks for one page of the inbox's threads, newest first (§7.1): ids and people only, since a list with messages in it is
 * soon "too much data" (§7.2). `after` is the cursor of the page before; null: the first page.
 */
export function buildThreadListRequest(
  target: GraphTarget,
  access: Omit<AccountAccess, "id">,
  { limit, after }: { readonly limit: number; readonly after: string | null },
): GraphRequest {
  const parameters = { platform: "instagram", fields: "id,updated_time,participants", limit: String(limit) };
  return buildGet(target, access.token, inboxPath(access), after === null ? parameters : { ...parameters, after });
}

/** Asks for the latest `limit` messages of one thread (§7.1). */
export function buildThreadMessagesRequest(
  target: GraphTarget,
  access: Omit<AccountAccess, "id">,
  { threadId, limit }: { readonly threadId: string; readonly limit: number },
): GraphRequest {
  const fields = `messages.limit(${limit}){${messageFields.join(",")}}`;
  return buildGet(target, access.token, encodeURIComponent(threadId), { fields });
}

/** What Meta documents of a message (§7.1). */
const messageFields = [
  "id",
  "created_time",
  "from",
  "to",
  "message",
  "attachments",
  "is_unsupported",
  "reply_to",
] as const;

/** Asks whom the token belongs to: the account itself (Instagram Login, §0.4) or its Page with the account linked to it (§6.2). */
export function buildSelfRequest(target: GraphTarget, access: Pick<AccountAccess, "login" | "token">): GraphRequest {
  const fields =
    access.login === "instagram" ? "id,user_id,username" : "id,name,instagram_business_account{id,username}";
  return buildGet(target, access.token, "me", { fields });
}
