import type { Budget, Lane } from "../budget/budget.ts";
import type { AccountAccess } from "../domain/account.ts";
import { SyncError } from "../domain/error.ts";
import type { Lookup } from "../domain/profile.ts";
import type { GraphClient } from "../graph/graph-client.ts";
import { type Clock, wait } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { AccountsRepository } from "../repository/accounts.ts";
import type { LookupsRepository } from "../repository/lookups.ts";

/** Instagram takes 2 calls a second of an account on this edge (meta-platform.md §5.1); the rest is room for jitter. */
export const nameSpacingMs = 600;
/**
 * A name whose turn is later than this is left out: a window of lookups is not held up for a name alone. Only a customer
 * who is there is waited for; a backfill takes the turns that are free.
 */
export const nameWaitMsMax = 5_000;
/** After a throttled answer nobody's name is asked for so long. */
export const nameRestMs = 15 * 60_000;

export type NamesDependencies = {
  lookups: Pick<LookupsRepository, "saveUsernames">;
  accounts: Pick<AccountsRepository, "reserveNameCall">;
  budget: Pick<Budget, "take" | "settle">;
  graph: Pick<GraphClient, "fetchUsername">;
  clock: Pick<Clock, "after">;
  log: Pick<Log, "debug">;
};

/**
 * Asks the inbox for the usernames of people whose profile Instagram refused: one call a person, paced for all
 * processes together. What cannot be asked soon is left out; the next refusal asks again. Throws `storage_unavailable`.
 */
export async function askNames(
  { lookups, accounts, budget, graph, clock, log }: NamesDependencies,
  { access, people }: { readonly access: AccountAccess; readonly people: readonly Lookup[] },
  { lane, signal }: { readonly lane: Lane; readonly signal: AbortSignal },
): Promise<void> {
  const waitMsMax = lane === "live" ? nameWaitMsMax : 0;
  for (const { conversationId, participantId } of people) {
    const delayMs = await accounts.reserveNameCall(access.id, { spacingMs: nameSpacingMs, waitMsMax });
    if (delayMs === null || !(await wait(clock, delayMs, signal))) return;
    const { granted, grant } = await budget.take({ accountId: access.id, pool: "conversations", lane, calls: 1 });
    if (granted === 0) return;
    const answer = await graph.fetchUsername(access, participantId, signal).catch((error: unknown) => {
      if (error instanceof SyncError && error.code === "interrupted") return null;
      throw error;
    });
    const throttle = answer?.kind === "throttled" ? { scope: answer.scope, resumeInMs: answer.resumeInMs } : null;
    await budget.settle(grant, { callsMade: answer === null ? 0 : 1, usage: null, throttle });
    if (answer === null) return;
    log.debug(`The inbox was asked for the name of participant ${participantId}`, "InstagramApiService", {
      answer: answer.kind,
    });
    if (answer.kind === "throttled") {
      await accounts.reserveNameCall(access.id, {
        spacingMs: Math.max(nameRestMs, answer.resumeInMs ?? 0),
        waitMsMax: nameWaitMsMax,
      });
      return;
    }
    if (answer.kind === "named") await lookups.saveUsernames([{ conversationId, username: answer.username }]);
    if (answer.kind === "blocked") return;
  }
}
