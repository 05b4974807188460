import type { InboundEvent, QuarantineReason } from "../domain/event.ts";
import { parseParticipantId } from "../domain/ids.ts";
import { hashOf, readId, readMid, readObject, readTimeMs, readUsername } from "./read-fields.ts";
import { type ItemContext, readItem } from "./read-item.ts";

/** Fields of `changes[]` whose value is an item as in `messaging[]`; `standby` is one as in `standby[]`. */
const itemFields = [
  "messages",
  "message_echoes",
  "message_reactions",
  "message_edit",
  "messaging_postbacks",
  "messaging_seen",
  "messaging_referral",
  "standby",
];

/** Reads one `field`/`value` pair (meta-platform.md §2.7, §2.8): an event, or why it is none. Pure. */
export function readChange(field: unknown, value: unknown, context: ItemContext): InboundEvent | QuarantineReason {
  const content = readObject(value);
  if (typeof field === "string" && itemFields.includes(field) && content !== null)
    return readItem(content, field === "standby" ? { ...context, standby: true } : context);
  const base = {
    accountId: context.accountId,
    occurredAtMs: readTimeMs(content?.timestamp ?? content?.created_time, context.nowMs) ?? context.fallbackMs,
    raw: context.raw,
    standby: false,
  };
  if (context.accountId === "0")
    return { ...base, kind: "test", eventKey: `test:${hashOf(context.raw)}`, participantId: null, mid: null };
  const author = readObject(content?.from);
  const id = readId(author?.id);
  // The raw item keeps an id whose digits are lost; nobody is named by it.
  const participantId = id === "inexact" ? null : parseParticipantId(id);
  // Where the account comments itself, the name is its own. Another product's people are not Instagram's.
  const own = id === context.accountId || author?.self_ig_scoped_id !== undefined;
  const username = own || participantId === null || !context.instagram ? null : readUsername(author?.username);
  const commentId = readMid(content?.comment_id) ?? readMid(content?.id);
  if ((field === "comments" || field === "live_comments") && commentId !== null)
    return { ...base, kind: "comment", eventKey: `comment:${commentId}`, participantId, mid: null, username };
  if (field === "mentions" && (commentId ?? readMid(content?.media_id)) !== null) {
    const eventKey = `mention:${hashOf(commentId, readMid(content?.media_id))}`;
    return { ...base, kind: "mention", eventKey, participantId, mid: null, username };
  }
  return { ...base, kind: "other", eventKey: `other:${hashOf(context.raw)}`, participantId, mid: null };
}
