import { createHash } from "node:crypto";
import saveEventsSql from "../../sql/queries/save-events.sql" with { type: "text" };
import saveQuarantineSql from "../../sql/queries/save-quarantine.sql" with { type: "text" };
import type { InboundEvent, Quarantined } from "../domain/event.ts";
import { type AccountId, type ConversationId, conversationIdOf, type ParticipantId } from "../domain/ids.ts";
import type { Lookup } from "../domain/profile.ts";
import type { AccessReading, AccessRow } from "./accounts.ts";
import type { Database } from "./database.ts";
import { buildEventRows } from "./event-rows.ts";
import { leaseMs } from "./lookups.ts";
import { listMentions } from "./mentions.ts";

export type SavedEvents = {
  /** Events that were not there before. */
  readonly inserted: number;
  /** Account and key of each event that was there already. */
  readonly known: readonly (readonly [AccountId, string])[];
  /** Conversations whose person wants a lookup now and is held by nobody. */
  readonly wanted: readonly ConversationId[];
  /** People who were met for the first time and leased to this process; null: nobody was. */
  readonly leased: Leased | null;
};

/** Lookups that are held already, with what their accounts are, as read in the same statement. */
export type Leased = {
  readonly lookups: readonly Lookup[];
  readonly readAccess: (id: AccountId) => AccessReading;
};

type SavedRow = {
  inserted: number;
  known: [AccountId, string][];
  wanted: [AccountId, ParticipantId][];
  leased: [AccountId, ParticipantId, token: string, seenInboundAt: string, username: string | null][] | null;
  access: (AccessRow | null)[] | null;
};

export type EventsRepository = ReturnType<typeof createEventsRepository>;

/**
 * Files what webhooks brought. A message of somebody whose profile is older than `profileMaxAgeMs` wants a lookup. `owner`:
 * as of the lookups' repository; null leases nobody.
 */
export function createEventsRepository(database: Database, profileMaxAgeMs: number, owner: string | null) {
  return {
    /**
     * Files many posts' events in one statement, so in one commit. Idempotent, in any order. `lease`: people who are met
     * for the first time are leased to this process by the same commit, so that it can ask for them without a claim.
     * Throws `storage_unavailable`, or `statement_refused` where a row itself is at fault.
     */
    async saveEvents(events: readonly InboundEvent[], deadlineMs: number, lease = false): Promise<SavedEvents> {
      const rows = buildEventRows(events);
      const [saved] = await database.queryForWebhooks<SavedRow>(
        saveEventsSql,
        [
          ...rows.columns,
          ...[rows.messages, rows.reactions, rows.reads, rows.names].map((list) => JSON.stringify(list)),
          profileMaxAgeMs,
          lease ? owner : null,
          leaseMs,
        ],
        "store the messages",
        deadlineMs,
      );
      return {
        inserted: saved?.inserted ?? 0,
        known: saved?.known ?? [],
        wanted: (saved?.wanted ?? []).map(([account, participant]) => conversationIdOf(account, participant)),
        leased: saved?.leased ? readLeased(saved.leased, saved.access ?? []) : null,
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

function readLeased(people: NonNullable<SavedRow["leased"]>, accounts: NonNullable<SavedRow["access"]>): Leased {
  const lookups = people.map(([accountId, participantId, leaseToken, seenInboundAt, username]): Lookup => {
    const conversationId = conversationIdOf(accountId, participantId);
    return { conversationId, accountId, participantId, leaseToken, seenInboundAt, username, stored: null, attempts: 0 };
  });
  const readAccess = (id: AccountId): AccessReading => ({
    reading: Promise.resolve(accounts.flatMap((row) => (row?.id === id ? [row] : []))),
  });
  return { lookups, readAccess };
}
