import { type AccountHealth, judgeAccount } from "../domain/account-health.ts";
import { isoOf, isoOrNull } from "./iso-time.ts";

/** An account's health as the API and `accounts check --json` show it. Never a token. */
export function buildAccountJson(health: AccountHealth, nowMs: number) {
  const { account, people, budget, graph } = health;
  const { state, problems } = judgeAccount(health, nowMs);
  return {
    id: account.ownId,
    instagramId: account.id,
    username: account.username,
    login: account.login,
    pageId: account.pageId,
    health: state,
    problems,
    state: account.state,
    stateReason: account.stateReason,
    stateSince: isoOf(account.stateSinceMs),
    pausedUntil: isoOrNull(account.stateUntilMs),
    token: {
      present: account.tokenSavedAtMs !== null,
      savedAt: isoOrNull(account.tokenSavedAtMs),
      expiresAt: isoOrNull(account.tokenExpiresAtMs),
    },
    people,
    graph: graph === null ? null : { failingSince: isoOrNull(graph.failingSinceMs) },
    budget:
      budget === null
        ? null
        : {
            used: budget.used,
            ceiling: budget.ceiling,
            usagePercent: budget.usagePercent,
            resumesAt: budget.stoppedForMs > 0 ? isoOf(nowMs + budget.stoppedForMs) : null,
          },
  };
}
