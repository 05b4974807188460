import { defineCliCommand } from "./command.ts";
import { findRun } from "./find-run.ts";
import { exitCodes } from "./io.ts";
import { buildJobJson } from "./jobs-text.ts";
import { withRuntime } from "./with-runtime.ts";

/** `social-sync jobs cancel <id>` */
export const jobsCancelCommand = defineCliCommand({
  name: "jobs cancel",
  summary: "end a backfill after what it has in hand, from any machine",
  args: {
    id: { type: "positional", description: "the job's id, as jobs list shows it", required: true },
    json: { type: "boolean", description: "the job as one JSON value" },
  },
  examples: ["social-sync jobs cancel 20261122-222331-k7qd"],
  notes: ["Whom it has looked up stays looked up; jobs retry goes on where it stood."],
  onStop: "leave",
  run: ({ id, json }, io) =>
    withRuntime(io, async ({ runs, accounts }) => {
      const run = await findRun(runs, id);
      const state = await runs.cancelRun(run.id);
      if (json) {
        const now = await findRun(runs, run.id);
        io.stdout.write(`${JSON.stringify(buildJobJson(now, await accounts.listAccounts()))}\n`);
      }
      if (state === null) io.stderr.write(`Nothing to do: job ${run.id} has ended already (${run.state}).\n`);
      else if (state === "cancelled") io.stderr.write(`Cancelled job ${run.id}.\n`);
      else io.stderr.write(`Job ${run.id} ends after what ${run.owner ?? "its owner"} has in hand.\n`);
      return exitCodes.done;
    }),
});
