import { blockedReasons, type ReasonCode } from "../domain/profile.ts";
import { hasEnded, type NamesTotals, type Run } from "../domain/run.ts";
import type { BackfillReport } from "../usecases/backfill.ts";
import { printEnd } from "./backfill-events.ts";
import { renderCommand } from "./backfill-options.ts";
import { wrap } from "./help-text.ts";
import { type ExitCode, exitCodes, type Io } from "./io.ts";
import { renderCount, renderMany } from "./text-values.ts";

/** What the operator can do, or expect, for each reason. The compiler refuses a reason without a row. */
const nextSteps: Readonly<Record<ReasonCode, string>> = {
  no_consent: "they appear when the person writes again",
  gone: "these people are gone from Instagram; asked again after 30 days",
  unavailable: "Instagram hides them for now; asked again after a day",
  invalid_id: "Instagram knows nobody of this id here; asked again after 30 days",
  not_visible: "Instagram does not show them to this account; asked again after 30 days",
  token_missing: "add a token: social-sync accounts add --help",
  token_dead: "make a new token and hand it over with social-sync accounts add, then run this again",
  token_unreadable:
    "its stored token cannot be opened: set the SOCIAL_SYNC_ENCRYPTION_KEY it was sealed with, or add it anew",
  permission_missing: "grant the app the messaging permission, hand over a new token with accounts add",
  page_not_linked: "link the Page with the Instagram account in Meta's settings, then run this again",
  access_level: "the app needs Advanced Access (App Review) for people who are not its testers",
  proof_refused: "META_APP_SECRET is missing or belongs to another app",
  abuse_block: "Meta has blocked the app for a while: its App Dashboard says why",
  throttled: "Instagram's limit is reached: run this again later",
  graph_away: "Instagram's own servers fail: run this again later",
  server_error: "trouble at Instagram: run this again, or the daemon does within the hour",
  timeout: "Instagram was too slow: run this again, or the daemon does within the hour",
  network: "Instagram could not be reached: check the network, then run this again",
  bad_answer: "Instagram's answer made no sense: run this again",
  wrong_person: "Instagram answered for somebody else, which was refused: run this again",
  not_answered: "not asked to the end: run this again",
  missing_or_forbidden: "Instagram does not tell whether they exist; asked again after 30 days",
  bad_request: "a bug in social-sync: please report it",
  unknown_code: "Instagram gave a reason that nobody knows: see the log at SOCIAL_SYNC_LOG_LEVEL=debug",
};

/** Outcomes that need nothing, in words. */
const fineOutcomes: Readonly<Record<string, string>> = {
  no_picture: "named; Instagram has no picture of them",
  looked_up_elsewhere: "another process is at it",
  already_done: "had a profile already",
};

/** What to do next about a reason; null where nothing is to do or the reason is none. */
export function nextStepOf(reason: string): string | null {
  return isReason(reason) ? nextSteps[reason] : null;
}

const isReason = (text: string): text is ReasonCode => Object.hasOwn(nextSteps, text);

/** The table by reason, most frequent first, with what to do next; wrapped to `columns`. */
export function renderOutcomes({ outcomes }: Pick<BackfillReport, "outcomes">, columns: number): string {
  const rows = Object.entries(outcomes).sort(([, left], [, right]) => right - left);
  const width = Math.max(...rows.map(([, count]) => renderCount(count).length));
  const hang = " ".repeat(width + 4);
  return rows
    .flatMap(([name, count]) => {
      const next = nextStepOf(name) ?? fineOutcomes[name] ?? null;
      const text = `${name.replaceAll("_", " ")}${next === null ? "" : `: ${next}`}`;
      return wrap(text, columns - hang.length).map((line, place) =>
        place === 0 ? `  ${renderCount(count).padStart(width)}  ${line}\n` : `${hang}${line}\n`,
      );
    })
    .join("");
}

/** What reading the inbox brought, in one line; wrapped to `columns`. Nothing where it was not read. */
export function renderInbox({ calls, listed, named, imported }: NamesTotals, columns: number): string {
  if (calls === 0) return "";
  const created = imported === 0 ? "" : `, ${renderMany(imported, "conversation")} imported`;
  const told = `${renderMany(named, "username")} of ${renderMany(listed, "conversation")}`;
  return wrap(`Inbox: ${told}, in ${renderMany(calls, "call")}${created}.`, columns)
    .map((line) => `${line}\n`)
    .join("");
}

/** The exit code: refused as a whole before interrupted, before some failed. An inbox that cannot be read is no refusal. */
export function exitCodeOfReport(report: Pick<BackfillReport, "blockedReason" | "interrupted" | "errors">): ExitCode {
  const { blockedReason, interrupted, errors } = report;
  if (blockedReason !== null) return isAccounts(blockedReason) ? exitCodes.token : exitCodes.someFailed;
  if (interrupted) return exitCodes.interrupted;
  return errors > 0 ? exitCodes.someFailed : exitCodes.done;
}

const isAccounts = (reason: string): boolean => blockedReasons.some((known) => known === reason);

/** What a run's row says of its end, as its owner would report it. */
export function reportOfRun(run: Run): BackfillReport {
  const { id, state, done, successful, errors, outcomes, names, blockedReason } = run;
  const durationMs = Math.max(0, Math.round((run.endedAtMs ?? run.startedAtMs) - run.startedAtMs));
  const interrupted = state !== "completed" && state !== "failed";
  const counted = { done, successful, errors, outcomes, names };
  return { ...counted, runId: id, state, total: run.total ?? done, durationMs, interrupted, blockedReason };
}

/** The sentence that a run ends with (spec §8), for who has only watched it. */
export const finalSentence = ({ runId, successful, done, errors, durationMs }: BackfillReport): string =>
  `Backfill job ${runId} completed: ${successful}/${done} successful, ${errors} errors, ${durationMs}ms`;

/** The inbox, the table by reason, and how to go on where something is left. The final sentence follows it. */
export function printReport(
  io: Pick<Io, "stdout" | "stderr">,
  report: BackfillReport,
  { ownId, asEvents, goOn }: { ownId: string; asEvents: boolean; goOn: string },
): void {
  const { names, done, total, state, blockedReason, interrupted } = report;
  if (asEvents) printEnd(io, { ...report, accountId: ownId, exitCode: exitCodeOfReport(report) });
  else {
    io.stdout.write(renderInbox(names, io.stdout.columns()));
    if (done > 0) io.stdout.write(renderOutcomes(report, io.stdout.columns()));
  }
  if (blockedReason !== null) {
    const next = nextStepOf(blockedReason);
    const why = `(${blockedReason.replaceAll("_", " ")})${next === null ? "" : `: ${next}`}`;
    const what = isAccounts(blockedReason)
      ? `Instagram refused the account ${ownId} as a whole`
      : `The inbox of ${ownId} could not be read`;
    io.stderr.write(`${what} ${why}.\n`);
  } else if (interrupted) {
    const how = state === "cancelled" ? "Cancelled" : "Stopped";
    const listed = `${renderMany(names.listed, "conversation")} of the inbox`;
    const people = `${renderCount(done)} of ${renderCount(total)} people`;
    io.stderr.write(`${how} after ${done === 0 && names.listed > 0 ? listed : people}. To go on: ${goOn}\n`);
  }
}

/** Reports a run that was only watched, as its row stood at last (null: gone), like its owner would. Answers the exit code. */
export function reportWatched(
  io: Pick<Io, "stdout" | "stderr">,
  { last, runId, ownId, asEvents }: { last: Run | null; runId: string; ownId: string; asEvents: boolean },
): ExitCode {
  if (last === null || !hasEnded(last)) {
    io.stderr.write(`Stopped watching; run ${runId} goes on.\n`);
    return exitCodes.interrupted;
  }
  const report = reportOfRun(last);
  printReport(io, report, { ownId, asEvents, goOn: renderCommand(ownId, last.options) });
  if (!report.interrupted) io.stderr.write(`${finalSentence(report)}\n`);
  return exitCodeOfReport(report);
}
