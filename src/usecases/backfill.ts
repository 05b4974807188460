import type { Account } from "../domain/account.ts";
import type { ConversationCursor } from "../domain/conversation.ts";
import type { ConversationId } from "../domain/ids.ts";
import { chunk } from "../lib/chunk.ts";
import { type Clock, wait } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { runPool } from "../lib/run-pool.ts";
import type { ConversationsRepository } from "../repository/conversations.ts";
import type { RunsRepository } from "../repository/runs.ts";
import type { Enrich, EnrichResult } from "./enrich.ts";

/** People that stand in one page of candidates: bounds memory, and how much of a run a crash repeats. */
export const pageSize = 1_000;
/** Requests in flight at once: at 80 ms each this is some 100 requests a second, well within one account's allowance. */
export const stepsInFlight = 8;
/** A batch request of a page account carries this many people; fewer would only cost more round trips. */
export const peoplePerRequest = 50;
/** One enrich() call of an Instagram-Login account: single requests, so the lease must outlast them all. */
const instagramStepMax = 50;

export type BackfillDependencies = {
  conversations: Pick<ConversationsRepository, "listMissingProfiles" | "countMissingProfiles">;
  runs: Pick<RunsRepository, "startRun" | "saveRun">;
  enrich: Enrich;
  clock: Clock;
  log: Log;
};

/** What became of people so far: a count for each profile status or reason. */
export type BackfillTally = {
  readonly done: number;
  /** People whose profile is known now. */
  readonly successful: number;
  readonly errors: number;
  /** `complete`, `no_picture`, `cached` …, and each reason why somebody has none. */
  readonly outcomes: Readonly<Record<string, number>>;
};

export type BackfillProgress = BackfillTally & {
  readonly total: number;
  /** Waiting for Instagram's limit, or for a second attempt; null while working. */
  readonly pausedForMs: number | null;
};

export type BackfillReport = BackfillTally & {
  readonly runId: string;
  readonly total: number;
  readonly durationMs: number;
  readonly interrupted: boolean;
  /** The account was refused as a whole: the token or a permission. */
  readonly blockedReason: string | null;
};

export type BackfillInput = { runId: string; owner: string; account: Account; batchSize: number };

/**
 * Looks up everybody of one account who has no profile, latest conversation first, each at most once a run.
 * `signal` ends it after what is in flight; what is left is found by the next run. Throws `storage_unavailable` only.
 */
export async function backfill(
  { conversations, runs, enrich, clock, log }: BackfillDependencies,
  { runId, owner, account, batchSize }: BackfillInput,
  { signal, onProgress }: { signal: AbortSignal; onProgress: (progress: BackfillProgress) => void },
): Promise<BackfillReport> {
  const startedMs = clock.monotonicMs();
  const total = await conversations.countMissingProfiles(account.id);
  await runs.startRun({ id: runId, accountId: account.id, owner, options: { batchSize }, candidates: total });
  log.log(`Starting backfill job for account ${account.ownId} with batch size ${batchSize} (job: ${runId})`, context);

  const tally = createTally();
  const later = new Map<ConversationId, number>(); // whom to ask again, and when (monotonic)
  let cursor: ConversationCursor | null = null;
  let resumeAtMs = 0;
  let blockedReason: string | null = null;
  const report = (pausedForMs: number | null) =>
    onProgress({ ...tally.state(), total: Math.max(total, tally.state().done), pausedForMs });

  const step = async (ids: readonly ConversationId[]) => {
    // A step that finds the limit reached waits for it with the others instead of only marking its people.
    await pauseUntil(resumeAtMs);
    if (signal.aborted || blockedReason !== null) return;
    const results = await enrich(ids, { lane: "backfill", force: true, signal: never });
    for (const [id, result] of results) {
      if (result.kind === "later") {
        later.set(id, clock.monotonicMs() + result.retryInMs);
        if (result.reason === "throttled" || result.reason === "graph_away")
          resumeAtMs = Math.max(resumeAtMs, clock.monotonicMs() + result.retryInMs);
        continue;
      }
      later.delete(id);
      tally.count(result);
      if (result.kind === "absent" && result.status === "account_blocked" && isAccounts(result.reason, tally.state()))
        blockedReason = result.reason;
    }
    report(null);
  };

  const pauseUntil = async (atMs: number) => {
    for (;;) {
      const leftMs = atMs - clock.monotonicMs();
      if (leftMs <= 0 || signal.aborted) return;
      if (leftMs > countdownMs) report(leftMs); // shorter is the budget's pace, and no pause to speak of
      await wait(clock, Math.min(leftMs, countdownMs), signal);
    }
  };

  const size = stepSize(account, batchSize);
  while (!signal.aborted && blockedReason === null) {
    const page = await conversations.listMissingProfiles(account.id, cursor, pageSize);
    const last = page.at(-1);
    if (last === undefined) break;
    await runPool(
      chunk(
        page.map((row) => row.id),
        size,
      ),
      stepsInFlight,
      step,
    );
    if (signal.aborted || blockedReason !== null) break; // the page is not finished: the cursor stays before it
    cursor = { lastMessageAtMs: last.lastMessageAtMs, id: last.id };
    await runs.saveRun(runId, "running", { ...tally.state(), cursor });
  }
  // Second and third attempts, and those whom the limit held up: enrich() itself bounds the attempts.
  while (later.size > 0 && !signal.aborted && blockedReason === null) {
    await pauseUntil(Math.max(resumeAtMs, Math.min(...later.values())));
    const due = [...later].filter(([, atMs]) => atMs <= clock.monotonicMs()).map(([id]) => id);
    await runPool(chunk(due, size), stepsInFlight, step);
  }

  const interrupted = signal.aborted && (later.size > 0 || tally.state().done < total);
  await runs.saveRun(runId, interrupted ? "interrupted" : blockedReason === null ? "completed" : "failed", {
    ...tally.state(),
    cursor,
  });
  const durationMs = Math.round(clock.monotonicMs() - startedMs);
  const { successful, errors, done } = tally.state();
  if (!interrupted)
    log.log(
      `Backfill job ${runId} completed: ${successful}/${done} successful, ${errors} errors, ${durationMs}ms`,
      context,
    );
  return { ...tally.state(), runId, total, durationMs, interrupted, blockedReason };
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

function createTally() {
  const outcomes: Record<string, number> = {};
  let done = 0;
  let successful = 0;
  let errors = 0;
  return {
    count(result: EnrichResult) {
      done += 1;
      const name = nameOf(result);
      outcomes[name] = (outcomes[name] ?? 0) + 1;
      if (result.kind === "found") successful += 1;
      if (result.kind === "absent") errors += 1;
    },
    state: (): BackfillTally => ({ done, successful, errors, outcomes: { ...outcomes } }),
  };
}

function nameOf(result: EnrichResult): string {
  if (result.kind === "found") return result.profile.pictureUrl === null ? "no_picture" : "complete";
  if (result.kind === "skipped") return result.why === "held" ? "looked_up_elsewhere" : "already_done";
  return result.reason;
}
