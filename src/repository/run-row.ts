import type { ConversationCursor } from "../domain/conversation.ts";
import type { AccountId } from "../domain/ids.ts";
import type { NamesTotals, Run, RunOptions, RunPhase, RunState } from "../domain/run.ts";

/** A row of `backfill_runs` as the statements answer it. Counts are bigint, which the driver hands over as text. */
export type RunRow = {
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
  names: NamesTotals;
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

/** The run of the only row; null: there is none. */
export function readFirst([row]: readonly RunRow[]): Run | null {
  return row === undefined ? null : readRun(row);
}

export function readRun(row: RunRow): Run {
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
