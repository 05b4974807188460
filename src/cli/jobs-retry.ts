import { SyncError } from "../domain/error.ts";
import type { Run } from "../domain/run.ts";
import type { Runtime } from "../runtime.ts";
import { enqueueRun } from "../usecases/open-run.ts";
import { aliveWithinMs } from "../usecases/schedules.ts";
import { defineCliCommand } from "./command.ts";
import { findRun } from "./find-run.ts";
import { exitCodes, type Io } from "./io.ts";
import { buildJobJson } from "./jobs-text.ts";
import { createRunId } from "./run-id.ts";
import { withRuntime } from "./with-runtime.ts";

/** `social-sync jobs retry <id>` */
export const jobsRetryCommand = defineCliCommand({
  name: "jobs retry",
  summary: "give a backfill to the daemons once more",
  args: {
    id: { type: "positional", description: "the job's id, as jobs list shows it", required: true },
    json: { type: "boolean", description: "the job as one JSON value" },
  },
  examples: ["social-sync jobs retry 20261122-222331-k7qd"],
  notes: [
    "A job that was cancelled or interrupted goes on where it stood. One that came to its end, or that Instagram refused, is asked for anew: the job's id that is printed is another one.",
  ],
  onStop: "leave",
  run: ({ id, json }, io) =>
    withRuntime(io, async (runtime) => {
      const jobId = await retry(io, runtime, await findRun(runtime.runs, id));
      const job = await findRun(runtime.runs, jobId);
      const line = json ? JSON.stringify(buildJobJson(job, await runtime.accounts.listAccounts())) : jobId;
      io.stdout.write(`${line}\n`);
      if ((await runtime.daemons.countAlive(aliveWithinMs)) === 0)
        io.stderr.write("No daemon is running: the job waits until one is started (social-sync serve).\n");
      return exitCodes.done;
    }),
});

/** Answers the id of the job that is queued now. Throws `usage_invalid` where another run of the account is open. */
async function retry(io: Io, { runs, sit }: Runtime, run: Run): Promise<string> {
  if (run.state === "queued") return run.id;
  if (await runs.requeueRun(run.id)) return run.id;
  const open = await runs.getOpenRun(run.accountId, { folder: null, folderFree: false });
  if (open !== null && (!open.free || open.id !== run.id))
    throw new SyncError("usage_invalid", `Cannot retry ${run.id}: run ${open.id} of the same account is ${open.state}`);
  const { accountId, options } = run;
  const ask = { id: createRunId(io.clock.nowMs(), io.clock.random), accountId, options };
  return (await enqueueRun(runs, sit(io.instance), ask, () => {})).run.id;
}
