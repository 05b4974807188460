import eraseConversationsSql from "../../sql/queries/erase-conversations.sql" with { type: "text" };
import eraseEventsSql from "../../sql/queries/erase-events.sql" with { type: "text" };
import eraseMarksSql from "../../sql/queries/erase-marks.sql" with { type: "text" };
import eraseMessagesSql from "../../sql/queries/erase-messages.sql" with { type: "text" };
import eraseQuarantineSql from "../../sql/queries/erase-quarantine.sql" with { type: "text" };
import eraseReactionsSql from "../../sql/queries/erase-reactions.sql" with { type: "text" };
import listAccountIdsSql from "../../sql/queries/list-account-ids.sql" with { type: "text" };
import listErasedSql from "../../sql/queries/list-erased.sql" with { type: "text" };
import listQuarantineSql from "../../sql/queries/list-quarantine.sql" with { type: "text" };
import listWritersSql from "../../sql/queries/list-writers.sql" with { type: "text" };
import makeErasureSalt from "../../sql/queries/make-erasure-salt.sql" with { type: "text" };
import saveErasuresSql from "../../sql/queries/save-erasures.sql" with { type: "text" };
import type { AccountId, ParticipantId } from "../domain/ids.ts";
import type { Database } from "./database.ts";
import { leaseMs } from "./lookups.ts";
import { listMentions } from "./mentions.ts";

/** A batch reads a stretch of a table, or some megabytes, and removes some rows: many times what it needs. */
const eraseDeadlineMs = 10_000;

/** A person who is marked as erased; `until` is the database's text for the moment. */
export type Erased = { readonly participantId: ParticipantId; readonly until: string };
/** The same within one account. */
export type ErasedKey = Erased & { readonly accountId: AccountId };
/** Blocks of a table, and the most rows to remove of them. */
export type Stretch = { readonly from: number; readonly blocks: number; readonly rowsMax: number };

export type ErasuresRepository = ReturnType<typeof createErasuresRepository>;

/** Takes people out of the tables in batches, and marks them so that nothing of before comes back. */
export function createErasuresRepository(database: Database) {
  const one = async <R extends Record<string, unknown>>(
    text: string,
    parameters: (string | number | boolean | null)[],
    nothing: R,
  ): Promise<R> => (await database.query<R>(text, parameters, "erase people", eraseDeadlineMs))[0] ?? nothing;
  const inStretch = ({ from, blocks, rowsMax }: Stretch) => [`(${from},0)`, `(${from + blocks},0)`, rowsMax];

  return {
    /** How long a lookup that is under way may still bring an answer, in ms. */
    lookupLeaseMs: leaseMs,

    /** Marks people as erased from one account or, with null, from all: from the commit on nothing of before is stored. */
    async saveErasures(people: readonly ParticipantId[], accountId: AccountId | null): Promise<Erased[]> {
      await database.query(makeErasureSalt, [], "mark people as erased");
      const rows = await database.query<{ participant_id: ParticipantId; until_at: string }>(
        saveErasuresSql,
        [JSON.stringify([...new Set(people)]), accountId],
        "mark people as erased",
        eraseDeadlineMs,
      );
      return rows.map((row) => ({ participantId: row.participant_id, until: row.until_at }));
    },

    /** Transactions that write just now, by name: they may have begun before the last mark was there. */
    async listWriters(): Promise<ReadonlySet<string>> {
      const rows = await database.query<{ writer: string }>(listWritersSql, [], "see who writes");
      return new Set(rows.map(({ writer }) => writer));
    },

    /** Every account that anything is kept of. */
    async listAccountIds(): Promise<AccountId[]> {
      const rows = await database.query<{ account_id: AccountId }>(listAccountIdsSql, [], "list the accounts");
      return rows.map((row) => row.account_id);
    },

    /** Removes conversations; `left` are being looked up (unless `force`) or were written meanwhile: ask again. */
    eraseConversations: (keys: readonly ErasedKey[], force: boolean) =>
      one<{ removed: number; left: number }>(eraseConversationsSql, [toJson(keys), force], { removed: 0, left: 0 }),

    /** Removes at most `rowsMax` messages and what was reacted to them. */
    eraseMessages: (keys: readonly ErasedKey[], rowsMax: number) =>
      one<{ messages: number; reactions: number }>(eraseMessagesSql, [toJson(keys), rowsMax], {
        messages: 0,
        reactions: 0,
      }),

    /** Removes read receipts and names from comments. */
    eraseMarks: (keys: readonly ErasedKey[]) =>
      one<{ reads: number; names: number }>(eraseMarksSql, [toJson(keys)], { reads: 0, names: 0 }),

    /** Removes raw events of one stretch of the table. */
    eraseEvents: (people: readonly Erased[], accountId: AccountId | null, stretch: Stretch) =>
      one<{ events: number; reactions: number; blocks: number }>(
        eraseEventsSql,
        [toJson(people), accountId, ...inStretch(stretch)],
        { events: 0, reactions: 0, blocks: 0 },
      ),

    /** Removes reactions of one stretch of the table. */
    eraseReactions: (people: readonly Erased[], accountId: AccountId | null, stretch: Stretch) =>
      one<{ reactions: number; blocks: number }>(
        eraseReactionsSql,
        [toJson(people), accountId, ...inStretch(stretch)],
        {
          reactions: 0,
          blocks: 0,
        },
      ),

    /**
     * Removes those of the next `rowsMax` rows of the quarantine after `after` that mention one of `people`. Answers
     * how many went, and the last row that was read: null at the end.
     */
    async eraseQuarantine(
      people: ReadonlySet<string>,
      after: string | null,
      rowsMax: number,
    ): Promise<{ removed: number; last: string | null }> {
      const rows = await database.query<{ id: string; body: string }>(
        listQuarantineSql,
        [after ?? "0", rowsMax],
        "read the quarantine",
        eraseDeadlineMs,
      );
      const mentioning = rows.filter(({ body }) => !listMentions(Buffer.from(body, "base64")).isDisjointFrom(people));
      const { removed } = await one<{ removed: number }>(
        eraseQuarantineSql,
        [JSON.stringify(mentioning.map(({ id }) => id))],
        { removed: 0 },
      );
      return { removed, last: rows.at(-1)?.id ?? null };
    },

    /** Who of `people` was erased within the last `withinMs`. */
    async listErased(people: readonly ParticipantId[], withinMs: number): Promise<ParticipantId[]> {
      const rows = await database.query<{ participant_id: ParticipantId }>(
        listErasedSql,
        [JSON.stringify(people), withinMs],
        "see who was erased",
        eraseDeadlineMs,
      );
      return rows.map((row) => row.participant_id);
    },
  };
}

function toJson(people: readonly (Erased & { readonly accountId?: AccountId })[]): string {
  return JSON.stringify(
    people.map(({ accountId, participantId, until }) => ({
      account_id: accountId,
      participant_id: participantId,
      until,
    })),
  );
}
