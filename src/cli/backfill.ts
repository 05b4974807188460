import { readConfig } from "../config.ts";
import type { Account } from "../domain/account.ts";
import { SyncError } from "../domain/error.ts";
import { firstPhase, type Run, type RunOptions } from "../domain/run.ts";
import { openRuntime, type Runtime } from "../runtime.ts";
import { forecast } from "../usecases/forecast.ts";
import { enqueueRun, openRun } from "../usecases/open-run.ts";
import { aliveWithinMs } from "../usecases/schedules.ts";
import { printEnd, printEvent, printStart, printWatching } from "./backfill-events.ts";
import { holdFinalSentence, showsOrdinary } from "./backfill-log.ts";
import { backfillArgs, readRunOptions, renderCommand } from "./backfill-options.ts";
import { exitCodeOfReport, nextStepOf, printReport, reportWatched } from "./backfill-report.ts";
import { createLogs, type Logs, type Mode, modeOf, watchRun, workOn } from "./backfill-screen.ts";
import { defineCliCommand } from "./command.ts";
import { findAccount } from "./find-account.ts";
import { renderForecast } from "./forecast-text.ts";
import { type ExitCode, exitCodes, type Io } from "./io.ts";
import { createRunId } from "./run-id.ts";
import { renderCount, renderMany } from "./text-values.ts";

/** `social-sync backfill` */
export const backfillCommand = defineCliCommand({
  name: "backfill",
  summary: "look up everybody of one account who has no profile",
  args: backfillArgs,
  examples: ["social-sync backfill --account-id shop", "social-sync backfill --account-id @shop.official --json"],
  notes: [
    "Ctrl-C finishes the batch in hand and exits with 3: the same command goes on where it stopped. A second Ctrl-C leaves at once. Where a backfill of the account is under way already, it is watched instead.",
    "On a terminal, log lines about single people are hidden while the bar is shown; set SOCIAL_SYNC_LOG_LEVEL to see them.",
  ],
  onStop: "finish",
  async run(given, io) {
    const options = readRunOptions(given, io.clock.nowMs());
    const mode = modeOf(io, given.json);
    const config = readConfig(io.env, { appSecret: false, isTty: io.stderr.isTty });
    const logs = createLogs(io, config, mode);
    using output = logs.output;
    await using runtime = await openRuntime(config, { clock: io.clock, log: logs.log, role: "command" });
    const account = findAccount(await runtime.accounts.listAccounts(), given["account-id"]);
    assertUsable(account, io.clock.nowMs());
    if (given["dry-run"]) {
      const { rateWindowMs: windowMs, inboxSpacingMs } = config;
      const expected = await forecast(runtime, { account, options, windowMs, inboxSpacingMs });
      if (mode === "events") printEvent(io, "forecast", { accountId: account.ownId, ...expected });
      else if (isEmpty(options, expected.total)) return reportNothing(io, { account, options }, mode);
      else io.stdout.write(renderForecast(expected, options));
      return exitCodes.done;
    }
    const open = await runtime.runs.getOpenRun(account.id, { folder: null, folderFree: false });
    const { total } = await runtime.candidates.countCandidates(account.id, { ...options, runNumber: null });
    if (isEmpty(options, total) && open === null) return reportNothing(io, { account, options }, mode);
    if (given.detach) return await detach(io, runtime, { account, options }, mode);
    const screen = { logs, mode, ordinary: showsOrdinary(config.logLevel) };
    const exitCode = await backfillOrWatch(io, runtime, { account, options, total }, screen);
    output.flush();
    return exitCode;
  },
});

/** Whether a run would bring nothing. An inbox is read for people whom nobody knows of yet, where that is what is wanted. */
const isEmpty = ({ importMissing, profiles }: RunOptions, total: number): boolean =>
  total === 0 && profiles && !importMissing;

type Wish = { readonly account: Account; readonly options: RunOptions; readonly total: number };
type Screen = { readonly logs: Logs; readonly mode: Mode; readonly ordinary: boolean };

/** Opens the account's run and works on it; where somebody else does, watches it, and takes over from an owner that died. */
async function backfillOrWatch(io: Io, runtime: Runtime, wish: Wish, screen: Screen): Promise<ExitCode> {
  const { account, options, total } = wish;
  for (;;) {
    const id = createRunId(io.clock.nowMs(), io.clock.random);
    const ask = { id, accountId: account.id, options };
    const opened = await openRun(runtime.runs, runtime.sit(io.instance), ask, tellGivenUp(io));
    if (opened.kind === "other") {
      const exitCode = await watchOther(io, runtime, { run: opened.run, account }, screen);
      if (exitCode !== null) return exitCode;
      continue;
    }
    try {
      const { run, resumed } = opened;
      const people = resumed ? (run.total ?? run.done) : Math.min(total, options.limit ?? total);
      return await work(io, runtime, { ...wish, run, resumed, total: people }, screen);
    } finally {
      opened.leave();
    }
  }
}

const tellGivenUp = (io: Io) => (run: Run) =>
  io.stderr.write(`Run ${run.id} was asked for something else and nobody works on it: it is given up.\n`);

/** Gives the run to the daemons. Its id is the data; how it will go on is said beside it. */
async function detach(
  io: Io,
  runtime: Runtime,
  { account, options }: Omit<Wish, "total">,
  mode: Mode,
): Promise<ExitCode> {
  const ask = {
    id: createRunId(io.clock.nowMs(), io.clock.random),
    accountId: account.id,
    options,
  };
  const { kind, run } = await enqueueRun(runtime.runs, runtime.sit(io.instance), ask, tellGivenUp(io));
  const alive = await runtime.daemons.countAlive(aliveWithinMs);
  if (mode === "events")
    printEvent(io, "queued", { runId: run.id, accountId: account.ownId, state: run.state, daemons: alive });
  else io.stdout.write(`${run.id}\n`);
  const who = run.owner === null ? "is queued already" : `is under way already at ${run.owner}`;
  if (kind === "other") io.stderr.write(`Run ${run.id} of ${account.ownId} ${who}.\n`);
  else if (alive === 0)
    io.stderr.write("No daemon is running: the job waits until one is started (social-sync serve).\n");
  io.stderr.write(`To see how it goes: social-sync jobs watch ${run.id}\n`);
  return exitCodes.done;
}

async function work(
  io: Io,
  runtime: Runtime,
  { account, options, run, resumed, total }: Wish & { run: Run; resumed: boolean },
  { logs, mode, ordinary }: Screen,
): Promise<ExitCode> {
  const { ownId } = account;
  if (mode === "events") {
    const { id: runId, phase, names } = run;
    const { batchSize } = options;
    printStart(io, { runId, accountId: ownId, phase, total, names, batchSize, resumed, watching: false });
  } else if (resumed) io.stderr.write(`Going on with run ${run.id}, which has done ${renderDone(run)}.\n`);
  const held = holdFinalSentence(logs.log, run.id);
  const report = await workOn(io, { ...runtime, log: held.log }, { run, account, total }, { logs, mode });
  logs.output.flush();
  printReport(io, report, { ownId, asEvents: mode === "events", goOn: renderCommand(ownId, run.options) });
  const sentence = held.release();
  logs.output.flush();
  if (sentence !== null && !ordinary) io.stderr.write(`${sentence}\n`);
  return exitCodeOfReport(report);
}

/** Null: its owner has died, and it is anybody's. */
async function watchOther(
  io: Io,
  runtime: Runtime,
  { run, account }: { run: Run; account: Account },
  { logs, mode }: Screen,
): Promise<ExitCode | null> {
  const accountId = account.ownId;
  if (mode === "events") printWatching(io, run, accountId);
  else {
    const who = run.owner === null ? "waits for a daemon" : `is under way at ${run.owner}`;
    io.stderr.write(`Run ${run.id} of ${accountId} ${who}: watching it. Ctrl-C ends the watching, not the run.\n`);
  }
  const last = await watchRun(io, runtime, { run, accountName: accountId, untilFree: true }, { logs, mode });
  const stopped = io.stopTaking.aborted;
  if (!stopped && (last === null || (last.free && last.state === "running"))) return null;
  logs.output.flush();
  return reportWatched(io, { last, runId: run.id, ownId: accountId, asEvents: mode === "events" });
}

/** An account that Instagram has refused as a whole needs a human first. Throws `token_refused`. */
function assertUsable({ ownId, state, stateReason, stateUntilMs }: Account, nowMs: number): void {
  if (state === "active" || (stateUntilMs !== null && stateUntilMs <= nowMs)) return;
  const next = nextStepOf(stateReason ?? "token_dead") ?? "see social-sync accounts show";
  const why = (stateReason ?? state).replaceAll("_", " ");
  throw new SyncError("token_refused", `Cannot look anybody up for ${ownId}: Instagram refuses it (${why}); ${next}`);
}

function reportNothing(io: Io, { account, options }: Pick<Wish, "account" | "options">, mode: Mode): ExitCode {
  const accountId = account.ownId;
  if (mode === "events") {
    const names = { calls: 0, listed: 0, named: 0, imported: 0 };
    const nothing = { runId: null, accountId, total: 0, names };
    const { batchSize } = options;
    printStart(io, { ...nothing, phase: firstPhase(options), batchSize, resumed: false, watching: false });
    const counted = { done: 0, successful: 0, errors: 0, outcomes: {}, durationMs: 0 };
    const end = { state: "completed", interrupted: false, blockedReason: null, exitCode: exitCodes.done } as const;
    printEnd(io, { ...nothing, ...counted, ...end });
  }
  io.stderr.write(`Nothing to do: everybody who wrote to ${accountId} has a profile or a reason why not.\n`);
  return exitCodes.done;
}

/** How far a run has come, in words. */
const renderDone = ({ phase, done, names }: Run): string =>
  phase === "names" ? `${renderMany(names.listed, "conversation")} of the inbox` : `${renderCount(done)} people`;
