import type { Account } from "../domain/account.ts";
import { SyncError } from "../domain/error.ts";
import type { ConversationId } from "../domain/ids.ts";
import type { Run, RunPlace, RunState } from "../domain/run.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { CandidatesRepository } from "../repository/candidates.ts";
import type { RunsRepository } from "../repository/runs.ts";
import { type BackfillTally, createTally, nameOfSkipped, type Skipped } from "./backfill-tally.ts";
import type { BulkEnd, BulkNamesInput, BulkNamesIo } from "./bulk-names.ts";
import type { EnrichResult } from "./enrich.ts";
import { holdRun } from "./hold-run.ts";
import { lookUpCandidates, type ProfilesDependencies, type ProfilesIo } from "./profiles-phase.ts";

export type BackfillDependencies = Omit<ProfilesDependencies, "candidates" | "clock"> & {
  candidates: Pick<CandidatesRepository, "listCandidates" | "countCandidates">;
  runs: Pick<RunsRepository, "saveRun" | "countSkipped" | "finishRun">;
  listNames: (input: BulkNamesInput, io: BulkNamesIo) => Promise<BulkEnd>;
  clock: Clock;
  log: Log;
};

export type BackfillProgress = BackfillTally &
  Pick<Run, "phase" | "names"> & {
    readonly total: number;
    /** Waiting for Instagram's limit, or for a second attempt; null while working. */
    readonly pausedForMs: number | null;
  };

/** Somebody whom the run is done with. */
export type PersonDone = {
  readonly id: ConversationId;
  /** The outcome under which they are counted. */
  readonly outcome: string;
  readonly username: string | null;
  readonly name: string | null;
};

export type BackfillIo = {
  /** Ends the run after what is in flight; whoever opens it next goes on. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: BackfillProgress) => void;
  readonly onPerson?: (person: PersonDone) => void;
  /** Waited for after each step: whoever is told too much to keep up slows the run down. Ends with `halt`. */
  readonly untilRead?: (halt: AbortSignal) => Promise<void>;
};

export type BackfillReport = BackfillTally &
  Pick<Run, "state" | "blockedReason" | "names"> & {
    readonly runId: string;
    readonly total: number;
    readonly durationMs: number;
    /** It can be gone on with. */
    readonly interrupted: boolean;
  };

/**
 * Works on a run that the caller owns: reads the inbox for everybody's username, then looks up its candidates, latest
 * conversation first, each at most once a run, however often the run changes hands. Throws `storage_unavailable`, and
 * `interrupted` where somebody else has taken the run over.
 */
export async function backfill(
  dependencies: BackfillDependencies,
  { run, account }: { run: Run; account: Account },
  { signal, onProgress, onPerson, untilRead }: BackfillIo,
): Promise<BackfillReport> {
  const { candidates, runs, listNames, clock, log } = dependencies;
  const startedMs = clock.monotonicMs();
  const { batchSize, limit, profiles, importMissing } = run.options;
  const tally = createTally(run);
  const place: { -readonly [K in keyof RunPlace]: RunPlace[K] } = {
    ...{ phase: run.phase, cursor: run.cursor, namesCursor: run.namesCursor, names: run.names, pausedForMs: null },
    total: run.total ?? run.done,
  };
  const hold = holdRun({ runs, clock, log }, run, () => place);
  const halt = AbortSignal.any([signal, hold.ended]);
  log.log(`Starting backfill job for account ${account.ownId} with batch size ${batchSize} (job: ${run.id})`, context);

  let blockedReason: string | null = null;
  const report = (pausedForMs: number | null) => {
    const { done, ...counted } = tally.state();
    const { phase, names } = place;
    place.total = Math.max(place.total, done);
    place.pausedForMs = pausedForMs;
    onProgress({ done, ...counted, phase, names, total: place.total, pausedForMs });
  };
  const countTotal = async () => {
    if (!profiles) return;
    const ask = { ...run.options, runNumber: run.number };
    const left = (await candidates.countCandidates(account.id, ask)).total;
    place.total = Math.min(run.done + left, limit ?? Number.POSITIVE_INFINITY);
  };

  /** Answers whether the profiles' turn has come. */
  const readInbox = async (): Promise<boolean> => {
    const { cursor, names: totals } = { cursor: place.namesCursor, names: place.names };
    const end = await listNames(
      { account, importMissing, cursor, totals, run },
      {
        signal: halt,
        async onPage({ pausedForMs, cursor: next, unsaved, ...names }) {
          place.namesCursor = next;
          place.names = names;
          report(pausedForMs);
          if (unsaved) await hold.save();
        },
      },
    );
    if (end.kind === "stopped") return false;
    // Where the list alone cannot be read, the profiles can: their calls bring the usernames too.
    if (end.kind === "blocked" || (end.kind === "failed" && !profiles)) {
      blockedReason = end.reason;
      return false;
    }
    place.phase = "profiles";
    place.namesCursor = null;
    if (importMissing) await countTotal();
    await hold.save();
    return true;
  };
  const note: ProfilesIo["onResults"] = async (results, pausedForMs) => {
    const skipped: Skipped[] = [];
    for (const [id, result] of results) {
      if (result.kind === "later") continue;
      if (result.kind === "skipped") {
        skipped.push({ id, why: nameOfSkipped(result.why) });
        continue;
      }
      const outcome = tally.count(result);
      if (result.kind === "found") onPerson?.({ id, outcome, ...namesOf(result) });
      else onPerson?.({ id, outcome, username: null, name: null });
      if (result.kind === "absent" && result.status === "account_blocked" && isAccounts(result.reason, tally.state()))
        blockedReason = result.reason;
    }
    const counted = new Set(await runs.countSkipped(run, skipped));
    for (const one of skipped) if (counted.has(one.id)) tally.countSkipped(one);
    report(pausedForMs);
    await untilRead?.(halt);
    return blockedReason !== null;
  };

  let finished = false;
  try {
    await countTotal();
    await hold.save();
    report(null);
    const listed = place.phase === "profiles" || (await readInbox());
    finished = listed && !profiles;
    if (listed && profiles)
      finished = await lookUpCandidates(
        dependencies,
        { run, account },
        {
          halt,
          cursor: place.cursor,
          done: () => tally.state().done,
          onCursor(cursor) {
            place.cursor = cursor;
          },
          onPause: report,
          onResults: note,
        },
      );
  } catch (error) {
    // A process that slept finds its connections dead, and that its run is somebody else's: the latter is what matters.
    await hold.save().catch(() => {});
    if (hold.why() === "lost") throw takenOver(run);
    throw error;
  } finally {
    await hold.release();
  }

  const state = stateOf({ cancelled: hold.why() === "cancelled", blocked: blockedReason !== null, finished }, run);
  const done = tally.state().done;
  const total = state === "completed" ? done : place.total;
  const ended = await runs.finishRun(run, { state, cursor: place.cursor, total, blockedReason });
  if (ended === null) throw takenOver(run);
  const durationMs = Math.round(clock.monotonicMs() - startedMs);
  const { successful, errors, outcomes } = ended;
  const interrupted = state === "interrupted" || state === "queued" || state === "cancelled";
  if (!interrupted)
    log.log(
      `Backfill job ${run.id} completed: ${successful}/${ended.done} successful, ${errors} errors, ${durationMs}ms`,
      context,
    );
  const counted = { done: ended.done, successful, errors, outcomes, names: place.names };
  return { ...counted, state, runId: run.id, total, durationMs, interrupted, blockedReason };
}

function namesOf({ profile }: Extract<EnrichResult, { kind: "found" }>): Pick<PersonDone, "username" | "name"> {
  return { username: profile.username, name: profile.name };
}

const takenOver = ({ id }: Pick<Run, "id">) =>
  new SyncError("interrupted", `Cannot go on with run ${id}: another process has taken it over`);

/** A run that a daemon lets go of is the next daemon's; one that an operator stopped waits for them. */
function stateOf(end: { cancelled: boolean; blocked: boolean; finished: boolean }, { detached }: Run): RunState {
  if (end.cancelled) return "cancelled";
  if (end.blocked) return "failed";
  if (end.finished) return "completed";
  return detached ? "queued" : "interrupted";
}

/** A missing permission is the account's, not one person's, once nearly everybody met it (spec §4). */
function isAccounts(reason: string, { done, outcomes }: BackfillTally): boolean {
  if (reason !== "permission_missing") return true;
  const refused = outcomes[reason] ?? 0;
  return done >= peopleForVerdict && refused >= shareForVerdict * done;
}
const peopleForVerdict = 10;
const shareForVerdict = 0.8;

const context = "BackfillParticipantProfilesProcessor";
