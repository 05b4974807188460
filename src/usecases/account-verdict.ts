import type { AccountId } from "../domain/ids.ts";
import {
  accessPeopleMin,
  accessShareMin,
  accessWithinMs,
  isAccessLevel,
  judgeProbe,
  lookupRules,
  ruleOf,
} from "../domain/lookup-rules.ts";
import type { BlockedReason, LookupAnswer } from "../domain/profile.ts";
import { reasonWords } from "../domain/reason-words.ts";
import type { Log } from "../lib/log.ts";
import type { AccountsRepository } from "../repository/accounts.ts";
import type { LookupsRepository } from "../repository/lookups.ts";

export type VerdictDependencies = {
  accounts: Pick<AccountsRepository, "setState" | "resume">;
  lookups: Pick<LookupsRepository, "countRefused" | "parkRefused">;
  log: Pick<Log, "log" | "error">;
};

/** What one round of questions for an account brought. */
export type Asked = {
  readonly accountId: AccountId;
  readonly sealedToken: string;
  /** Why the account rested until this question, which was its probe; null: it was no probe. */
  readonly probeOf: { readonly reason: string | null } | null;
  readonly answers: readonly LookupAnswer[];
};

/**
 * Draws from the answers what they say about the whole account, and marks it. To be called once the people's own
 * outcomes are saved: nearly everybody's refusal is counted over what all daemons have written. Answers
 * whether the account may be asked on. Throws `storage_unavailable`.
 */
export async function judgeAnswers({ accounts, lookups, log }: VerdictDependencies, asked: Asked): Promise<boolean> {
  const { accountId, sealedToken, probeOf, answers } = asked;
  const pause = async (reason: BlockedReason): Promise<void> => {
    const change = lookupRules[reason].account;
    if (change === null) return;
    if (!(await accounts.setState(accountId, change.state, reason, sealedToken, change.probeAfterMs))) return;
    log.error(`Account ${accountId} looks nobody up for now: ${reasonWords(reason)?.means}`, context, {
      ...{ accountId, reason, advice: reasonWords(reason)?.advice, probeInMs: change.probeAfterMs },
    });
  };

  const refusal = answers.find((answer) => answer.kind === "blocked" && ruleOf(answer)?.account !== null);
  if (refusal?.kind === "blocked") {
    await pause(refusal.reason);
    return false;
  }
  const hinted = answers.some((answer) => ruleOf(answer)?.hintsAtAccess === true);
  if (probeOf !== null) {
    const said = answers.map((answer) => judgeProbe(answer, probeOf.reason));
    if (said.includes("open")) {
      if (await accounts.resume(accountId, sealedToken))
        log.log(`Account ${accountId} looks people up again`, context, { accountId, pausedFor: probeOf.reason });
      return true;
    }
    if (!said.includes("shut")) return false;
  } else if (!hinted || !(await reachesNobody(lookups, accountId))) return true;
  await pause("access_level");
  // They were refused with the others, not for themselves: the account's return takes them up again.
  await lookups.parkRefused(accountId, accessWithinMs);
  return false;
}

/** Whether nearly everybody who was looked up lately was refused (spec §4, meta-platform.md §3.2). */
async function reachesNobody(lookups: Pick<LookupsRepository, "countRefused">, accountId: AccountId): Promise<boolean> {
  const counted = await lookups.countRefused(accountId, {
    withinMs: accessWithinMs,
    peopleMin: accessPeopleMin,
    shareMin: accessShareMin,
  });
  return isAccessLevel(counted);
}

const context = "AccountVerdict";
