import type { InboundEvent, QuarantineReason } from "../domain/event.ts";
import { parseParticipantId } from "../domain/ids.ts";
import { hashOf, readId, readMid, readObject, readTimeMs } from "./read-fields.ts";
import { type ItemContext, readItem } from "./read-item.ts";

/** Fields of `changes[]` whose value is an item as in `messaging[]`. */
const itemFields = [
  "messages",
  "message_reactions",
  "message_edit",
  "messaging_postbacks",
  "messaging_seen",
  "messaging_referral",
];

/** Reads one `field`/`value` pair (meta-platform.md §2.7, §2.8): an event, or why it is none. Pure. */
export function readChange(field: unknown, value: unknown, context: ItemContext): InboundEvent | QuarantineReason {
  const content = readObject(value);
  if (typeof field === "string" && itemFields.includes(field) && content !== null) return readItem(content, context);
  const base = {
    accountId: context.accountId,
    occurredAtMs: readTimeMs(content?.timestamp ?? content?.created_time, context.nowMs) ?? context.fallbackMs,
    raw: context.raw,
    standby: false,
  };
  if (context.accountId === "0")
    return { ...base, kind: "test", eventKey: `test:${hashOf(context.raw)}`, participantId: null, mid: null };
  const participantId = parseParticipantId(readId(readObject(content?.from)?.id));
  const commentId = readMid(content?.comment_id) ?? readMid(content?.id);
  if ((field === "comments" || field === "live_comments") && commentId !== null)
    return { ...base, kind: "comment", eventKey: `comment:${commentId}`, participantId, mid: null };
  if (field === "mentions" && (commentId ?? readMid(content?.media_id)) !== null) {
    const eventKey = `mention:${hashOf(commentId, readMid(content?.media_id))}`;
    return { ...base, kind: "mention", eventKey, participantId, mid: null };
  }
  return { ...base, kind: "other", eventKey: `other:${hashOf(context.raw)}`, participantId, mid: null };
}
