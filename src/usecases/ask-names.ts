import type { Budget, Grant, Lane } from "../budget/budget.ts";
import type { AccountAccess } from "../domain/account.ts";
import { nullIfInterrupted } from "../domain/error.ts";
import type { Lookup } from "../domain/profile.ts";
import type { GraphClient } from "../graph/graph-client.ts";
import { type Clock, wait } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { LookupsRepository } from "../repository/lookups.ts";

/**
 * A name whose turn is later than this is left out: a window of lookups is not held up for a name alone. Only a customer
 * who is there is waited for; a backfill takes the turns that are free.
 */
export const nameWaitMsMax = 5_000;

export type NamesDependencies = {
  lookups: Pick<LookupsRepository, "saveUsernames">;
  budget: Pick<Budget, "take" | "settle">;
  graph: Pick<GraphClient, "fetchUsername">;
  clock: Pick<Clock, "after" | "monotonicMs">;
  log: Pick<Log, "debug">;
};

/**
 * Asks the inbox for the usernames of people whose profile Instagram refused: one call a person, paced for all
 * processes together. What cannot be asked soon is left out; the next refusal asks again. Throws `storage_unavailable`.
 */
export async function askNames(
  { lookups, budget, graph, clock, log }: NamesDependencies,
  { access, people }: { readonly access: AccountAccess; readonly people: readonly Lookup[] },
  { lane, signal }: { readonly lane: Lane; readonly signal: AbortSignal },
): Promise<void> {
  const waitMsMax = lane === "live" ? nameWaitMsMax : 0;
  /** Null: no turn soon enough. */
  const takeTurn = async (): Promise<Grant | null> => {
    const latestMs = clock.monotonicMs() + waitMsMax;
    for (;;) {
      const ask = { accountId: access.id, pool: "conversations", lane, calls: 1 } as const;
      const { granted, resumeInMs, grant } = await budget.take(ask);
      if (granted > 0) return grant;
      if (clock.monotonicMs() + resumeInMs > latestMs || !(await wait(clock, resumeInMs, signal))) return null;
    }
  };
  for (const { conversationId, participantId } of people) {
    const grant = await takeTurn();
    if (grant === null) return;
    const answer = await graph.fetchUsername(access, participantId, signal).catch(nullIfInterrupted);
    const throttle = answer?.kind === "throttled" ? { scope: answer.scope, resumeInMs: answer.resumeInMs } : null;
    await budget.settle(grant, { callsMade: answer === null ? 0 : 1, usage: null, throttle });
    if (answer === null) return;
    log.debug(`The inbox was asked for the name of participant ${participantId}`, "InstagramApiService", {
      answer: answer.kind,
    });
    if (answer.kind === "named") await lookups.saveUsernames([{ conversationId, username: answer.username }]);
    if (answer.kind === "blocked" || answer.kind === "throttled") return;
  }
}
