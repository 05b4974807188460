import countCandidatesSql from "../../sql/queries/count-candidates.sql" with { type: "text" };
import listMissingProfiles from "../../sql/queries/list-missing-profiles.sql" with { type: "text" };
import listPeople from "../../sql/queries/list-people.sql" with { type: "text" };
import type { ConversationCursor } from "../domain/conversation.ts";
import type { AccountId, ConversationId } from "../domain/ids.ts";
import type { Run, RunOptions } from "../domain/run.ts";
import type { Database } from "./database.ts";

/** Whom a run looks up; without those whom the run of this number has finished with (null: a run to come). */
export type CandidatesAsk = Pick<RunOptions, "scope" | "sinceMs"> & { readonly runNumber: Run["number"] | null };

export type Candidate = { readonly id: ConversationId; readonly lastMessageAtMs: number };

export type CandidatesRepository = ReturnType<typeof createCandidatesRepository>;

/** The people whom a backfill of an account is about. */
export function createCandidatesRepository(database: Database) {
  return {
    /** One page of them, latest conversation first. */
    async listCandidates(
      accountId: AccountId,
      { scope, sinceMs, runNumber }: CandidatesAsk,
      before: ConversationCursor | null,
      limit: number,
    ): Promise<Candidate[]> {
      const values = [accountId, before?.lastMessageAtMs ?? null, before?.id ?? null, limit, runNumber, sinceMs];
      type Row = { ids: ConversationId[] | null; times_ms: number[] };
      const action = "list conversations without a profile";
      const [page] = await (scope === "missing"
        ? database.query<Row>(listMissingProfiles, values, action)
        : database.query<Row>(listPeople, [...values, scope === "everybody"], action));
      return (page?.ids ?? []).map((id, at) => ({ id, lastMessageAtMs: page?.times_ms[at] ?? 0 }));
    },

    /** How many there are, by what is known of them: a reason, else a status. Most frequent first. */
    async countCandidates(accountId: AccountId, { scope, sinceMs, runNumber }: CandidatesAsk) {
      const rows = await database.query<{ reason: string; people: number }>(
        countCandidatesSql,
        [accountId, scope, runNumber, sinceMs],
        "count conversations without a profile",
        countDeadlineMs,
      );
      const byReason = Object.fromEntries(rows.map(({ reason, people }) => [reason, people]));
      return { total: rows.reduce((sum, { people }) => sum + people, 0), byReason };
    },
  };
}

/** A count walks the account's whole list of candidates. */
const countDeadlineMs = 30_000;
