import type { Direction, InboundEvent, QuarantineReason } from "../domain/event.ts";
import { type AccountId, type ParticipantId, parseAccountId, parseParticipantId } from "../domain/ids.ts";
import {
  hashOf,
  type JsonObject,
  readId,
  readMid,
  readObject,
  readText,
  readTimeMs,
  readWholeNumber,
} from "./read-fields.ts";

/** What surrounds an item. */
export type ItemContext = {
  readonly accountId: AccountId;
  /** The entry's own time, for items without one. */
  readonly fallbackMs: number;
  readonly nowMs: number;
  readonly standby: boolean;
  /** False for another product's webhook (a Page's Messenger): kept, but these people are not Instagram's. */
  readonly instagram: boolean;
  readonly raw: string;
};

/** The dashboard's "Test" button sends these; they are nobody (meta-platform.md §2.8). */
const dummyIds = ["12334", "23245"];
const dummyMid = "random_mid";

type Sides = {
  accountId: AccountId;
  participantId: ParticipantId;
  senderId: string;
  direction: Direction;
  self: boolean;
};

/** Reads one item of `messaging[]` or `standby[]`: an event, or why it is none. Pure. */
export function readItem(value: unknown, context: ItemContext): InboundEvent | QuarantineReason {
  const item = readObject(value);
  if (item === null) return "item_not_an_object";
  const message = readObject(item.message);
  const base = {
    accountId: context.accountId,
    occurredAtMs: readTimeMs(item.timestamp, context.nowMs) ?? context.fallbackMs,
    raw: context.raw,
    standby: context.standby,
  };
  const other = (kind: "other" | "test"): InboundEvent => ({
    ...base,
    kind,
    eventKey: `${kind}:${hashOf(context.raw)}`,
    participantId: null,
    mid: null,
  });
  const senderId = readId(readObject(item.sender)?.id);
  const recipientId = readId(readObject(item.recipient)?.id);
  const isDummy = [senderId, recipientId].some((id) => id !== null && dummyIds.includes(id));
  if (context.accountId === "0" || isDummy || message?.mid === dummyMid) return other("test");
  if (!context.instagram) return other("other");
  if (senderId === "inexact" || recipientId === "inexact") return "id_not_exact";
  const sides = readSides(item, message, senderId, recipientId, context.accountId);
  if (sides === null) return "participant_unclear";
  return readPersonEvent(item, message, { ...base, accountId: sides.accountId }, sides) ?? other("other");
}

type Base = Pick<InboundEvent, "accountId" | "occurredAtMs" | "raw" | "standby">;

function readPersonEvent(item: JsonObject, message: JsonObject | null, base: Base, sides: Sides): InboundEvent | null {
  const { participantId, direction, self } = sides;
  if (message !== null) {
    const mid = readMid(message.mid) ?? `no-mid:${hashOf(base.raw)}`;
    const person = { ...base, participantId, mid, direction };
    if (message.is_deleted === true) return { ...person, kind: "deletion", eventKey: `deletion:${mid}` };
    return {
      ...person,
      kind: "message",
      eventKey: `message:${mid}`,
      self,
      text: readText(message.text),
      attachments: readAttachments(message.attachments),
      replyToMid: readMid(readObject(message.reply_to)?.mid),
      unsupported: message.is_unsupported === true,
    };
  }
  const edit = readObject(item.message_edit);
  const editMid = readMid(edit?.mid);
  if (edit !== null && editMid !== null) {
    const editNumber = readWholeNumber(edit.num_edit) ?? 1;
    const eventKey = `edit:${editMid}:${editNumber}`;
    return {
      ...base,
      kind: "edit",
      eventKey,
      participantId,
      mid: editMid,
      direction,
      text: readText(edit.text),
      editNumber,
    };
  }
  const reaction = readObject(item.reaction);
  const reactedMid = readMid(reaction?.mid);
  if (reaction !== null && reactedMid !== null) {
    const taken = reaction.action === "unreact";
    const name = taken ? null : (readText(reaction.reaction) ?? "other");
    const emoji = taken ? null : readEmoji(reaction.emoji);
    const eventKey = `reaction:${reactedMid}:${hashOf(sides.senderId, name, emoji, base.occurredAtMs)}`;
    return {
      ...base,
      kind: "reaction",
      eventKey,
      participantId,
      mid: reactedMid,
      senderId: sides.senderId,
      reaction: name,
      emoji,
    };
  }
  const read = readObject(item.read);
  if (read !== null) {
    const mid = readMid(read.mid);
    const readUpToMs = readTimeMs(read.watermark, base.occurredAtMs) ?? base.occurredAtMs;
    return {
      ...base,
      kind: "read",
      eventKey: `read:${participantId}:${hashOf(mid, readUpToMs)}`,
      participantId,
      mid,
      readUpToMs,
    };
  }
  const postback = readObject(item.postback);
  if (postback !== null) {
    const [title, payload] = [readText(postback.title), readText(postback.payload)];
    const mid = readMid(postback.mid) ?? `postback:${hashOf(participantId, base.occurredAtMs, title, payload)}`;
    const said = { self, text: title, attachments: null, replyToMid: null, unsupported: false };
    return { ...base, kind: "postback", eventKey: `postback:${mid}`, participantId, mid, direction, ...said };
  }
  if (readObject(item.referral) !== null)
    return { ...base, kind: "referral", eventKey: `referral:${hashOf(base.raw)}`, participantId, mid: null };
  return null;
}

/**
 * Who the person is (§2.2): the side that is not the account. In two of Meta's samples the entry carries the
 * customer's id for a tap or a referral, which no account can send: the sides are swapped there.
 */
function readSides(
  item: JsonObject,
  message: JsonObject | null,
  senderId: string | null,
  recipientId: string | null,
  accountId: AccountId,
): Sides | null {
  const self = message?.is_self === true || item.is_self === true;
  const side = (id: string | null, direction: Direction, account: AccountId = accountId): Sides | null => {
    const participantId = parseParticipantId(id);
    return participantId === null
      ? null
      : { accountId: account, participantId, senderId: senderId ?? id ?? "", direction, self };
  };
  if (self) return side(recipientId ?? senderId, "outgoing");
  if (senderId === accountId && recipientId === accountId) return null;
  if (senderId === accountId) {
    const account = parseAccountId(recipientId);
    const onlyPeopleDoThat = item.postback !== undefined || item.referral !== undefined;
    return onlyPeopleDoThat && account !== null ? side(senderId, "inbound", account) : side(recipientId, "outgoing");
  }
  if (recipientId === accountId) return side(senderId, "inbound");
  if (recipientId === null && senderId !== null && message?.is_echo !== true) return side(senderId, "inbound");
  // Neither side is the account: an echo says which one it stands for, anything else stays unclear.
  return message?.is_echo === true ? side(recipientId, "outgoing") : null;
}

/** Attachments as JSON text, unknown types and keys included. */
function readAttachments(value: unknown): string | null {
  return Array.isArray(value) && value.length > 0 ? JSON.stringify(value) : null;
}

/** Some deliveries write an emoji as `\u{2764}` in plain letters. */
function readEmoji(value: unknown): string | null {
  const text = readText(value);
  if (text === null) return null;
  return text.replace(/\\u\{([0-9A-Fa-f]{1,6})\}/g, (whole, hex: string) => {
    const code = Number.parseInt(hex, 16);
    return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : whole;
  });
}
