import type { Conversation, Message } from "../domain/conversation.ts";
import { isoOf, isoOrNull } from "./iso-time.ts";

/** A conversation as the API shows it (spec §7): every key always present, `null` while unknown. */
export function buildConversationJson(conversation: Conversation) {
  return {
    id: conversation.id,
    participantUsername: conversation.participantUsername,
    participantProfilePic: conversation.participantProfilePic,
    lastMessageAt: isoOf(conversation.lastMessageAtMs),
    unreadCount: conversation.unreadCount,
    status: conversation.status,
    accountId: conversation.accountId,
    participantPlatformId: conversation.participantPlatformId,
    participantName: conversation.participantName,
    profile: {
      status: conversation.profileStatus,
      reason: conversation.profileReason,
      fetchedAt: isoOrNull(conversation.profileFetchedAtMs),
      pictureExpiresAt: isoOrNull(conversation.pictureExpiresAtMs),
    },
  };
}

/** A message as the API shows it. */
export function buildMessageJson(message: Message) {
  return {
    id: message.id,
    direction: message.direction,
    text: message.text,
    attachments: message.attachments ?? null,
    replyToId: message.replyToId,
    sentAt: isoOf(message.sentAtMs),
    editNumber: message.editNumber,
    deletedAt: isoOrNull(message.deletedAtMs),
    reactions: message.reactions.map(({ from, reaction, emoji }) => ({ from, reaction, emoji })),
  };
}
