import compareConversations from "../../sql/queries/compare-conversations.sql" with { type: "text" };
import correctConversations from "../../sql/queries/correct-conversations.sql" with { type: "text" };
import listConversationIds from "../../sql/queries/list-conversation-ids.sql" with { type: "text" };
import { type AccountId, type ConversationId, conversationIdOf, type ParticipantId } from "../domain/ids.ts";
import type { Database } from "./database.ts";
import { compareRow, type Found } from "./difference.ts";
import type { MessageRow } from "./event-rows.ts";
import { replayDeadlineMs } from "./replay-deadline.ts";

type StoredConversation = {
  readonly last_message_at: number;
  readonly last_inbound_at: number | null;
  readonly unread_count: number;
  readonly self: boolean;
};
export type ConversationCorrection = StoredConversation & {
  readonly id: ConversationId;
  /** What the row said when it was compared; null: it was not there. */
  readonly was: StoredConversation | null;
};
/** A message that counts as if it stood so already. */
export type SupposedMessage = Pick<
  MessageRow,
  "account_id" | "mid" | "conversation_id" | "direction" | "has_content" | "sent_at"
>;

type Answer = {
  id: ConversationId;
  stored: StoredConversation | null;
  derived: { last_message_at: number | null; last_inbound_at: number | null; unread_count: number };
};

/** After every id of `account`: of what an id is made of nothing sorts behind the tilde. */
const lastSign = "~";

/** Compares conversations with their messages, and corrects them. */
export function createReplayConversations(database: Database) {
  return {
    /** One page of the ids of conversations that have messages, in order. */
    async listConversationIds(
      accountId: AccountId | null,
      after: ConversationId | null,
      limit: number,
    ): Promise<ConversationId[]> {
      const prefix = accountId === null ? "" : `${accountId}_`;
      const rows = await database.query<{ id: ConversationId }>(
        listConversationIds,
        [after ?? prefix, prefix + lastSign, limit],
        "list the conversations that have messages",
        replayDeadlineMs,
      );
      return rows.map(({ id }) => id);
    },

    /** Compares; `selves` are those in which the account speaks to itself. One without said messages stays as it is. */
    async compareConversations(
      ids: readonly ConversationId[],
      selves: ReadonlySet<ConversationId>,
      supposed: readonly SupposedMessage[],
    ): Promise<Found<ConversationCorrection>[]> {
      if (ids.length === 0) return [];
      const answers = await database.query<Answer>(
        compareConversations,
        [JSON.stringify(ids), JSON.stringify(supposed)],
        "compare conversations with their messages",
        replayDeadlineMs,
      );
      return answers.flatMap(({ id, stored, derived }) => {
        const { last_message_at } = derived;
        if (last_message_at === null) return [];
        const row = { ...derived, last_message_at, self: selves.has(id) || (stored?.self ?? false) };
        const difference = compareRow("conversations", { id }, columns, { stored, derived: row });
        return difference === null ? [] : [{ difference, correction: { ...row, id, was: stored } }];
      });
    },

    /** Writes corrections, each only where the row still says what it said. Answers those that were written. */
    async saveConversations(corrections: readonly ConversationCorrection[]): Promise<ReadonlySet<ConversationId>> {
      if (corrections.length === 0) return new Set();
      const rows = corrections.map(({ id, ...row }) => {
        const [account_id, participant_id] = id.split("_");
        return { ...row, account_id, participant_id };
      });
      const written = await database.query<{ account_id: AccountId; participant_id: ParticipantId }>(
        correctConversations,
        [JSON.stringify(rows)],
        "correct conversations",
        replayDeadlineMs,
      );
      return new Set(written.map(({ account_id, participant_id }) => conversationIdOf(account_id, participant_id)));
    },
  };
}

const columns = ["last_message_at", "last_inbound_at", "unread_count", "self"];
