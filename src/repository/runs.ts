import claimDetachedRun from "../../sql/queries/claim-detached-run.sql" with { type: "text" };
import claimRunSql from "../../sql/queries/claim-run.sql" with { type: "text" };
import closeRunSql from "../../sql/queries/close-run.sql" with { type: "text" };
import countSkippedSql from "../../sql/queries/count-skipped.sql" with { type: "text" };
import finishRunSql from "../../sql/queries/finish-run.sql" with { type: "text" };
import getOpenRunSql from "../../sql/queries/get-open-run.sql" with { type: "text" };
import getRunSql from "../../sql/queries/get-run.sql" with { type: "text" };
import saveRunSql from "../../sql/queries/save-run.sql" with { type: "text" };
import type { ConversationCursor } from "../domain/conversation.ts";
import type { AccountId, ConversationId } from "../domain/ids.ts";
import type { Run, RunHold, RunOptions, RunPhase, RunPlace, RunState } from "../domain/run.ts";
import type { Database } from "./database.ts";

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

type RunRow = {
  id: string;
  number: string;
  account_id: AccountId;
  state: RunState;
  owner: string | null;
  fencing_token: string;
  detached: boolean;
  cancel_requested: boolean;
  options: RunOptions;
  phase: RunPhase;
  cursor: ConversationCursor | null;
  names_cursor: string | null;
  names: Record<string, number>;
  candidates: string | null;
  done: string;
  successful: string;
  errors: string;
  outcomes: Record<string, number>;
  blocked_reason: string | null;
  started_at_ms: number;
  /** A statement that gives the run to its caller does not ask for these. */
  ended_at_ms?: number | null;
  paused_for_ms?: number | null;
  free?: boolean;
};

export type RunsRepository = ReturnType<typeof createRunsRepository>;

/** Backfill runs, a row each. The database decides who owns one, and refuses what anybody else writes. */
export function createRunsRepository(database: Database) {
  return {
    /** Opens a run of the account, or goes on with the open one where it is free and was asked for the same; else null. */
    async claimRun(ask: {
      id: string;
      accountId: AccountId;
      owner: RunOwner;
      options: RunOptions;
      phase: RunPhase;
    }): Promise<Run | null> {
      const { instance, folder, folderFree } = ask.owner;
      const options = JSON.stringify(ask.options);
      const rows = await database.query<RunRow>(
        claimRunSql,
        [ask.id, ask.accountId, instance, options, folder, folderFree, staleAfterMs, ask.phase],
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

const toJson = (cursor: ConversationCursor | null) => (cursor === null ? null : JSON.stringify(cursor));

function readFirst([row]: readonly RunRow[]): Run | null {
  return row === undefined ? null : readRun(row);
}

function readRun(row: RunRow): Run {
  return {
    id: row.id,
    number: row.number,
    accountId: row.account_id,
    state: row.state,
    owner: row.owner,
    fencingToken: row.fencing_token,
    detached: row.detached,
    cancelRequested: row.cancel_requested,
    options: row.options,
    phase: row.phase,
    cursor: row.cursor,
    namesCursor: row.names_cursor,
    names: row.names,
    total: row.candidates === null ? null : Number(row.candidates),
    done: Number(row.done),
    successful: Number(row.successful),
    errors: Number(row.errors),
    outcomes: row.outcomes,
    blockedReason: row.blocked_reason,
    startedAtMs: row.started_at_ms,
    endedAtMs: row.ended_at_ms ?? null,
    pausedForMs: row.paused_for_ms ?? null,
    free: row.free ?? false,
  };
}
