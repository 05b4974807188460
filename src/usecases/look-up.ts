import type { Budget, Lane, Throttle } from "../budget/budget.ts";
import type { ProfileCache } from "../cache/profile-cache.ts";
import type { AccountAccess } from "../domain/account.ts";
import { nullIfInterrupted } from "../domain/error.ts";
import type { AccountId } from "../domain/ids.ts";
import {
  awayOutcome,
  blockedOutcome,
  decideOutcome,
  isAway,
  throttledOutcome,
  withUsername,
} from "../domain/lookup-outcome.ts";
import { attemptsMax } from "../domain/lookup-rules.ts";
import {
  type BlockedReason,
  batchSizeMax,
  type Lookup,
  type LookupAnswer,
  noEvidence,
  type ProfileOutcome,
  readBlockedReason,
  staleAtMs,
} from "../domain/profile.ts";
import type { RunHold, RunOptions } from "../domain/run.ts";
import type { Circuit } from "../graph/circuit.ts";
import type { GraphClient } from "../graph/graph-client.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { AccessReading, AccountsRepository } from "../repository/accounts.ts";
import type { LookupsRepository } from "../repository/lookups.ts";
import type { Asked } from "./account-verdict.ts";

export type LookUpDependencies = {
  lookups: Pick<LookupsRepository, "releaseLookups">;
  accounts: Pick<AccountsRepository, "getAccess">;
  cache: Pick<ProfileCache, "getProfiles" | "saveProfiles">;
  budget: Pick<Budget, "take" | "settle">;
  graph: Pick<GraphClient, "fetchProfiles">;
  circuit: Pick<Circuit, "ask" | "note">;
  clock: Pick<Clock, "random" | "nowMs">;
  /** How old a stored profile may be and still answer a lookup. */
  profileMaxAgeMs: number;
  log: Pick<Log, "warn">;
};

export type LookUpOptions = {
  readonly lane: Lane;
  readonly signal: AbortSignal;
  /** The backfill run they are looked up for: it counts them, and once somebody else holds it nothing is written. */
  readonly run?: RunHold & { readonly options: Pick<RunOptions, "scope"> };
  /** How many calls may go before any answer has told how much room there is (see ledger.ts); by default one. */
  readonly firstCalls?: number;
};

export type Decided = { lookup: Lookup; outcome: ProfileOutcome };

/** Answers leased lookups of one account from the cache, from what is stored, or by Graph; writes nothing of them. `putOff` are left as they were. */
export async function lookUp(
  { accounts, cache, budget, graph, circuit, clock, lookups, log, profileMaxAgeMs }: LookUpDependencies,
  { accountId, reading }: { readonly accountId: AccountId; readonly reading: AccessReading | undefined },
  group: readonly Lookup[],
  { lane, signal, run, firstCalls = 1 }: LookUpOptions,
): Promise<{ decided: Decided[]; putOff: Decided[]; asked: (Asked & { access: AccountAccess }) | null }> {
  const putOff: Decided[] = [];
  const nothing = (decided: Decided[]) => ({ decided, putOff, asked: null });
  const decided: Decided[] = [];
  // Who asks for everybody wants what Instagram says now.
  const takeKnown = run?.options.scope !== "everybody";
  const cached = await cache.getProfiles(accountId, takeKnown ? group.map((lookup) => lookup.participantId) : []);
  const asked: Lookup[] = [];
  for (const lookup of group) {
    const profile = cached.get(lookup.participantId);
    const { stored } = lookup;
    if (profile !== undefined) decided.push({ lookup, outcome: { kind: "found", profile, source: "cache" } });
    // The second level: a cache that is lost does not turn what Postgres knows into calls.
    else if (takeKnown && stored !== null && clock.nowMs() < staleAtMs(stored, profileMaxAgeMs))
      decided.push({ lookup, outcome: { kind: "found", profile: stored, source: "stored" } });
    else asked.push(lookup);
  }
  if (asked.length === 0) return nothing(decided);

  const entry = await accounts.getAccess(accountId, reading);
  if (entry.kind !== "ready") {
    const reason = entry.kind === "unknown" ? "token_missing" : readBlockedReason(entry.reason);
    return nothing([...decided, ...asked.map((lookup) => block(lookup, reason))]);
  }
  if (signal.aborted) {
    await lookups.releaseLookups(asked);
    return nothing(decided);
  }
  // A probe is one person: the others of an account that rests wait for what it brings.
  const { probeOf } = entry;
  if (probeOf !== null)
    for (const lookup of asked.splice(1)) decided.push(block(lookup, readBlockedReason(probeOf.reason)));

  const pass = circuit.ask(entry.access.login, accountId);
  for (const lookup of asked.splice(pass.calls))
    decided.push({ lookup, outcome: awayOutcome(lookup.attempts, pass.resumeInMs, clock.random()) });
  if (asked.length === 0) return nothing(decided);

  // A customer who waits is not left to the next request for its being full.
  const perRequest = lane === "live" || entry.access.login !== "facebook" ? 1 : batchSizeMax;
  const ask = { accountId, lane, calls: asked.length, perRequest, firstCalls };
  const { granted, resumeInMs, grant } = await budget.take(ask);
  // The backfill itself asks again for its people: armed, they would be the daemon's to look up, beside who writes now.
  const waiting = asked.slice(granted);
  if (lane === "backfill") await lookups.releaseLookups(waiting);
  const into = lane === "backfill" ? putOff : decided;
  for (const lookup of waiting) into.push({ lookup, outcome: throttledOutcome(lookup.attempts, resumeInMs) });
  const sent = asked.slice(0, granted);
  if (sent.length === 0) return nothing(decided);

  const reply = await graph
    .fetchProfiles(
      entry.access,
      sent.map((lookup) => lookup.participantId),
      signal,
      // What breaks a whole batch is perhaps one person's trouble: nobody else is given up for it.
      new Set(sent.filter(isLastAttempt).map((lookup) => lookup.participantId)),
    )
    .catch(async (error: unknown) => {
      await lookups.releaseLookups(sent); // told to stop, or a bug: either way nobody should wait for our leases
      return nullIfInterrupted(error);
    });
  if (reply === null) return nothing(decided);
  const { answers, usage, pictureRefused, callsMade } = reply;
  // Whoever waited for this probe need not wait for the next one.
  if (circuit.note(entry.access.login, answers))
    for (const one of decided)
      if (isAway(one.outcome)) one.outcome = awayOutcome(one.lookup.attempts, 0, clock.random());
  for (const participantId of pictureRefused)
    log.warn(
      `Picture of participant ${participantId} dropped: its address is not one of Instagram's picture hosts`,
      "InstagramApiService",
    );
  const pauseMs = await budget.settle(grant, { callsMade, usage, throttle: readThrottle(answers.values()) });
  for (const lookup of sent) {
    const answer = answers.get(lookup.participantId) ?? notAnswered;
    const outcome =
      answer.kind === "throttled"
        ? throttledOutcome(lookup.attempts, pauseMs ?? 0, answer.evidence)
        : withUsername(decideOutcome(answer, lookup.attempts, clock.random()), lookup.username);
    decided.push({ lookup, outcome });
  }
  await cache.saveProfiles(
    accountId,
    [...answers.values()].flatMap((answer) => (answer.kind === "found" ? [answer.profile] : [])),
  );
  const { access, sealedToken } = entry;
  return { decided, putOff, asked: { access, accountId, sealedToken, probeOf, answers: [...answers.values()] } };
}

const block = (lookup: Lookup, reason: BlockedReason): Decided => ({
  lookup,
  outcome: blockedOutcome(reason, lookup.attempts, null),
});

const isLastAttempt = ({ attempts }: Lookup): boolean => attempts >= attemptsMax - 1;

const notAnswered: LookupAnswer = { kind: "failed", reason: "not_answered", evidence: noEvidence };

/** What Instagram named for the whole call; null where nobody was throttled. */
function readThrottle(answers: Iterable<LookupAnswer>): Throttle | null {
  const throttled = [...answers].filter((answer) => answer.kind === "throttled");
  if (throttled.length === 0) return null;
  const longestMs = Math.max(...throttled.map((answer) => answer.resumeInMs ?? 0));
  return {
    scope: throttled.some((answer) => answer.scope === "app") ? "app" : "account",
    resumeInMs: longestMs > 0 ? longestMs : null,
  };
}
