import { aliveWithinMs } from "../usecases/schedules.ts";
import { defineCliCommand } from "./command.ts";
import { exitCodes } from "./io.ts";
import { buildJobJson, jobLineVersion, renderJobs, runsShownMax } from "./jobs-text.ts";
import { renderCount } from "./text-values.ts";
import { withRuntime } from "./with-runtime.ts";

/** `social-sync jobs list` */
export const jobsListCommand = defineCliCommand({
  name: "jobs list",
  summary: "show the backfills, and the lookups that wait",
  args: { json: { type: "boolean", description: "one JSON value a line" } },
  examples: ["social-sync jobs list", "social-sync jobs list --json"],
  notes: ["Shows the latest backfills of all accounts, whichever machine works on them, latest first."],
  onStop: "leave",
  run: ({ json }, io) =>
    withRuntime(io, async ({ runs, accounts, daemons }) => {
      const [listed, known] = [await runs.listRuns(runsShownMax), await accounts.listAccounts()];
      const lookups = await runs.countLookups();
      const alive = await daemons.countAlive(aliveWithinMs);
      if (json) {
        const lines = listed.map((run) => ({ kind: "backfill", ...buildJobJson(run, known) }));
        for (const line of [...lines, { v: jobLineVersion, kind: "lookups", ...lookups, daemons: alive }])
          io.stdout.write(`${JSON.stringify(line)}\n`);
        return exitCodes.done;
      }
      if (listed.length > 0) io.stdout.write(renderJobs(listed, known, io.clock.nowMs()));
      else io.stderr.write("There is no backfill yet. How to start one: social-sync backfill --help\n");
      const { due, later, underWay } = lookups;
      io.stdout.write(
        `Lookups: ${renderCount(due)} due, ${renderCount(underWay)} under way, ${renderCount(later)} later; daemons running: ${renderCount(alive)}\n`,
      );
      return exitCodes.done;
    }),
});
