import type { Account } from "../domain/account.ts";
import type { Run } from "../domain/run.ts";
import { renderTable } from "./text-table.ts";
import { renderCount, renderDuration } from "./text-values.ts";

/** Version of the lines that `jobs … --json` prints. */
export const jobLineVersion = 1;
/** Runs that a list shows, latest first. */
export const runsShownMax = 50;

/** A run as one NDJSON value. */
export function buildJobJson(run: Run, accounts: readonly Account[]): Record<string, unknown> {
  const { id, phase, owner, detached, options, total, done, successful, errors, outcomes, names, blockedReason } = run;
  const accountId = nameOf(run, accounts);
  const counted = { total, done, successful, errors, outcomes, names, blockedReason };
  const times = { startedAt: isoOf(run.startedAtMs), endedAt: isoOf(run.endedAtMs), pausedForMs: run.pausedForMs };
  const { batchSize, scope, limit, since, bulk, profiles, importMissing } = options;
  const asked = { batchSize, scope, limit, since, bulk, profiles, importMissing };
  return { v: jobLineVersion, id, accountId, state: stateOf(run), phase, owner, detached, asked, ...counted, ...times };
}

/** The runs as a table for people. */
export function renderJobs(runs: readonly Run[], accounts: readonly Account[], nowMs: number): string {
  const rows = runs.map((run) => [
    run.id,
    nameOf(run, accounts),
    stateOf(run),
    run.state === "completed" ? "" : run.phase,
    run.names.calls === 0 ? "" : renderCount(run.names.named),
    `${renderCount(run.done)}/${run.total === null ? "?" : renderCount(run.total)}`,
    run.errors === 0 ? "" : renderCount(run.errors),
    `${renderDuration(Math.max(0, nowMs - run.startedAtMs))} ago`,
    run.owner ?? "",
  ]);
  return renderTable(["JOB", "ACCOUNT", "STATE", "PHASE", "NAMES", "DONE", "ERRORS", "STARTED", "AT"], rows);
}

/** A run whose owner has died is nobody's, whatever it said last. */
const stateOf = ({ state, free }: Run): string => (state === "running" && free ? "abandoned" : state);

/** The operator's own name of the run's account; its Instagram id where it was removed since. */
export function nameOf({ accountId }: Run, accounts: readonly Account[]): string {
  return accounts.find(({ id }) => id === accountId)?.ownId ?? accountId;
}

const isoOf = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
