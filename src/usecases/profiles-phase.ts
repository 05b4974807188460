import type { Budget } from "../budget/budget.ts";
import type { Account } from "../domain/account.ts";
import type { ConversationCursor } from "../domain/conversation.ts";
import type { AccountId, ConversationId } from "../domain/ids.ts";
import { batchSizeMax } from "../domain/profile.ts";
import type { Run } from "../domain/run.ts";
import { assert } from "../lib/assert.ts";
import { type Clock, wait } from "../lib/clock.ts";
import type { AccessReading, AccountsRepository } from "../repository/accounts.ts";
import type { CandidatesRepository } from "../repository/candidates.ts";
import { type Enrich, type EnrichResult, roundMax } from "./enrich.ts";

/** People that one listing of candidates holds: bounds memory, and how many a resumed run reads again. */
export const pageSize = 10_000;
/** Steps under way at once. A page account's are large: while one is saved the other's requests are on their way. */
const batchLanes = 2;
const singleLanes = 8;
/**
 * People a step of a page account takes at most: two rounds. It costs one statement to lease them and one to save each
 * round, and a crash asks again for no more than two rounds' 50 requests.
 */
export const batchStepMax = 2 * roundMax;
/** One step of an Instagram-Login account: single requests, so the lease must outlast them all. */
const singleStepMax = 50;
/** People whom the run remembers to ask again. Beyond that another walk from the top finds them: memory stays bounded. */
export const laterMax = 10_000;
/** What was read of the account holds so long: what Instagram answers says more than the row does. */
const accessTrustMs = 5_000;
/** Below this usage, per cent, fifty calls more are no matter. */
const roomPercentMax = 50;
/** How often a countdown is told. */
const countdownMs = 250;

export type ProfilesDependencies = {
  candidates: Pick<CandidatesRepository, "listCandidates">;
  accounts: Pick<AccountsRepository, "readAccess">;
  budget: Pick<Budget, "state">;
  enrich: Enrich;
  clock: Pick<Clock, "after" | "monotonicMs">;
};

export type ProfilesIo = {
  /** Ends it after what is in flight. */
  readonly halt: AbortSignal;
  /** Where to begin, and how many people of the run's limit are finished. */
  readonly cursor: ConversationCursor | null;
  readonly done: () => number;
  /** All before it are finished, or remembered to be asked again. */
  readonly onCursor: (cursor: ConversationCursor | null) => void;
  readonly onPause: (leftMs: number) => void;
  /** What a step brought, and what is left of the pause that is on; true: nobody else need be asked. */
  readonly onResults: (
    results: ReadonlyMap<ConversationId, EnrichResult>,
    pausedForMs: number | null,
  ) => Promise<boolean>;
};

/** A page of candidates: `left` of them are not finished. */
type Page = { left: number; readonly last: ConversationCursor };
type Waiting = { readonly id: ConversationId; readonly page: Page | null };

/**
 * Looks up a run's candidates, latest conversation first. Whom Instagram's limit holds up are the next to be asked once
 * it is over; whom a failure holds up are asked again at the end. A step grows while all of it is granted, and shrinks
 * to what was granted. Answers whether it came to the end. Throws `storage_unavailable`.
 */
export async function lookUpCandidates(
  { candidates, accounts, budget, enrich, clock }: ProfilesDependencies,
  { run, account }: { run: Run; account: Account },
  { halt, done, onCursor, onPause, onResults, cursor: start }: ProfilesIo,
): Promise<boolean> {
  const { limit, scope, sinceMs, batchSize } = run.options;
  const ask = { scope, sinceMs, runNumber: run.number };
  const sizes = sizesOf(account, batchSize);
  const readAccess = rememberAccess(accounts, clock);
  const firstCalls = await firstCallsOf(budget, account);

  const queue: Waiting[] = [];
  const pages: Page[] = [];
  const later = new Map<ConversationId, number>(); // whom to ask again, and when (monotonic)
  // Whom a former owner meant to ask again stands before its cursor: they are found by another walk.
  let again = start !== null;
  let [listedTo, listedAll] = [start, false];
  let listing: Promise<void> | null = null;
  // Of the run's limit so many are left at the start of a walk, and so many were listed since.
  let [left, listed] = [limit === null ? Number.POSITIVE_INFINITY : limit - done(), 0];
  let size = sizes.first;
  let resumeAtMs = 0;
  let enough = false;
  const halted = () => halt.aborted || enough;

  const list = async (): Promise<void> => {
    const room = Math.min(pageSize, left - listed);
    const found = room <= 0 ? [] : await candidates.listCandidates(account.id, ask, listedTo, room);
    const last = found.at(-1);
    if (last === undefined) {
      listedAll = true;
      return;
    }
    listedTo = { lastMessageAtMs: last.lastMessageAtMs, id: last.id };
    const page = { left: found.length, last: listedTo };
    pages.push(page);
    listed += found.length;
    for (const { id } of found) queue.push({ id, page });
  };
  const listMore = (): Promise<void> => {
    listing ??= list().finally(() => {
      listing = null;
    });
    return listing;
  };
  const finish = ({ page }: Waiting): void => {
    if (page !== null) page.left -= 1;
    for (let [first] = pages; first !== undefined && first.left === 0; [first] = pages) {
      onCursor(first.last);
      pages.shift();
    }
  };

  const pauseUntil = async (untilMs: () => number): Promise<void> => {
    for (;;) {
      const leftMs = untilMs() - clock.monotonicMs();
      if (leftMs <= 0 || halted()) return;
      if (isPause(leftMs)) onPause(leftMs);
      await wait(clock, Math.min(leftMs, countdownMs), halt);
    }
  };
  const step = async (people: readonly Waiting[]): Promise<void> => {
    const results = await enrich(
      people.map(({ id }) => id),
      { lane: "backfill", force: true, signal: never, halt, run, readAccess, firstCalls },
    );
    const heldUp: Waiting[] = [];
    const nowMs = clock.monotonicMs();
    for (const one of people) {
      const result = results.get(one.id);
      if (result?.kind === "later") {
        const againAtMs = nowMs + result.retryInMs;
        if (holdsAllUp.includes(result.reason)) {
          heldUp.push(one);
          resumeAtMs = Math.max(resumeAtMs, againAtMs);
          continue;
        }
        if (later.size < laterMax || later.has(one.id)) later.set(one.id, againAtMs);
        else again = true;
      } else later.delete(one.id);
      finish(one);
    }
    queue.unshift(...heldUp);
    const granted = people.length - heldUp.length;
    if (heldUp.length > 0) size = sizes.fit(granted);
    else if (granted >= size) size = Math.min(size * 2, sizes.max);
    const leftMs = resumeAtMs - clock.monotonicMs();
    if (await onResults(results, isPause(leftMs) ? leftMs : null)) enough = true;
  };
  const lane = async (): Promise<void> => {
    while (!halted()) {
      await pauseUntil(() => resumeAtMs);
      // The next page is read while the last steps of this one are asked.
      if (!listedAll && queue.length < sizes.max * sizes.lanes) {
        const more = listMore();
        if (queue.length === 0) await more;
        else more.catch(() => {});
      }
      if (halted()) return;
      const people = queue.splice(0, size);
      if (people.length > 0) await step(people);
      else if (listedAll) return;
    }
  };
  const runLanes = async (): Promise<void> => {
    const guarded = () =>
      lane().catch((error: unknown) => {
        enough = true;
        throw error;
      });
    const ends = await Promise.allSettled(Array.from({ length: sizes.lanes }, guarded));
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  };

  for (;;) {
    await runLanes(); // whoever puts people back goes on with them itself, so nobody is left over
    while (later.size > 0 && !halted()) {
      await pauseUntil(() => Math.max(resumeAtMs, Math.min(...later.values())));
      const due = [...later].filter(([, atMs]) => atMs <= clock.monotonicMs());
      queue.push(...due.map(([id]) => ({ id, page: null })));
      await runLanes();
    }
    if (halted()) return false;
    if (!again) return true;
    assert(queue.length === 0 && pages.length === 0, "a walk ends with nobody in hand");
    again = false;
    [listedTo, listedAll] = [null, false];
    [left, listed] = [limit === null ? Number.POSITIVE_INFINITY : limit - done(), 0];
    onCursor(null);
  }
}

/** Steps: how many people the first one takes, and any at most; how many are under way; the size after `granted` were. */
function sizesOf({ login }: Pick<Account, "login">, batchSize: number) {
  if (login === "facebook") {
    const fit = (people: number) => Math.max(1, Math.ceil(people / batchSizeMax)) * batchSizeMax;
    return { first: fit(batchSize), max: batchStepMax, lanes: batchLanes, fit };
  }
  const max = Math.min(batchSize, singleStepMax);
  return { first: max, max, lanes: singleLanes, fit: (people: number) => Math.max(1, people) };
}

/** A whole request where the inbox's answers told of room; else one call, which shows how much there is. */
async function firstCallsOf(budget: ProfilesDependencies["budget"], { id, login }: Account): Promise<number> {
  if (login !== "facebook") return 1;
  const { learned, percent } = await budget.state(id, "conversations");
  return learned !== null && (percent ?? 0) < roomPercentMax ? batchSizeMax : 1;
}

/** Reads the account's row only once in a while. */
function rememberAccess(
  accounts: ProfilesDependencies["accounts"],
  clock: Pick<Clock, "monotonicMs">,
): (id: AccountId) => AccessReading {
  let known: { readonly of: AccessReading; readonly atMs: number } | null = null;
  return (id) => {
    const atMs = clock.monotonicMs();
    if (known !== null && atMs - known.atMs < accessTrustMs) return known.of;
    const of = accounts.readAccess(id);
    known = { of, atMs };
    of.reading.catch(() => {
      known = null;
    });
    return of;
  };
}

/** What is shorter is the budget's pace, and no pause to speak of. */
const isPause = (leftMs: number): boolean => leftMs > countdownMs;

/** Reasons to wait that are everybody's, and not one person's own. */
const holdsAllUp: readonly string[] = ["throttled", "graph_away"];

/** A step that began is finished: the first Ctrl-C only stops new ones. */
const never = new AbortController().signal;
