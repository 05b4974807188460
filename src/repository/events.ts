import { createHash } from "node:crypto";
import saveEventsSql from "../../sql/queries/save-events.sql" with { type: "text" };
import saveQuarantineSql from "../../sql/queries/save-quarantine.sql" with { type: "text" };
import type { InboundEvent, Quarantined } from "../domain/event.ts";
import { type AccountId, type ConversationId, conversationIdOf, type ParticipantId } from "../domain/ids.ts";
import type { Database } from "./database.ts";
import { buildEventRows } from "./event-rows.ts";
import { listMentions } from "./mentions.ts";

export type SavedEvents = {
  /** Events that were not there before. */
  readonly inserted: number;
  /** Account and key of each event that was there already. */
  readonly known: readonly (readonly [AccountId, string])[];
  /** Conversations whose person wants a lookup now. */
  readonly wanted: readonly ConversationId[];
};

export type EventsRepository = ReturnType<typeof createEventsRepository>;

/** Files what webhooks brought. A message of somebody whose profile is older than `profileMaxAgeMs` wants a lookup. */
export function createEventsRepository(database: Database, profileMaxAgeMs: number) {
  return {
    /**
     * Files many posts' events in one statement, so in one commit. Idempotent, in any order.
     * Throws `storage_unavailable`, or `statement_refused` where a row itself is at fault.
     */
    async saveEvents(events: readonly InboundEvent[], deadlineMs: number): Promise<SavedEvents> {
      const rows = buildEventRows(events);
      const [saved] = await database.queryForWebhooks<{
        inserted: number;
        known: [AccountId, string][];
        wanted: [AccountId, ParticipantId][];
      }>(
        saveEventsSql,
        [
          ...rows.columns,
          ...[rows.messages, rows.reactions, rows.reads, rows.names].map((list) => JSON.stringify(list)),
          profileMaxAgeMs,
        ],
        "store the messages",
        deadlineMs,
      );
      return {
        inserted: saved?.inserted ?? 0,
        known: saved?.known ?? [],
        wanted: (saved?.wanted ?? []).map(([account, participant]) => conversationIdOf(account, participant)),
      };
    },

    /** Keeps bodies and items that could not be read; none that mentions somebody who was erased. */
    async saveQuarantine(items: readonly Quarantined[], deadlineMs: number): Promise<void> {
      const rows = items.map(({ reason, raw }) => ({
        reason,
        body_hash: createHash("sha256").update(raw).digest("hex"),
        body: Buffer.from(raw).toString("base64"),
        mentions: [...listMentions(raw)],
      }));
      await database.query(saveQuarantineSql, [JSON.stringify(rows)], "keep an unreadable webhook", deadlineMs);
    },
  };
}
