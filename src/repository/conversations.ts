import armLookup from "../../sql/queries/arm-lookup.sql" with { type: "text" };
import getConversationSql from "../../sql/queries/get-conversation.sql" with { type: "text" };
import getLookupRecordSql from "../../sql/queries/get-lookup-record.sql" with { type: "text" };
import listAccountConversations from "../../sql/queries/list-account-conversations.sql" with { type: "text" };
import listAllConversations from "../../sql/queries/list-conversations.sql" with { type: "text" };
import listConversationsOfPerson from "../../sql/queries/list-conversations-of-person.sql" with { type: "text" };
import listMessagesSql from "../../sql/queries/list-messages.sql" with { type: "text" };
import type { Conversation, ConversationCursor, ConversationStatus, Message } from "../domain/conversation.ts";
import type { Direction } from "../domain/event.ts";
import type { ConversationId, ParticipantId } from "../domain/ids.ts";
import type { LookupRecord } from "../domain/lookup-record.ts";
import type { ProfileStatus } from "../domain/profile.ts";
import type { Database } from "./database.ts";
import { type LookupRecordRow, readLookupRecord } from "./lookup-record-row.ts";

type ConversationRow = {
  id: ConversationId;
  account_id: string;
  participant_platform_id: ParticipantId;
  participant_username: string | null;
  participant_name: string | null;
  participant_profile_pic: string | null;
  last_message_at_ms: number;
  unread_count: number;
  status: ConversationStatus;
  profile_status: ProfileStatus;
  reason_code: string | null;
  fetched_at_ms: number | null;
  picture_expires_at_ms: number | null;
};

type MessageRow = {
  mid: string;
  direction: Direction;
  text: string | null;
  attachments: unknown;
  reply_to_mid: string | null;
  sent_at_ms: number;
  edit_number: number;
  deleted_at_ms: number | null;
  reactions: Message["reactions"];
};

export type ConversationsQuery = {
  /** The account's own id or its Instagram id; null: all accounts. */
  readonly accountId: string | null;
  readonly status: ConversationStatus | null;
  readonly profileStatus: ProfileStatus | null;
  /** Rows before this place in the list; null: from the latest. */
  readonly before: ConversationCursor | null;
  readonly limit: number;
};

export type ConversationsRepository = ReturnType<typeof createConversationsRepository>;

/** Reads conversations and messages. Lists are latest first. */
export function createConversationsRepository(database: Database) {
  return {
    async listConversations(ask: ConversationsQuery): Promise<Conversation[]> {
      const filters = [ask.status, ask.profileStatus];
      const page = [ask.before?.lastMessageAtMs ?? null, ask.before?.id ?? null, ask.limit];
      const rows = await (ask.accountId === null
        ? database.query<ConversationRow>(listAllConversations, [...filters, ...page], "list conversations")
        : database.query<ConversationRow>(
            listAccountConversations,
            [ask.accountId, ...filters, ...page],
            "list conversations",
          ));
      return rows.map(readConversation);
    },

    async getConversation(id: ConversationId): Promise<Conversation | null> {
      const [row] = await database.query<ConversationRow>(getConversationSql, [id], "read the conversation");
      return row === undefined ? null : readConversation(row);
    },

    async listMessages(
      id: ConversationId,
      ask: { before: { sentAtMs: number; id: string } | null; limit: number },
    ): Promise<Message[]> {
      const rows = await database.query<MessageRow>(
        listMessagesSql,
        [id, ask.before?.sentAtMs ?? null, ask.before?.id ?? null, ask.limit],
        "list messages",
      );
      return rows.map((row) => ({
        id: row.mid,
        direction: row.direction,
        text: row.text,
        attachments: row.attachments,
        replyToId: row.reply_to_mid,
        sentAtMs: row.sent_at_ms,
        editNumber: row.edit_number,
        deletedAtMs: row.deleted_at_ms,
        reactions: row.reactions,
      }));
    },

    /** The conversation with everything that its lookups left behind; null: there is none. */
    async getLookupRecord(id: ConversationId): Promise<LookupRecord | null> {
      const [row] = await database.query<LookupRecordRow>(getLookupRecordSql, [id], "read the conversation's lookups");
      return row === undefined ? null : readLookupRecord(row);
    },

    /** The conversations that the known accounts have with somebody of this id, latest first. */
    async listConversationsOfPerson(id: ParticipantId, limit: number): Promise<ConversationId[]> {
      const rows = await database.query<{ id: ConversationId }>(
        listConversationsOfPerson,
        [id, limit],
        "find the person's conversations",
      );
      return rows.map((row) => row.id);
    },

    /** Makes the conversation's person due now. Answers whether the conversation exists. */
    async armLookup(id: ConversationId): Promise<boolean> {
      return (await database.query(armLookup, [id], "ask for a lookup")).length > 0;
    },
  };
}

function readConversation(row: ConversationRow): Conversation {
  return {
    id: row.id,
    accountId: row.account_id,
    participantPlatformId: row.participant_platform_id,
    participantUsername: row.participant_username,
    participantName: row.participant_name,
    participantProfilePic: row.participant_profile_pic,
    lastMessageAtMs: row.last_message_at_ms,
    unreadCount: row.unread_count,
    status: row.status,
    profileStatus: row.profile_status,
    profileReason: row.reason_code,
    profileFetchedAtMs: row.fetched_at_ms,
    pictureExpiresAtMs: row.picture_expires_at_ms,
  };
}
