import type { Direction } from "./event.ts";
import type { ConversationId, ParticipantId } from "./ids.ts";
import type { ProfileStatus } from "./profile.ts";

/** `active` or `archived`: in the API, the database and the code. */
export const conversationStatuses = ["active", "archived"] as const;
export type ConversationStatus = (typeof conversationStatuses)[number];

/** One conversation as it is shown (spec §7). Times are milliseconds since 1970. */
export type Conversation = {
  readonly id: ConversationId;
  /** The operator's own name of the account; its Instagram id where nobody has added it. */
  readonly accountId: string;
  readonly participantPlatformId: ParticipantId;
  readonly participantUsername: string | null;
  readonly participantName: string | null;
  readonly participantProfilePic: string | null;
  readonly lastMessageAtMs: number;
  readonly unreadCount: number;
  readonly status: ConversationStatus;
  readonly profileStatus: ProfileStatus;
  readonly profileReason: string | null;
  readonly profileFetchedAtMs: number | null;
  readonly pictureExpiresAtMs: number | null;
};

/** One message as it is shown. A message that was unsent keeps its place and loses its content. */
export type Message = {
  readonly id: string;
  readonly direction: Direction;
  readonly text: string | null;
  /** JSON as Instagram sent it; null where there is none. */
  readonly attachments: unknown;
  readonly replyToId: string | null;
  readonly sentAtMs: number;
  readonly editNumber: number;
  readonly deletedAtMs: number | null;
  readonly reactions: readonly { readonly from: string; readonly reaction: string; readonly emoji: string | null }[];
};

/** A place in a list: the sort key of the last row seen. Keyset, so that a page costs the same at any depth. */
export type ConversationCursor = { readonly lastMessageAtMs: number; readonly id: string };
