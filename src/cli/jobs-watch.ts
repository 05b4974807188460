import { readConfig } from "../config.ts";
import { hasEnded } from "../domain/run.ts";
import { openRuntime } from "../runtime.ts";
import { printWatching } from "./backfill-events.ts";
import { reportWatched } from "./backfill-report.ts";
import { createLogs, modeOf, watchRun } from "./backfill-screen.ts";
import { defineCliCommand } from "./command.ts";
import { findRun } from "./find-run.ts";
import { exitCodes } from "./io.ts";
import { nameOf } from "./jobs-text.ts";

/** `social-sync jobs watch <id>` */
export const jobsWatchCommand = defineCliCommand({
  name: "jobs watch",
  summary: "follow a backfill to its end, from any machine",
  args: {
    id: { type: "positional", description: "the job's id, as jobs list shows it", required: true },
    "exit-status": { type: "boolean", description: "exit as the backfill ends: 0, 2, 3 or 4" },
    json: { type: "boolean", description: "progress as one JSON value a line" },
  },
  examples: ["social-sync jobs watch 20261122-222331-k7qd --exit-status"],
  notes: ["Ctrl-C ends the watching, not the backfill, and exits with 3."],
  onStop: "finish",
  async run({ id, json, "exit-status": exitStatus }, io) {
    const mode = modeOf(io, json);
    const config = readConfig(io.env, { appSecret: false, isTty: io.stderr.isTty });
    const logs = createLogs(io, config, mode);
    using output = logs.output;
    await using runtime = await openRuntime(config, { clock: io.clock, log: logs.log, role: "command" });
    const run = await findRun(runtime.runs, id);
    const ownId = nameOf(run, await runtime.accounts.listAccounts());
    if (json) printWatching(io, run, ownId);
    const last = await watchRun(io, runtime, { run, accountName: ownId, untilFree: false }, { logs, mode });
    output.flush();
    const exitCode = reportWatched(io, { last, runId: run.id, ownId, asEvents: json });
    return exitStatus || last === null || !hasEnded(last) ? exitCode : exitCodes.done;
  },
});
