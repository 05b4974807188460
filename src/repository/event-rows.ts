import type {
  DeletionEvent,
  EditEvent,
  InboundEvent,
  MessageEvent,
  ReactionEvent,
  ReadEvent,
} from "../domain/event.ts";
import { conversationIdOf } from "../domain/ids.ts";

type MessageRow = {
  account_id: string;
  mid: string;
  conversation_id: string;
  direction: string;
  has_content: boolean;
  text: string | null;
  attachments: string | null;
  reply_to_mid: string | null;
  unsupported: boolean;
  sent_at: string;
  edit_number: number;
  deleted_at: string | null;
};

const isoOf = (ms: number) => new Date(ms).toISOString();
const greater = (a: string | null, b: string | null) => (a ?? "") > (b ?? "");

/**
 * Lays events out as the rows of `save-events.sql`: one an event key, and one a message, reaction and reader, each
 * merged by the same rules that the statement merges with what is stored. Sorted by key, so that two writers lock in
 * one order. Pure.
 */
export function buildEventRows(events: readonly InboundEvent[]) {
  const messages = new Map<string, MessageRow>();
  const reactions = new Map<string, ReactionEvent>();
  const reads = new Map<string, ReadEvent>();
  const byKey = new Map<string, InboundEvent>();
  for (const event of events) {
    const key = `${event.accountId} ${event.eventKey}`;
    if (byKey.has(key)) continue;
    byKey.set(key, event);
    switch (event.kind) {
      case "message":
      case "postback":
      case "deletion":
      case "edit": {
        const at = `${event.accountId} ${event.mid}`;
        const before = messages.get(at);
        const row = buildMessageRow(event);
        messages.set(at, before === undefined ? row : mergeMessageRows(before, row));
        break;
      }
      case "reaction": {
        const at = `${event.accountId} ${event.mid} ${event.senderId}`;
        const before = reactions.get(at);
        if (before === undefined || isLaterReaction(event, before)) reactions.set(at, event);
        break;
      }
      case "read": {
        const at = `${event.accountId} ${event.participantId}`;
        const before = reads.get(at);
        if (before === undefined || isLaterRead(event, before)) reads.set(at, event);
        break;
      }
      default:
        break;
    }
  }
  return {
    events: sorted(byKey).map(buildEventRow),
    messages: sorted(messages),
    reactions: sorted(reactions).map((event) => ({
      account_id: event.accountId,
      mid: event.mid,
      sender_id: event.senderId,
      reaction: event.reaction,
      emoji: event.emoji,
      reacted_at: isoOf(event.occurredAtMs),
    })),
    reads: sorted(reads).map((event) => ({
      account_id: event.accountId,
      participant_id: event.participantId,
      mid: event.mid,
      read_at: isoOf(event.readUpToMs),
    })),
  };
}

function sorted<T>(rows: ReadonlyMap<string, T>): T[] {
  if (rows.size < 2) return [...rows.values()];
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

function buildEventRow(event: InboundEvent) {
  const said = event.kind === "message" || event.kind === "postback";
  return {
    account_id: event.accountId,
    event_key: event.eventKey,
    kind: event.kind,
    participant_id: event.participantId,
    mid: event.mid,
    occurred_at: isoOf(event.occurredAtMs),
    raw: event.raw,
    counts: said,
    inbound: said && event.direction === "inbound",
    self: said && event.self,
  };
}

function buildMessageRow(event: MessageEvent | DeletionEvent | EditEvent): MessageRow {
  const said = event.kind === "message" || event.kind === "postback";
  return {
    account_id: event.accountId,
    mid: event.mid,
    conversation_id: conversationIdOf(event.accountId, event.participantId),
    direction: event.direction,
    has_content: said,
    text: event.kind === "deletion" ? null : event.text,
    attachments: said ? event.attachments : null,
    reply_to_mid: said ? event.replyToMid : null,
    unsupported: said && event.unsupported,
    sent_at: isoOf(event.occurredAtMs),
    edit_number: event.kind === "edit" ? event.editNumber : 0,
    deleted_at: event.kind === "deletion" ? isoOf(event.occurredAtMs) : null,
  };
}

/** The rules of `save-events.sql`'s messages, for two rows that came together. */
function mergeMessageRows(a: MessageRow, b: MessageRow): MessageRow {
  const [content, other] = b.has_content && !a.has_content ? [b, a] : [a, b];
  const edited = b.edit_number > a.edit_number ? b : a;
  const deletedAt = [a.deleted_at, b.deleted_at].filter((at) => at !== null).sort()[0] ?? null;
  const text = a.edit_number === b.edit_number ? (content.text ?? other.text) : edited.text;
  return {
    ...content,
    has_content: a.has_content || b.has_content,
    text: deletedAt === null ? text : null,
    attachments: deletedAt === null ? content.attachments : null,
    reply_to_mid: a.reply_to_mid ?? b.reply_to_mid,
    unsupported: a.unsupported || b.unsupported,
    sent_at: content.has_content || a.sent_at < b.sent_at ? content.sent_at : other.sent_at,
    edit_number: Math.max(a.edit_number, b.edit_number),
    deleted_at: deletedAt,
  };
}

function isLaterReaction(a: ReactionEvent, b: ReactionEvent): boolean {
  if (a.occurredAtMs !== b.occurredAtMs) return a.occurredAtMs > b.occurredAtMs;
  return a.reaction === b.reaction ? greater(a.emoji, b.emoji) : greater(a.reaction, b.reaction);
}

function isLaterRead(a: ReadEvent, b: ReadEvent): boolean {
  return a.readUpToMs === b.readUpToMs ? greater(a.mid, b.mid) : a.readUpToMs > b.readUpToMs;
}
