import { readConfig } from "../config.ts";
import type { Account } from "../domain/account.ts";
import { SyncError } from "../domain/error.ts";
import { openRuntime, type Runtime } from "../runtime.ts";
import { type BackfillReport, backfill } from "../usecases/backfill.ts";
import {
  type BackfillDisplay,
  openEventDisplay,
  openLineDisplay,
  openLiveDisplay,
  printEvent,
} from "./backfill-display.ts";
import { holdFinalSentence, showsOrdinary, withoutPeople } from "./backfill-log.ts";
import { exitCodeOfReport, nextStepOf, renderOutcomes } from "./backfill-report.ts";
import { defineCliCommand } from "./command.ts";
import { findAccount } from "./find-account.ts";
import { type ExitCode, exitCodes, type Io } from "./io.ts";
import { openCommandLog } from "./log-output.ts";
import { readWhole } from "./read-whole.ts";
import { createRunId } from "./run-id.ts";
import { renderCount } from "./text-values.ts";

/** Beyond this a batch is no batch: Ctrl-C would have to wait for it. */
export const batchSizeMax = 500;
const batchSizeDefault = 10;

/** `social-sync backfill` */
export const backfillCommand = defineCliCommand({
  name: "backfill",
  summary: "look up everybody of one account who has no profile",
  args: {
    "account-id": {
      type: "string",
      valueHint: "id",
      description: "own id, Instagram id or @username",
      required: true,
    },
    "batch-size": {
      type: "string",
      valueHint: `1-${batchSizeMax}`,
      description: "people that are looked up together",
      default: String(batchSizeDefault),
    },
    json: { type: "boolean", description: "progress as one JSON value a line" },
  },
  examples: ["social-sync backfill --account-id shop", "social-sync backfill --account-id @shop.official --json"],
  notes: [
    "Ctrl-C finishes the batch in hand and exits with 3: the same command goes on where it stopped. A second Ctrl-C leaves at once.",
    "On a terminal, log lines about single people are hidden while the bar is shown; set SOCIAL_SYNC_LOG_LEVEL to see them.",
  ],
  onStop: "finish",
  async run(given, io) {
    const batchSize = readWhole("--batch-size", given["batch-size"], {
      fallback: batchSizeDefault,
      min: 1,
      max: batchSizeMax,
    });
    const mode: Mode = given.json ? "events" : io.stderr.isTty && io.env.TERM !== "dumb" ? "live" : "lines";
    const config = readConfig(io.env, { appSecret: false, isTty: io.stderr.isTty });
    const logs = createLogs(io, config, mode);
    using output = logs.output;
    await using runtime = await openRuntime(config, { clock: io.clock, log: logs.log, role: "command" });
    const account = findAccount(await runtime.accounts.listAccounts(), given["account-id"]);
    assertUsable(account, io.clock.nowMs());
    const total = await runtime.conversations.countMissingProfiles(account.id);
    if (total === 0) return reportNothing(io, account, mode);

    const runId = createRunId(io.clock.nowMs(), io.clock.random);
    const held = holdFinalSentence(logs.log, runId);
    const report = await watch(io, { runtime, logs, mode, account, runId, total, batchSize, log: held.log });
    output.flush();
    printReport(io, report, account, mode);
    const sentence = held.release();
    output.flush();
    if (sentence !== null && !showsOrdinary(config.logLevel)) io.stderr.write(`${sentence}\n`);
    return exitCodeOfReport(report);
  },
});

type Mode = "live" | "lines" | "events";
type Logs = ReturnType<typeof createLogs>;

/** The run's log; while a bar is shown its lines go above the bar. */
function createLogs(io: Io, config: ReturnType<typeof readConfig>, mode: Mode) {
  let writeAbove: ((text: string) => void) | null = null;
  const output = openCommandLog(config, io, (text) => (writeAbove ?? io.stderr.write)(text));
  const asked = (io.env.SOCIAL_SYNC_LOG_LEVEL ?? "").trim() !== "";
  return {
    output,
    log: mode === "live" && !asked ? withoutPeople(output.log) : output.log,
    connect(to: ((text: string) => void) | null) {
      output.flush();
      writeAbove = to;
    },
  };
}

/** An account that Instagram has refused as a whole needs a human first. Throws `token_refused`. */
function assertUsable({ ownId, state, stateReason, stateUntilMs }: Account, nowMs: number): void {
  if (state === "active" || (stateUntilMs !== null && stateUntilMs <= nowMs)) return;
  const next = nextStepOf(stateReason ?? "token_dead") ?? "see social-sync accounts show";
  const why = (stateReason ?? state).replaceAll("_", " ");
  throw new SyncError("token_refused", `Cannot look anybody up for ${ownId}: Instagram refuses it (${why}); ${next}`);
}

function reportNothing(io: Io, account: Account, mode: Mode): ExitCode {
  if (mode === "events") {
    const nothing = { accountId: account.ownId, total: 0 };
    printEvent(io, "start", { runId: null, ...nothing });
    printEvent(io, "end", { runId: null, ...nothing, done: 0, successful: 0, errors: 0, exitCode: exitCodes.done });
  }
  io.stderr.write(`Nothing to do: everybody who wrote to ${account.ownId} has a profile or a reason why not.\n`);
  return exitCodes.done;
}

type Watched = {
  runtime: Runtime;
  logs: Logs;
  mode: Mode;
  account: Account;
  runId: string;
  total: number;
  batchSize: number;
  log: Runtime["log"];
};

/** Runs the backfill with its display; the first signal stops it after what is in hand. */
async function watch(io: Io, { runtime, logs, mode, account, runId, total, batchSize, log }: Watched) {
  if (mode === "events") printEvent(io, "start", { runId, accountId: account.ownId, total, batchSize });
  using display = openDisplay(io, { runId, accountName: account.ownId, total }, mode, logs);
  const { stopTaking: signal } = io;
  const onStop = () => display.stopping();
  if (signal.aborted) onStop();
  else signal.addEventListener("abort", onStop, { once: true });
  try {
    return await backfill(
      { ...runtime, log },
      { runId, owner: io.instance, account, batchSize },
      { signal, onProgress: display.progress },
    );
  } finally {
    signal.removeEventListener("abort", onStop);
  }
}

function openDisplay(io: Io, run: Parameters<typeof openEventDisplay>[1], mode: Mode, logs: Logs): BackfillDisplay {
  if (mode === "events") return openEventDisplay(io, run);
  if (mode === "lines") return openLineDisplay(io, run, logs.log);
  return openLiveDisplay(io, run, logs.connect);
}

/** The table by reason, and how to go on where something is left. The final sentence follows from the log. */
function printReport(io: Io, report: BackfillReport, { ownId }: Account, mode: Mode): void {
  if (mode === "events") printEvent(io, "end", { ...report, accountId: ownId, exitCode: exitCodeOfReport(report) });
  else if (report.done > 0) io.stdout.write(renderOutcomes(report, io.stdout.columns()));
  if (report.blockedReason !== null) {
    const next = nextStepOf(report.blockedReason);
    const why = report.blockedReason.replaceAll("_", " ");
    io.stderr.write(`Instagram refused the account ${ownId} as a whole (${why})${next === null ? "" : `: ${next}`}.\n`);
  } else if (report.interrupted) {
    io.stderr.write(
      `Stopped after ${renderCount(report.done)} of ${renderCount(report.total)} people. To go on: social-sync backfill --account-id ${ownId}\n`,
    );
  }
}
