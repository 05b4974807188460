import getTime from "../../sql/queries/get-time.sql" with { type: "text" };
import hasEventsSql from "../../sql/queries/has-events.sql" with { type: "text" };
import listReplayEvents from "../../sql/queries/list-replay-events.sql" with { type: "text" };
import removeExpiredEvents from "../../sql/queries/remove-expired-events.sql" with { type: "text" };
import removeExpiredQuarantine from "../../sql/queries/remove-expired-quarantine.sql" with { type: "text" };
import type { EventKind } from "../domain/event.ts";
import type { AccountId, ParticipantId } from "../domain/ids.ts";
import type { Database } from "./database.ts";
import { createReplayConversations } from "./replay-conversations.ts";
import { replayDeadlineMs } from "./replay-deadline.ts";
import { createReplayMarks } from "./replay-marks.ts";
import { createReplayMessages, type ReceivedBetween } from "./replay-messages.ts";

/** A batch of retention reads a stretch of the table and removes some rows of it: many times what it needs. */
const removeDeadlineMs = 10_000;

/** A stored event; its item only where it is read alone. */
export type ListedEvent = {
  readonly accountId: AccountId;
  readonly eventKey: string;
  readonly kind: EventKind;
  readonly participantId: ParticipantId | null;
  readonly mid: string | null;
  readonly occurredAtMs: number;
  readonly receivedAtMs: number;
  readonly raw: string | null;
};

type ListedRow = {
  account_id: AccountId;
  event_key: string;
  kind: EventKind;
  participant_id: ParticipantId | null;
  mid: string | null;
  occurred_at_ms: number;
  received_at_ms: number;
  raw: string | null;
};

export type ReplayRepository = ReturnType<typeof createReplayRepository>;

/** The stored events: reading them again, comparing what comes of them with the tables, and removing them when old. */
export function createReplayRepository(database: Database) {
  return {
    ...createReplayMessages(database),
    ...createReplayMarks(database),
    ...createReplayConversations(database),

    /** The database's time, which `received_at` is of. */
    async getTimeMs(): Promise<number> {
      const [row] = await database.query<{ now_ms: number }>(getTime, [], "ask the database for the time");
      return row?.now_ms ?? 0;
    },

    /** Whether anything was ever kept of an account, added or not. */
    async hasEvents(accountId: AccountId): Promise<boolean> {
      const [row] = await database.query<{ found: boolean }>(
        hasEventsSql,
        [accountId],
        "look for the account's events",
      );
      return row?.found ?? false;
    },

    /** One page of events in key order; `accountId` null: of every account. */
    async listEvents(
      { accountId, sinceMs, untilMs }: ReceivedBetween & { accountId: AccountId | null },
      after: Pick<ListedEvent, "accountId" | "eventKey"> | null,
      limit: number,
    ): Promise<ListedEvent[]> {
      const rows = await database.query<ListedRow>(
        listReplayEvents,
        [accountId, sinceMs, untilMs, after?.accountId ?? accountId ?? "", after?.eventKey ?? "", limit],
        "read the stored events",
        replayDeadlineMs,
      );
      return rows.map((row) => ({
        accountId: row.account_id,
        eventKey: row.event_key,
        kind: row.kind,
        participantId: row.participant_id,
        mid: row.mid,
        occurredAtMs: row.occurred_at_ms,
        receivedAtMs: row.received_at_ms,
        raw: row.raw,
      }));
    },

    /**
     * Removes at most `rows` events older than `days` from one stretch of the table, from block `from` for `blocks`
     * blocks. Answers how many went, and how many blocks the table has.
     */
    async removeExpired(
      days: number,
      stretch: { from: number; blocks: number },
      rows: number,
    ): Promise<{ removed: number; blocks: number }> {
      const [row] = await database.query<{ removed: number; blocks: number }>(
        removeExpiredEvents,
        [days, `(${stretch.from},0)`, `(${stretch.from + stretch.blocks},0)`, rows],
        "remove old events",
        removeDeadlineMs,
      );
      return row ?? { removed: 0, blocks: 0 };
    },

    /** Removes those of the first `rows` rows of the quarantine that are older than `days`. Answers how many. */
    async removeExpiredQuarantine(days: number, rows: number): Promise<number> {
      const [row] = await database.query<{ removed: number }>(
        removeExpiredQuarantine,
        [days, rows],
        "remove old rows of the quarantine",
        removeDeadlineMs,
      );
      return row?.removed ?? 0;
    },
  };
}
