import type { AccountAccess } from "../domain/account.ts";
import { type AccountId, parseAccountId } from "../domain/ids.ts";
import { noEvidence, usernameLengthMax } from "../domain/profile.ts";
import { cleanText } from "../lib/clean-text.ts";
import { buildFailure, type Refusal } from "./classify-error.ts";
import type { GraphReply } from "./fetch-reply.ts";
import { openReply } from "./open-reply.ts";
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
  const answer = openReply(reply);
  if (answer.kind !== "answered") return answer;
  const { httpStatus } = reply;
  const record = unwrap(answer.body);
  if (record === null) return buildFailure("bad_answer", httpStatus);
  const self = readSelf(login, record);
  if (self !== null) return { kind: "found", self };
  if (login === "instagram" || readIdText(record.id) === null) return buildFailure("bad_answer", httpStatus);
  return { kind: "blocked", reason: "page_not_linked", evidence: { ...noEvidence, httpStatus } };
}
