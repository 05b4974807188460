import { type AccountId, type ConversationId, parseConversationId } from "../domain/ids.ts";
import { lacksName, throttledOutcome } from "../domain/lookup-outcome.ts";
import { attemptsMax } from "../domain/lookup-rules.ts";
import type { Lookup, ProfileOutcome } from "../domain/profile.ts";
import type { GraphClient } from "../graph/graph-client.ts";
import { chunk } from "../lib/chunk.ts";
import type { Clock } from "../lib/clock.ts";
import { passFaultPoint } from "../lib/fault-point.ts";
import type { Log } from "../lib/log.ts";
import type { AccessReading, AccountsRepository } from "../repository/accounts.ts";
import type { Claim, LookupsRepository } from "../repository/lookups.ts";
import { judgeAnswers, type VerdictDependencies } from "./account-verdict.ts";
import { askNames, type NamesDependencies } from "./ask-names.ts";
import { logOutcome } from "./log-outcome.ts";
import { type LookUpDependencies, type LookUpOptions, lookUp } from "./look-up.ts";

/** People of an account who are asked about before any of them is saved: a page account's 25 requests. */
export const roundMax = 1_250;
/** How long after its lease a round may begin, in ms: it must end before the lease does (lookups.ts, leaseMs). */
export const roundWithinMs = 10_000;

export type EnrichDependencies = Omit<LookUpDependencies, "log" | "clock"> & {
  lookups: Pick<LookupsRepository, "claimLookups" | "saveOutcomes" | "releaseLookups"> &
    VerdictDependencies["lookups"] &
    NamesDependencies["lookups"];
  accounts: Pick<AccountsRepository, "getAccess" | "readAccess"> & VerdictDependencies["accounts"];
  graph: Pick<GraphClient, "fetchProfiles" | "fetchUsername">;
  clock: Pick<Clock, "random" | "after" | "monotonicMs" | "nowMs">;
  log: Log;
};

export type EnrichOptions = LookUpOptions & {
  /** Also people who are not due: the caller chose them itself. */
  readonly force: boolean;
  /** No round begins after it fires; whoever is left is put off. */
  readonly halt?: AbortSignal;
  /** The caller holds them already: nobody else is claimed. */
  readonly leased?: readonly Lookup[];
  /** What the caller has read of the accounts a moment ago, for who asks often. */
  readonly readAccess?: (id: AccountId) => AccessReading;
};

/** What `enrich()` did about a conversation. `skipped`: nothing was to do, or somebody else does it. */
export type EnrichResult = ProfileOutcome | { readonly kind: "skipped"; readonly why: "missing" | "held" | "done" };

export type Enrich = ReturnType<typeof createEnrich>;

/**
 * Makes `enrich(ids, options)`: lease → cache → budget → Graph → guarded save, for many conversations at once; the one
 * way to a profile, for the daemon and the backfill. One result an id. Throws `storage_unavailable` only.
 */
export function createEnrich(dependencies: EnrichDependencies) {
  const { lookups, accounts, clock, log } = dependencies;
  return async function enrich(
    ids: readonly ConversationId[],
    options: EnrichOptions,
  ): Promise<ReadonlyMap<ConversationId, EnrichResult>> {
    const results = new Map<ConversationId, EnrichResult>();
    const held: Lookup[] = [];
    const { run = null, readAccess = accounts.readAccess, halt } = options;
    // Beside the claim, not behind it: a customer waits for both.
    const readings = new Map<AccountId, AccessReading>();
    for (const id of ids) {
      const accountId = parseConversationId(id)?.accountId;
      if (accountId !== undefined && !readings.has(accountId)) readings.set(accountId, readAccess(accountId));
    }
    for (const claim of options.leased?.map(taken) ?? (await lookups.claimLookups(ids, options.force, run))) {
      if (claim.kind === "taken") {
        const { lookup } = claim;
        // Attempts count a run (spec §4): what an earlier one used up is no reason to give up at the first failure.
        const spent = run !== null && lookup.attempts >= attemptsMax;
        held.push(spent ? { ...lookup, attempts: 0 } : lookup);
        log.debug(attempting(claim.lookup.conversationId), "ConversationService");
        continue;
      }
      results.set(claim.conversationId, { kind: "skipped", why: claim.kind });
      if (claim.kind === "missing") log.warn(`Conversation ${claim.conversationId} not found`, "ConversationService");
      if (claim.kind === "done")
        log.debug(`Conversation ${claim.conversationId} already has participant profile data`, "ConversationService");
    }
    passFaultPoint("claimed");
    const claimedAtMs = clock.monotonicMs();
    const isOver = () => halt?.aborted === true || clock.monotonicMs() - claimedAtMs > roundWithinMs;
    const byAccount = Map.groupBy(held, (lookup) => lookup.accountId);
    await Promise.all(
      [...byAccount].map(async ([accountId, group]) => {
        let reading = readings.get(accountId);
        for (const [at, round] of chunk(group, roundMax).entries()) {
          if (at > 0 && isOver()) {
            await lookups.releaseLookups(round);
            for (const one of round) results.set(one.conversationId, throttledOutcome(one.attempts, 0));
            continue;
          }
          const end = await finishRound(round, { accountId, reading }, options, results);
          if (end === "refused") reading = accounts.readAccess(accountId);
          if (end !== "lost") continue;
          for (const { conversationId: id } of group)
            if (!results.has(id)) results.set(id, { kind: "skipped", why: "held" });
          return;
        }
      }),
    );
    return results;
  };

  /** Answers and saves some of one account. `lost`: the run is somebody else's; `refused`: the account may not be asked on. */
  async function finishRound(
    round: readonly Lookup[],
    account: { readonly accountId: AccountId; readonly reading: AccessReading | undefined },
    options: EnrichOptions,
    results: Map<ConversationId, EnrichResult>,
  ): Promise<"done" | "lost" | "refused"> {
    const { run = null } = options;
    const { decided: outcomes, putOff, asked } = await lookUp(dependencies, account, round, options);
    for (const { lookup, outcome } of putOff) results.set(lookup.conversationId, outcome);
    passFaultPoint("answered");
    const saved = new Set(await lookups.saveOutcomes(outcomes, run));
    passFaultPoint("saved");
    // Nothing of a whole round was taken: the run is somebody else's, and so is what there is to say of the account.
    if (run !== null && outcomes.length > 0 && saved.size === 0) return "lost";
    for (const { lookup, outcome } of outcomes) {
      const lost = run !== null && !saved.has(lookup.conversationId); // another process has leased the person since
      results.set(lookup.conversationId, lost ? { kind: "skipped", why: "held" } : outcome);
      logOutcome(log, lookup, outcome, saved.has(lookup.conversationId));
    }
    if (asked === null) return "done";
    if (!(await judgeAnswers(dependencies, asked))) return "refused";
    const people = outcomes.filter(({ outcome }) => lacksName(outcome)).map(({ lookup }) => lookup);
    await askNames(dependencies, { access: asked.access, people }, options);
    return "done";
  }
}

const taken = (lookup: Lookup): Claim => ({ kind: "taken", lookup });
const attempting = (id: ConversationId) => `Attempting to enrich participant profile for conversation ${id}`;
