import { SyncError } from "../domain/error.ts";
import type { Run } from "../domain/run.ts";
import type { RunsRepository } from "../repository/runs.ts";
import { nearest } from "./edit-distance.ts";
import { runsShownMax } from "./jobs-text.ts";
import { showWord } from "./strict-arguments.ts";

/** The backfill run of this id. Throws `run_unknown` with the nearest ones. */
export async function findRun(runs: Pick<RunsRepository, "getRun" | "listRuns">, text: string): Promise<Run> {
  const id = text.trim();
  const run = await runs.getRun(id);
  if (run !== null) return run;
  const ids = (await runs.listRuns(runsShownMax)).map((one) => one.id);
  const close = nearest(id, ids);
  const hint =
    ids.length === 0
      ? "there is none yet"
      : close.length > 0
        ? `did you mean ${close.join(" or ")}?`
        : "see social-sync jobs list";
  throw new SyncError("run_unknown", `Cannot find the job '${showWord(id)}': ${hint}`);
}
