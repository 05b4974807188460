import cancelRunSql from "../../sql/queries/cancel-run.sql" with { type: "text" };
import claimDetachedRun from "../../sql/queries/claim-detached-run.sql" with { type: "text" };
import claimRunSql from "../../sql/queries/claim-run.sql" with { type: "text" };
import closeRunSql from "../../sql/queries/close-run.sql" with { type: "text" };
import countLookupsSql from "../../sql/queries/count-lookups.sql" with { type: "text" };
import countSkippedSql from "../../sql/queries/count-skipped.sql" with { type: "text" };
import enqueueRunSql from "../../sql/queries/enqueue-run.sql" with { type: "text" };
import finishRunSql from "../../sql/queries/finish-run.sql" with { type: "text" };
import getOpenRunSql from "../../sql/queries/get-open-run.sql" with { type: "text" };
import getRunSql from "../../sql/queries/get-run.sql" with { type: "text" };
import listRunsSql from "../../sql/queries/list-runs.sql" with { type: "text" };
import requeueRunSql from "../../sql/queries/requeue-run.sql" with { type: "text" };
import saveRunSql from "../../sql/queries/save-run.sql" with { type: "text" };
import type { ConversationCursor } from "../domain/conversation.ts";
import type { AccountId, ConversationId } from "../domain/ids.ts";
import { firstPhase, type Run, type RunHold, type RunOptions, type RunPlace, type RunState } from "../domain/run.ts";
import type { Database } from "./database.ts";
import { type RunRow, readFirst, readRun } from "./run-row.ts";

/** An owner that has been silent for longer than this is taken for dead (spec §6). It says that it lives every 2 s. */
export const staleAfterMs = 60_000;

/** Who wants to own a run. */
export type RunOwner = {
  /** `host:pid`, for people. */
  readonly instance: string;
  /** The data folder; null: none is known. */
  readonly folder: string | null;
  /** No other process of that folder works for the account: whoever owned its run from there is dead. */
  readonly folderFree: boolean;
};

/** A run that is to be. */
export type RunAsk = {
  readonly id: string;
  readonly accountId: AccountId;
  readonly owner: RunOwner;
  readonly options: RunOptions;
};

export type RunsRepository = ReturnType<typeof createRunsRepository>;

/** Backfill runs, a row each. The database decides who owns one, and refuses what anybody else writes. */
export function createRunsRepository(database: Database) {
  return {
    /** Gives a run of the account to the daemons, a new one or the open one as `claimRun()` would take it; else null. */
    async enqueueRun({ id, accountId, owner, options }: RunAsk): Promise<Run | null> {
      const { folder, folderFree } = owner;
      const values = [id, accountId, JSON.stringify(options), folder, folderFree, staleAfterMs, firstPhase(options)];
      return readFirst(await database.query<RunRow>(enqueueRunSql, values, "queue the backfill run"));
    },

    /** Opens a run of the account, or goes on with the open one where it is free and was asked for the same; else null. */
    async claimRun({ id, accountId, owner, options }: RunAsk): Promise<Run | null> {
      const { instance, folder, folderFree } = owner;
      const asked = JSON.stringify(options);
      const rows = await database.query<RunRow>(
        claimRunSql,
        [id, accountId, instance, asked, folder, folderFree, staleAfterMs, firstPhase(options)],
        "open the backfill run",
      );
      return readFirst(rows);
    },

    /** Takes a run that was given to the daemons and is free; null: there is none. */
    async claimDetachedRun({ instance, folder }: Pick<RunOwner, "instance" | "folder">): Promise<Run | null> {
      const values = [instance, folder, staleAfterMs];
      return readFirst(await database.query<RunRow>(claimDetachedRun, values, "take up a backfill run"));
    },

    async getOpenRun(accountId: AccountId, { folder, folderFree }: Omit<RunOwner, "instance">): Promise<Run | null> {
      const values = [accountId, folder, folderFree, staleAfterMs];
      return readFirst(await database.query<RunRow>(getOpenRunSql, values, "read the account's backfill run"));
    },

    async getRun(id: string): Promise<Run | null> {
      return readFirst(await database.query<RunRow>(getRunSql, [id, staleAfterMs], "read the backfill run"));
    },

    /** The latest runs of all accounts, at most `limit`. */
    async listRuns(limit: number): Promise<Run[]> {
      return (await database.query<RunRow>(listRunsSql, [limit, staleAfterMs], "list the backfill runs")).map(readRun);
    },

    /** Ends the run, or tells its owner to. Answers the state it is in then; null: it has ended already. */
    async cancelRun(id: string): Promise<RunState | null> {
      const values = [id, staleAfterMs];
      const [row] = await database.query<{ state: RunState }>(cancelRunSql, values, "cancel the backfill run");
      return row?.state ?? null;
    },

    /** Gives a cancelled or interrupted run to the daemons. False: it is none, or another run of its account is open. */
    async requeueRun(id: string): Promise<boolean> {
      return (await database.query(requeueRunSql, [id], "queue the backfill run again")).length > 0;
    },

    /** The lookups that the daemons have before them. */
    async countLookups(): Promise<{ due: number; later: number; underWay: number }> {
      type Row = { due: number; later: number; under_way: number };
      const [row] = await database.query<Row>(countLookupsSql, [], "count the lookups", countDeadlineMs);
      return { due: row?.due ?? 0, later: row?.later ?? 0, underWay: row?.under_way ?? 0 };
    },

    /** Gives up a run that nobody works on. False where somebody has taken it up meanwhile. */
    async closeRun({ id, fencingToken }: RunHold): Promise<boolean> {
      return (await database.query(closeRunSql, [id, fencingToken], "give up the backfill run")).length > 0;
    },

    /** Says that the owner lives and where the run stands. Null: the run is somebody else's by now. */
    async saveRun({ id, fencingToken }: RunHold, place: RunPlace): Promise<{ cancelRequested: boolean } | null> {
      const { phase, namesCursor, total, pausedForMs } = place;
      const [row] = await database.query<{ cancel_requested: boolean }>(
        saveRunSql,
        [id, fencingToken, toJson(place.cursor), total, pausedForMs, phase, namesCursor, JSON.stringify(place.names)],
        "save the backfill's progress",
      );
      return row === undefined ? null : { cancelRequested: row.cancel_requested };
    },

    /** Counts people whom the run passes over. Answers those who were counted. */
    async countSkipped(
      { id, fencingToken }: RunHold,
      people: readonly { readonly id: ConversationId; readonly why: string }[],
    ): Promise<ConversationId[]> {
      if (people.length === 0) return [];
      const values = [id, fencingToken, JSON.stringify(people)];
      const rows = await database.query<{ id: ConversationId }>(
        countSkippedSql,
        values,
        "count whom the run passed over",
      );
      return rows.map((row) => row.id);
    },

    /** Ends the run, or leaves it to who goes on with it. Null: it is somebody else's by now. */
    async finishRun(
      { id, fencingToken }: RunHold,
      end: { state: RunState; cursor: ConversationCursor | null; total: number; blockedReason: string | null },
    ): Promise<Run | null> {
      const values = [id, fencingToken, end.state, toJson(end.cursor), end.total, end.blockedReason];
      return readFirst(await database.query<RunRow>(finishRunSql, values, "end the backfill run"));
    },
  };
}

/** A count walks the index of whoever is still to be asked. */
const countDeadlineMs = 30_000;

const toJson = (cursor: ConversationCursor | null) => (cursor === null ? null : JSON.stringify(cursor));
