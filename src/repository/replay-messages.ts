import correctMessages from "../../sql/queries/correct-messages.sql" with { type: "text" };
import listReplayMessages from "../../sql/queries/list-replay-messages.sql" with { type: "text" };
import type { EventKind, InboundEvent } from "../domain/event.ts";
import type { AccountId, ConversationId } from "../domain/ids.ts";
import type { Database } from "./database.ts";
import { compareRow, type Found } from "./difference.ts";
import { foldMessage, type MessageChange, type MessageRow } from "./event-rows.ts";
import { replayDeadlineMs } from "./replay-deadline.ts";

/** Most edits of one message that are read. Instagram allows five. */
export const editsMax = 100;

/** A stored event with its item. */
export type StoredRow = {
  readonly accountId: AccountId;
  readonly eventKey: string;
  readonly kind: EventKind;
  readonly occurredAtMs: number;
  readonly receivedAtMs: number;
  readonly raw: string;
};
/** Reads a stored item again: the event, or why not. */
export type ReadStored = (row: StoredRow) => InboundEvent | string;

export type MessageKey = { readonly accountId: AccountId; readonly mid: string };
/** Of the events that came in between, a message is compared where its first one stands: once a run. */
export type ReceivedBetween = { readonly sinceMs: number | null; readonly untilMs: number };
export type MessageCorrection = MessageRow & {
  /** The conversation in which the row stands now; null: it is missing. */
  readonly wasIn: string | null;
  readonly version: string | null;
};
export type ComparedMessages = {
  readonly checked: number;
  readonly found: readonly Found<MessageCorrection>[];
  /** Conversations in which the account speaks to itself. */
  readonly selves: readonly ConversationId[];
  /** Events that could not be read again, by reason. */
  readonly unreadable: readonly string[];
};

type StoredMessage = MessageRow & { readonly version: string };
type Group = {
  account_id: AccountId;
  mid: string;
  first_key: string | null;
  stored: StoredMessage | null;
  events: { event_key: string; kind: EventKind; raw: string; occurred_at_ms: number; received_at_ms: number }[] | null;
};

const columns = [
  "conversation_id",
  "direction",
  "has_content",
  "text",
  "attachments",
  "reply_to_mid",
  "unsupported",
  "sent_at",
  "edit_number",
  "deleted_at",
] as const;

/** Compares messages with the events they come from, and corrects them. */
export function createReplayMessages(database: Database) {
  return {
    /**
     * Folds every stored event of each message by the rules of `saveEvents()` and compares. Only messages whose first
     * event of `between` is in `page` ("account key" of each of its events). What was received before
     * `completeSinceMs` may have lost events to retention: there what only the stored row knows stays.
     */
    async compareMessages(
      keys: readonly MessageKey[],
      page: ReadonlySet<string>,
      { between, completeSinceMs, read }: { between: ReceivedBetween; completeSinceMs: number; read: ReadStored },
    ): Promise<ComparedMessages> {
      if (keys.length === 0) return { checked: 0, found: [], selves: [], unreadable: [] };
      const groups = await database.query<Group>(
        listReplayMessages,
        [
          JSON.stringify(keys.map(({ accountId, mid }) => ({ account_id: accountId, mid }))),
          editsMax,
          between.sinceMs,
          between.untilMs,
        ],
        "read the stored messages again",
        replayDeadlineMs,
      );
      const here = groups.filter(({ account_id, first_key }) => page.has(`${account_id} ${first_key}`));
      const compared = here.map((group) => compareGroup(group, completeSinceMs, read));
      return {
        checked: here.length,
        found: compared.flatMap(({ found }) => found ?? []),
        selves: compared.flatMap(({ self }) => self ?? []),
        unreadable: compared.flatMap(({ unreadable }) => unreadable),
      };
    },

    /** Writes corrections, each only where nobody has written the row since. Answers the keys that were written. */
    async saveMessages(corrections: readonly MessageCorrection[]): Promise<MessageKey[]> {
      if (corrections.length === 0) return [];
      const rows = await database.query<{ account_id: AccountId; mid: string }>(
        correctMessages,
        [JSON.stringify(corrections)],
        "correct messages",
        replayDeadlineMs,
      );
      return rows.map(({ account_id, mid }) => ({ accountId: account_id, mid }));
    },
  };
}

function compareGroup({ account_id, mid, stored, events }: Group, completeSinceMs: number, read: ReadStored) {
  const outcomes = (events ?? []).map((row) =>
    read({
      accountId: account_id,
      eventKey: row.event_key,
      kind: row.kind,
      occurredAtMs: row.occurred_at_ms,
      receivedAtMs: row.received_at_ms,
      raw: row.raw,
    }),
  );
  const unreadable = outcomes.filter((outcome) => typeof outcome === "string");
  const changes = outcomes.filter(isChange);
  const [first] = changes;
  if (first === undefined) return { found: null, self: null, unreadable };
  const told = foldMessage(changes);
  const firstReceivedMs = Math.min(...(events ?? []).map((row) => row.received_at_ms));
  const complete = unreadable.length === 0 && told.has_content && firstReceivedMs >= completeSinceMs;
  const derived = stored === null || complete ? told : keepUntold(stored, told);
  const difference = compareRow("messages", { account_id, mid }, columns, { stored, derived });
  const isSelf = changes.some((event) => "self" in event && event.self);
  return {
    found:
      difference === null
        ? null
        : {
            difference,
            correction: { ...derived, wasIn: stored?.conversation_id ?? null, version: stored?.version ?? null },
          },
    self: isSelf ? (derived.conversation_id as ConversationId) : null, // foldMessage() made it with conversationIdOf()
    unreadable,
  };
}

const isChange = (outcome: InboundEvent | string): outcome is MessageChange =>
  typeof outcome !== "string" && ["message", "postback", "deletion", "edit"].includes(outcome.kind);

/** What the events tell, and where one of them may be gone, what the stored row still knows of it. */
function keepUntold(stored: MessageRow, told: MessageRow): MessageRow {
  const content = stored.has_content && !told.has_content ? stored : told;
  const tellsText = told.has_content || told.edit_number > 0;
  const worded = tellsText && told.edit_number >= stored.edit_number ? told : stored;
  const deletedAt = told.deleted_at ?? stored.deleted_at;
  return {
    ...content,
    text: deletedAt === null ? worded.text : null,
    attachments: deletedAt === null ? content.attachments : null,
    sent_at: content.has_content ? content.sent_at : Math.min(stored.sent_at, told.sent_at),
    edit_number: Math.max(stored.edit_number, told.edit_number),
    deleted_at: deletedAt,
  };
}
