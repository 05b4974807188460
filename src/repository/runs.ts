import saveRunSql from "../../sql/queries/save-run.sql" with { type: "text" };
import startRunSql from "../../sql/queries/start-run.sql" with { type: "text" };
import type { ConversationCursor } from "../domain/conversation.ts";
import type { AccountId } from "../domain/ids.ts";
import type { Database } from "./database.ts";

export type RunState = "running" | "completed" | "interrupted" | "failed";
export type RunProgress = {
  readonly done: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly cursor: ConversationCursor | null;
};

export type RunsRepository = ReturnType<typeof createRunsRepository>;

/** Backfill runs, a row each. */
export function createRunsRepository(database: Database) {
  return {
    async startRun(run: {
      id: string;
      accountId: AccountId;
      owner: string;
      options: Readonly<Record<string, unknown>>;
      candidates: number;
    }): Promise<void> {
      await database.query(
        startRunSql,
        [run.id, run.accountId, run.owner, JSON.stringify(run.options), run.candidates],
        "open the backfill run",
      );
    },
    async saveRun(id: string, state: RunState, progress: RunProgress): Promise<void> {
      const cursor = progress.cursor === null ? null : JSON.stringify(progress.cursor);
      await database.query(
        saveRunSql,
        [id, state, progress.done, JSON.stringify(progress.outcomes), cursor],
        "save the backfill's progress",
      );
    },
  };
}
