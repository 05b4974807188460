import compareReactions from "../../sql/queries/compare-reactions.sql" with { type: "text" };
import compareReadReceipts from "../../sql/queries/compare-read-receipts.sql" with { type: "text" };
import correctReactions from "../../sql/queries/correct-reactions.sql" with { type: "text" };
import correctReadReceipts from "../../sql/queries/correct-read-receipts.sql" with { type: "text" };
import type { ReactionEvent, ReadEvent } from "../domain/event.ts";
import type { Database } from "./database.ts";
import { compareRow, type Found, type ShownValues } from "./difference.ts";
import { buildEventRows, isLaterReaction, isLaterRead } from "./event-rows.ts";
import { replayDeadlineMs } from "./replay-deadline.ts";

/** A reaction to a message, or how far somebody has read. */
export type Mark = ReactionEvent | ReadEvent;
type EventRows = ReturnType<typeof buildEventRows>;
export type ReactionCorrection = EventRows["reactions"][number];
export type ReadCorrection = EventRows["reads"][number];

type ReactionAnswer = { account_id: string; mid: string; sender_id: string; stored: ShownValues | null };
type ReadAnswer = { account_id: string; participant_id: string; stored: ShownValues | null };

/** Compares reactions and read receipts with the latest event of each, and files those that are later. */
export function createReplayMarks(database: Database) {
  return {
    keepLatestMarks,

    async compareReactions(marks: readonly Mark[]): Promise<Found<ReactionCorrection>[]> {
      const { reactions } = buildEventRows(marks);
      if (reactions.length === 0) return [];
      const answers = await ask<ReactionAnswer>(compareReactions, reactions, "read the stored reactions");
      const byKey = new Map(reactions.map((row) => [reactionKey(row), row]));
      return answers.flatMap(({ stored, ...key }) => {
        const correction = byKey.get(reactionKey(key));
        if (correction === undefined) return [];
        const values = { stored, derived: correction };
        const difference = compareRow("reactions", key, ["reaction", "emoji", "reacted_at"], values);
        return difference === null ? [] : [{ difference, correction }];
      });
    },

    /** Answers the keys that were written: elsewhere a later one has come meanwhile. */
    async saveReactions(rows: readonly ReactionCorrection[]): Promise<ReadonlySet<string>> {
      if (rows.length === 0) return new Set();
      const written = await ask<ReactionAnswer>(correctReactions, rows, "correct reactions");
      return new Set(written.map(reactionKey));
    },

    async compareReads(marks: readonly Mark[]): Promise<Found<ReadCorrection>[]> {
      const { reads } = buildEventRows(marks);
      if (reads.length === 0) return [];
      const answers = await ask<ReadAnswer>(compareReadReceipts, reads, "read the stored read receipts");
      const byKey = new Map(reads.map((row) => [readKey(row), row]));
      return answers.flatMap(({ stored, ...key }) => {
        const correction = byKey.get(readKey(key));
        if (correction === undefined) return [];
        const values = { stored, derived: correction };
        const difference = compareRow("read_receipts", key, ["mid", "read_at"], values);
        return difference === null ? [] : [{ difference, correction }];
      });
    },

    /** Answers the keys that were written: elsewhere a later one has come meanwhile. */
    async saveReads(rows: readonly ReadCorrection[]): Promise<ReadonlySet<string>> {
      if (rows.length === 0) return new Set();
      const written = await ask<ReadAnswer>(correctReadReceipts, rows, "correct read receipts");
      return new Set(written.map(readKey));
    },

    reactionKey,
    readKey,
  };

  function ask<R extends Record<string, unknown>>(sql: string, rows: readonly unknown[], action: string): Promise<R[]> {
    return database.query<R>(sql, [JSON.stringify(rows)], action, replayDeadlineMs);
  }
}

const reactionKey = (row: { account_id: string; mid: string; sender_id: string }) =>
  `${row.account_id} ${row.mid} ${row.sender_id}`;
const readKey = (row: { account_id: string; participant_id: string }) => `${row.account_id} ${row.participant_id}`;

/** Of the events about one row the latest, by the rules of `saveEvents()`. Pure. */
export function keepLatestMarks(marks: readonly Mark[]): Mark[] {
  const latest = new Map<string, Mark>();
  for (const mark of marks) {
    const who = mark.kind === "reaction" ? `${mark.mid} ${mark.senderId}` : mark.participantId;
    const at = `${mark.kind} ${mark.accountId} ${who}`;
    const before = latest.get(at);
    if (before === undefined || isLater(mark, before)) latest.set(at, mark);
  }
  return [...latest.values()];
}

function isLater(a: Mark, b: Mark): boolean {
  if (a.kind === "reaction") return b.kind === "reaction" && isLaterReaction(a, b);
  return b.kind === "read" && isLaterRead(a, b);
}
