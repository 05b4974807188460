import { readConfig } from "../config.ts";
import { openRuntime, type Runtime } from "../runtime.ts";
import { replay } from "../usecases/replay.ts";
import { defineCliCommand } from "./command.ts";
import { findKeptAccount } from "./find-account.ts";
import { exitCodes } from "./io.ts";
import { openCommandLog } from "./log-output.ts";
import { openReplayEvents, openReplayLines } from "./replay-display.ts";
import { readSince } from "./replay-since.ts";

/** `social-sync replay` */
export const replayCommand = defineCliCommand({
  name: "replay",
  summary: "derive messages and conversations again from the stored events",
  args: {
    since: { type: "string", valueHint: "time", description: "events received since: a date, or 90m, 2h, 7d ago" },
    "account-id": { type: "string", valueHint: "id", description: "own id, Instagram id or @username; else all" },
    "dry-run": { type: "boolean", description: "print the differences and write nothing" },
    json: { type: "boolean", description: "every difference as one JSON value a line" },
  },
  examples: ["social-sync replay --dry-run", "social-sync replay --since 7d --account-id shop --json"],
  notes: [
    "Compares messages, reactions, read receipts and conversations with the webhooks they came from, and corrects them. It may run beside the daemon and as often as you like; a row that is written meanwhile is left alone and told. Nothing is removed because its event is too old to be kept.",
    "Of what people wrote only the length is printed. Ctrl-C ends it after the page in hand and exits with 3.",
  ],
  onStop: "finish",
  async run(given, io) {
    const sinceMs = given.since === null ? null : readSince(given.since, io.clock.nowMs());
    const dryRun = given["dry-run"];
    const config = readConfig(io.env, { appSecret: false, isTty: io.stderr.isTty });
    using output = openCommandLog(config, io);
    await using runtime = await openRuntime(config, { clock: io.clock, log: output.log, role: "command" });
    const accountId = given["account-id"] === null ? null : await findReplayed(runtime, given["account-id"]);
    const display = (given.json ? openReplayEvents : openReplayLines)(io, output.log, dryRun);
    const onStop = () => io.stderr.write("Finishing the page in hand… (Ctrl-C again leaves at once)\n");
    io.stopTaking.addEventListener("abort", onStop, { once: true });
    try {
      const report = await replay(
        runtime,
        { accountId, sinceMs, dryRun, retentionDays: config.eventRetentionDays },
        { signal: io.stopTaking, onProgress: display.progress, onDifference: display.difference },
      );
      const exitCode = report.interrupted ? exitCodes.interrupted : exitCodes.done;
      output.flush();
      display.end(report, exitCode);
      return exitCode;
    } finally {
      io.stopTaking.removeEventListener("abort", onStop);
    }
  },
});

const findReplayed = async ({ accounts, replays }: Runtime, text: string) =>
  findKeptAccount(await accounts.listAccounts(), text, (id) => replays.hasEvents(id));
