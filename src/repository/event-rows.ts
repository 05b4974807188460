import type {
  CommentEvent,
  DeletionEvent,
  EditEvent,
  InboundEvent,
  MessageEvent,
  ReactionEvent,
  ReadEvent,
} from "../domain/event.ts";
import { conversationIdOf } from "../domain/ids.ts";
import { buildArrayLiteral } from "./array-literal.ts";

/** A row of `messages`; times in milliseconds since 1970, attachments as JSON text. */
export type MessageRow = {
  account_id: string;
  mid: string;
  conversation_id: string;
  direction: string;
  has_content: boolean;
  text: string | null;
  attachments: string | null;
  reply_to_mid: string | null;
  unsupported: boolean;
  sent_at: number;
  edit_number: number;
  deleted_at: number | null;
};

const greater = (a: string | null, b: string | null) => (a ?? "") > (b ?? "");

/**
 * Lays events out as the parameters of `save-events.sql`: columns with one place an event key, and a row for each
 * reaction, reader, named person, and message that several events of these posts are about, merged by the same rules
 * that the statement merges with what is stored. Sorted by key, so that two writers lock in one order. Pure.
 */
export function buildEventRows(events: readonly InboundEvent[]) {
  const spoken = new Map<string, MessageChange[]>();
  const reactions = new Map<string, ReactionEvent>();
  const reads = new Map<string, ReadEvent>();
  const names = new Map<string, NameRow>();
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
        const before = spoken.get(at);
        if (before === undefined) spoken.set(at, [event]);
        else before.push(event);
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
      case "comment":
      case "mention": {
        const name = buildNameRow(event);
        if (name === null) break;
        const at = `${name.account_id} ${name.participant_id}`;
        const before = names.get(at);
        if (before === undefined || isLaterName(name, before)) names.set(at, name);
        break;
      }
      default:
        break;
    }
  }
  const isAlone = (event: InboundEvent) => spoken.get(`${event.accountId} ${event.mid}`)?.length === 1;
  const changes = sorted(spoken).filter(
    ([first, ...rest]) => rest.length > 0 || (first !== undefined && !isSaid(first)),
  );
  return {
    columns: buildColumns(sorted(byKey), isAlone),
    messages: changes.map(foldMessage),
    reactions: sorted(reactions).map((event) => ({
      account_id: event.accountId,
      mid: event.mid,
      sender_id: event.senderId,
      reaction: event.reaction,
      emoji: event.emoji,
      reacted_at: event.occurredAtMs,
    })),
    reads: sorted(reads).map((event) => ({
      account_id: event.accountId,
      participant_id: event.participantId,
      mid: event.mid,
      read_at: event.readUpToMs,
    })),
    names: sorted(names),
  };
}

function sorted<T>(rows: ReadonlyMap<string, T>): T[] {
  if (rows.size < 2) return [...rows.values()];
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

/** What changes a row of `messages`. */
export type MessageChange = MessageEvent | DeletionEvent | EditEvent;
const isSaid = (event: InboundEvent): event is MessageEvent => event.kind === "message" || event.kind === "postback";

/** The columns of `save-events.sql`, `$1` to `$14`. */
function buildColumns(events: readonly InboundEvent[], isAlone: (event: InboundEvent) => boolean): string[] {
  const said = events.map((event) => (isSaid(event) ? event : null));
  return [
    events.map((event) => event.accountId),
    events.map((event) => event.eventKey),
    events.map((event) => event.kind),
    events.map((event) => event.participantId),
    events.map((event) => event.mid),
    events.map((event) => event.occurredAtMs),
    events.map((event) => event.raw),
    said.map((event) => event?.direction ?? null),
    said.map((event) => event?.self ?? false),
    said.map((event) => event?.text ?? null),
    said.map((event) => event?.attachments ?? null),
    said.map((event) => event?.replyToMid ?? null),
    said.map((event) => event?.unsupported ?? false),
    events.map(isAlone),
  ].map(buildArrayLiteral);
}

/** The row that one message's events make together, in the order they came; one event at least. */
export function foldMessage(events: readonly MessageChange[]): MessageRow {
  return events.map(buildMessageRow).reduce(mergeMessageRows);
}

function buildMessageRow(event: MessageChange): MessageRow {
  const said = isSaid(event);
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
    sent_at: event.occurredAtMs,
    edit_number: event.kind === "edit" ? event.editNumber : 0,
    deleted_at: event.kind === "deletion" ? event.occurredAtMs : null,
  };
}

/** The rules of `save-events.sql`'s messages, for two rows that came together. */
function mergeMessageRows(a: MessageRow, b: MessageRow): MessageRow {
  const [content, other] = b.has_content && !a.has_content ? [b, a] : [a, b];
  const edited = b.edit_number > a.edit_number ? b : a;
  const deletions = [a.deleted_at, b.deleted_at].filter((at) => at !== null);
  const deletedAt = deletions.length === 0 ? null : Math.min(...deletions);
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

type NameRow = { account_id: string; participant_id: string; username: string; seen_at: number };

function buildNameRow({ accountId, participantId, username, occurredAtMs }: CommentEvent): NameRow | null {
  if (participantId === null || username === null) return null;
  return { account_id: accountId, participant_id: participantId, username, seen_at: occurredAtMs };
}

/** Of two names at one moment the greater byte by byte, as the statement has it: any rule will do, if both keep to one. */
function isLaterName(a: NameRow, b: NameRow): boolean {
  if (a.seen_at !== b.seen_at) return a.seen_at > b.seen_at;
  return Buffer.compare(Buffer.from(a.username), Buffer.from(b.username)) > 0;
}

export function isLaterReaction(a: ReactionEvent, b: ReactionEvent): boolean {
  if (a.occurredAtMs !== b.occurredAtMs) return a.occurredAtMs > b.occurredAtMs;
  return a.reaction === b.reaction ? greater(a.emoji, b.emoji) : greater(a.reaction, b.reaction);
}

export function isLaterRead(a: ReadEvent, b: ReadEvent): boolean {
  return a.readUpToMs === b.readUpToMs ? greater(a.mid, b.mid) : a.readUpToMs > b.readUpToMs;
}
