import type { AccountAccess } from "../domain/account.ts";
import { type AccountId, parseAccountId } from "../domain/ids.ts";
import { usernameLengthMax } from "../domain/profile.ts";
import { cleanText } from "../lib/clean-text.ts";
import { buildFailure, classifyError, type Refusal, readGraphError } from "./classify-error.ts";
import type { GraphReply } from "./fetch-reply.ts";
import { isRecord, type OutsideRecord, readIdText } from "./parse-json.ts";

/** Whom a token belongs to. */
export type Self = {
  /** `17841…`: the id that webhooks carry as `entry.id`. */
  readonly accountId: AccountId;
  /** The app-scoped id that `/me` calls `id` for Instagram Login; never in a webhook (§0.4). null for Facebook Login. */
  readonly scopedId: string | null;
  /** The Page that the token is of; null for Instagram Login. */
  readonly pageId: string | null;
  readonly username: string | null;
};

export type SelfAnswer = { readonly kind: "found"; readonly self: Self } | Refusal;

/** Some answers come wrapped as `{"data":[{…}]}` (§0.4). */
function unwrap(body: unknown): OutsideRecord | null {
  const inner = isRecord(body) && Array.isArray(body.data) ? body.data[0] : body;
  return isRecord(inner) ? inner : null;
}

function readSelf(login: AccountAccess["login"], body: OutsideRecord): Self | null {
  if (login === "instagram") {
    // Never `id`: it belongs to the app and matches no webhook (§0.4).
    const accountId = parseAccountId(readIdText(body.user_id));
    const username = cleanText(body.username, usernameLengthMax);
    return accountId === null ? null : { accountId, scopedId: readIdText(body.id), pageId: null, username };
  }
  const linked = isRecord(body.instagram_business_account) ? body.instagram_business_account : null;
  const accountId = parseAccountId(readIdText(linked?.id));
  const username = cleanText(linked?.username, usernameLengthMax);
  return accountId === null ? null : { accountId, scopedId: null, pageId: readIdText(body.id), username };
}

/**
 * Reads the answer to `buildSelfRequest()`. A Page without an Instagram account is `blocked` as `page_not_linked`; a token of a
 * person instead of a Page is refused by Graph with a plain 100, which is `bad_request` here.
 */
export function processSelfReply(login: AccountAccess["login"], reply: GraphReply): SelfAnswer {
  if (reply.kind === "none") return buildFailure(reply.reason, reply.httpStatus);
  const { httpStatus, body, usage } = reply;
  const error = readGraphError(httpStatus, body);
  if (error !== null) return classifyError(error, usage?.regainMs ?? null);
  if (httpStatus >= 500) return buildFailure("server_error", httpStatus);
  const record = unwrap(body);
  if (record === null || httpStatus < 200 || httpStatus >= 300) return buildFailure("bad_answer", httpStatus);
  const self = readSelf(login, record);
  if (self !== null) return { kind: "found", self };
  if (login === "instagram" || readIdText(record.id) === null) return buildFailure("bad_answer", httpStatus);
  const evidence = { httpStatus, code: null, subcode: null, fbtraceId: null };
  return { kind: "blocked", reason: "page_not_linked", evidence };
}
