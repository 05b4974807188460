import type { AccountId, ParticipantId } from "./ids.ts";

/** What one item of a webhook tells, in the product's words. */
export const eventKinds = [
  "message",
  "postback",
  "deletion",
  "edit",
  "reaction",
  "read",
  "referral",
  "comment",
  "mention",
  "test",
  "other",
] as const;
export type EventKind = (typeof eventKinds)[number];

export type Direction = "inbound" | "outgoing";

type EventBase = {
  readonly accountId: AccountId;
  /** Unique within the account: the same event sent again has the same key. */
  readonly eventKey: string;
  readonly occurredAtMs: number;
  /** The item's JSON exactly as it came, for replay. */
  readonly raw: string;
  /** Another app held the conversation when this came. */
  readonly standby: boolean;
};

type PersonEventBase = EventBase & { readonly participantId: ParticipantId; readonly mid: string };

/** Something said in a conversation: a message, an echo of ours, or a tap on an icebreaker or menu. */
export type MessageEvent = PersonEventBase & {
  readonly kind: "message" | "postback";
  readonly direction: Direction;
  /** A note of the account to itself. */
  readonly self: boolean;
  readonly text: string | null;
  /** JSON text of the attachments as they came, or null. */
  readonly attachments: string | null;
  readonly replyToMid: string | null;
  readonly unsupported: boolean;
};
export type DeletionEvent = PersonEventBase & { readonly kind: "deletion"; readonly direction: Direction };
export type EditEvent = PersonEventBase & {
  readonly kind: "edit";
  readonly direction: Direction;
  readonly text: string | null;
  readonly editNumber: number;
};
export type ReactionEvent = PersonEventBase & {
  readonly kind: "reaction";
  readonly senderId: string;
  /** null: the reaction was taken back. */
  readonly reaction: string | null;
  readonly emoji: string | null;
};
/** The person has seen what was sent to them, up to `mid` or up to `readUpToMs`. */
export type ReadEvent = EventBase & {
  readonly kind: "read";
  readonly participantId: ParticipantId;
  readonly mid: string | null;
  readonly readUpToMs: number;
};
/** Written in public: no conversation comes of it, but it names the person without a lookup. */
export type CommentEvent = EventBase & {
  readonly kind: "comment" | "mention";
  readonly participantId: ParticipantId | null;
  readonly mid: null;
  /** As it came, not cleaned for display; null where there is none, and for the account's own comments. */
  readonly username: string | null;
};
/** Kept as it came; tells nothing about a conversation yet. */
export type OtherEvent = EventBase & {
  readonly kind: "referral" | "test" | "other";
  readonly participantId: ParticipantId | null;
  readonly mid: string | null;
};

export type InboundEvent =
  | MessageEvent
  | DeletionEvent
  | EditEvent
  | ReactionEvent
  | ReadEvent
  | CommentEvent
  | OtherEvent;

/** Why something that arrived with a right signature could not be filed. */
export const quarantineReasons = [
  "not_utf8",
  "not_json",
  "too_deep",
  "not_a_delivery",
  "too_many_items",
  "item_not_an_object",
  "account_unreadable",
  "participant_unclear",
  "id_not_exact",
  "row_refused",
] as const;
export type QuarantineReason = (typeof quarantineReasons)[number];

/** Kept whole and counted; nothing that was signed is thrown away. */
export type Quarantined = { readonly reason: QuarantineReason; readonly raw: Uint8Array };
