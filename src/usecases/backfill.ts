import type { Account } from "../domain/account.ts";
import { SyncError } from "../domain/error.ts";
import type { ConversationId } from "../domain/ids.ts";
import type { Run, RunPlace, RunState } from "../domain/run.ts";
import { chunk } from "../lib/chunk.ts";
import { type Clock, wait } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { runPool } from "../lib/run-pool.ts";
import type { CandidatesRepository } from "../repository/candidates.ts";
import type { RunsRepository } from "../repository/runs.ts";
import { type BackfillTally, createTally, nameOfSkipped, type Skipped } from "./backfill-tally.ts";
import type { Enrich } from "./enrich.ts";
import { holdRun } from "./hold-run.ts";

/** People that stand in one page of candidates: bounds memory, and how many a resumed run reads again. */
export const pageSize = 1_000;
/** Requests in flight at once: at 80 ms each this is some 100 requests a second, well within one account's allowance. */
export const stepsInFlight = 8;
/** A batch request of a page account carries this many people; fewer would only cost more round trips. */
export const peoplePerRequest = 50;
/** One enrich() call of an Instagram-Login account: single requests, so the lease must outlast them all. */
const instagramStepMax = 50;
/** People whom the run remembers to ask again. Beyond that another walk from the top finds them: memory stays bounded. */
export const laterMax = 10_000;

export type BackfillDependencies = {
  candidates: Pick<CandidatesRepository, "listCandidates" | "countCandidates">;
  runs: Pick<RunsRepository, "saveRun" | "countSkipped" | "finishRun">;
  enrich: Enrich;
  clock: Clock;
  log: Log;
};

export type BackfillProgress = BackfillTally &
  Pick<Run, "phase"> & {
    readonly total: number;
    /** Waiting for Instagram's limit, or for a second attempt; null while working. */
    readonly pausedForMs: number | null;
  };

export type BackfillReport = BackfillTally &
  Pick<Run, "state" | "blockedReason"> & {
    readonly runId: string;
    readonly total: number;
    readonly durationMs: number;
    /** It can be gone on with. */
    readonly interrupted: boolean;
  };

/**
 * Works on a run that the caller owns: looks up its candidates, latest conversation first, each at most once a run,
 * however often the run changes hands. `signal` ends it after what is in flight; whoever opens the run next goes on.
 * Throws `storage_unavailable`, and `interrupted` where somebody else has taken the run over.
 */
export async function backfill(
  { candidates, runs, enrich, clock, log }: BackfillDependencies,
  { run, account }: { run: Run; account: Account },
  { signal, onProgress }: { signal: AbortSignal; onProgress: (progress: BackfillProgress) => void },
): Promise<BackfillReport> {
  const startedMs = clock.monotonicMs();
  const { batchSize, limit } = run.options;
  const ask = { ...run.options, runNumber: run.number };
  const left = (await candidates.countCandidates(account.id, ask)).total;
  const tally = createTally(run);
  const place: { -readonly [K in keyof RunPlace]: RunPlace[K] } = {
    ...{ phase: run.phase, cursor: run.cursor, namesCursor: run.namesCursor, names: run.names, pausedForMs: null },
    total: Math.min(run.done + left, limit ?? Number.POSITIVE_INFINITY),
  };
  const hold = holdRun({ runs, clock, log }, run, () => place);
  const halt = AbortSignal.any([signal, hold.ended]);
  log.log(`Starting backfill job for account ${account.ownId} with batch size ${batchSize} (job: ${run.id})`, context);

  const later = new Map<ConversationId, number>(); // whom to ask again, and when (monotonic)
  // Whom a former owner meant to ask again stands before its cursor: they are found by another walk.
  let again = run.cursor !== null;
  let resumeAtMs = 0;
  let blockedReason: string | null = null;
  const halted = () => halt.aborted || blockedReason !== null;
  const report = (pausedForMs: number | null) => {
    const { done, ...counted } = tally.state();
    place.total = Math.max(place.total, done);
    place.pausedForMs = pausedForMs;
    onProgress({ done, ...counted, phase: place.phase, total: place.total, pausedForMs });
  };

  const step = async (ids: readonly ConversationId[]) => {
    // A step that finds the limit reached waits for it with the others instead of only marking its people.
    await pauseUntil(resumeAtMs);
    if (halted()) return;
    const results = await enrich(ids, { lane: "backfill", force: true, signal: never, run });
    const skipped: Skipped[] = [];
    for (const [id, result] of results) {
      if (result.kind === "later") {
        if (later.size < laterMax || later.has(id)) later.set(id, clock.monotonicMs() + result.retryInMs);
        else again = true;
        if (result.reason === "throttled" || result.reason === "graph_away")
          resumeAtMs = Math.max(resumeAtMs, clock.monotonicMs() + result.retryInMs);
        continue;
      }
      later.delete(id);
      if (result.kind === "skipped") {
        skipped.push({ id, why: nameOfSkipped(result.why) });
        continue;
      }
      tally.count(result);
      if (result.kind === "absent" && result.status === "account_blocked" && isAccounts(result.reason, tally.state()))
        blockedReason = result.reason;
    }
    const counted = new Set(await runs.countSkipped(run, skipped));
    for (const one of skipped) if (counted.has(one.id)) tally.countSkipped(one);
    report(null);
  };

  const pauseUntil = async (atMs: number) => {
    for (;;) {
      const leftMs = atMs - clock.monotonicMs();
      if (leftMs <= 0 || halt.aborted) return;
      if (leftMs > countdownMs) report(leftMs); // shorter is the budget's pace, and no pause to speak of
      await wait(clock, Math.min(leftMs, countdownMs), halt);
    }
  };

  const size = stepSize(account, batchSize);
  /** Asks every candidate behind the cursor once. Answers whether it came to the end. */
  const walk = async (): Promise<boolean> => {
    while (!halted()) {
      const room = limit === null ? pageSize : Math.min(pageSize, limit - tally.state().done - later.size);
      const page = room <= 0 ? [] : await candidates.listCandidates(account.id, ask, place.cursor, room);
      const last = page.at(-1);
      if (last === undefined) return true;
      const ids = page.map((row) => row.id);
      await runPool(chunk(ids, size), stepsInFlight, step);
      if (halted()) return false; // the page is not finished: the cursor stays before it
      place.cursor = { lastMessageAtMs: last.lastMessageAtMs, id: last.id };
      await hold.save();
    }
    return false;
  };
  /** Second and third attempts, and those whom the limit held up: enrich() itself bounds the attempts. */
  const askAgain = async (): Promise<boolean> => {
    while (later.size > 0) {
      if (halted()) return false;
      await pauseUntil(Math.max(resumeAtMs, Math.min(...later.values())));
      const due = [...later].filter(([, atMs]) => atMs <= clock.monotonicMs()).map(([id]) => id);
      await runPool(chunk(due, size), stepsInFlight, step);
    }
    return true;
  };
  const lookUpAll = async (): Promise<boolean> => {
    for (;;) {
      if (!(await walk()) || !(await askAgain())) return false;
      if (!again) return true;
      again = false;
      place.cursor = null;
    }
  };

  let finished = false;
  try {
    await hold.save();
    // The phase of names goes here, where `run.phase` is "names": it moves place.names and place.namesCursor, calls
    // hold.save() a page, stops on `halt`, and leaves with place.phase = "profiles".
    finished = await lookUpAll();
  } finally {
    await hold.release();
  }

  const state = stateOf({ cancelled: hold.why() === "cancelled", blocked: blockedReason !== null, finished }, run);
  const done = tally.state().done;
  const total = state === "completed" ? done : place.total;
  const ended = await runs.finishRun(run, { state, cursor: place.cursor, total, blockedReason });
  if (ended === null)
    throw new SyncError("interrupted", `Cannot go on with run ${run.id}: another process has taken it over`);
  const durationMs = Math.round(clock.monotonicMs() - startedMs);
  const { successful, errors, outcomes } = ended;
  const interrupted = state === "interrupted" || state === "queued" || state === "cancelled";
  if (!interrupted)
    log.log(
      `Backfill job ${run.id} completed: ${successful}/${ended.done} successful, ${errors} errors, ${durationMs}ms`,
      context,
    );
  const counted = { done: ended.done, successful, errors, outcomes };
  return { ...counted, state, runId: run.id, total, durationMs, interrupted, blockedReason };
}

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
/** How often a countdown is told. */
const countdownMs = 250;
/** A step that began is finished: the first Ctrl-C only stops new ones. */
const never = new AbortController().signal;

/** People a step: page accounts fill whole requests, single requests are bounded by the lease. */
function stepSize({ login }: Pick<Account, "login">, batchSize: number): number {
  if (login === "facebook") return Math.ceil(batchSize / peoplePerRequest) * peoplePerRequest;
  return Math.min(batchSize, instagramStepMax);
}
