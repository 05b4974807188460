import type { Account } from "./account.ts";
import type { ProfileStatus } from "./profile.ts";
import { reasonWords } from "./reason-words.ts";
import { describeMoment } from "./story-time.ts";

/** What an account has used of its allowance of calls, and whether calls rest now. */
export type BudgetUse = {
  /** Calls counted in the window that ends now. */
  readonly used: number;
  /** Calls that may go in a window; null: nobody has said. */
  readonly ceiling: number | null;
  /** What Instagram's own headers told last, in per cent; null: nothing yet. */
  readonly usagePercent: number | null;
  /** How long no call goes, in ms; 0: one may go. */
  readonly stoppedForMs: number;
};

/** Whether Graph works at an account's host, as one process sees it. */
export type GraphHealth = {
  /** Since when it has failed of itself, so that it is only probed (ms since 1970); null: it answers. */
  readonly failingSinceMs: number | null;
};

/** Everything that decides whether an account's people get their names. */
export type AccountHealth = {
  readonly account: Account;
  readonly people: Readonly<Record<ProfileStatus, number>>;
  /** null: only the daemon knows it. */
  readonly budget: BudgetUse | null;
  /** null: only the daemon knows it. */
  readonly graph: GraphHealth | null;
};

export type Verdict = {
  /** `blocked`: nobody is looked up. `attention`: something will need a human soon, or calls rest for now. */
  readonly state: "ok" | "attention" | "blocked";
  /** Sentences: what is wrong, until when, and what to do. Empty where all is well. */
  readonly problems: readonly string[];
};

/** A token that ends so soon is told, so that somebody renews it in time. Meta's live 60 days. */
export const tokenWarningMs = 10 * 86_400_000;

/** What is wrong with an account, in sentences. Pure. */
export function judgeAccount(health: Omit<AccountHealth, "people">, nowMs: number): Verdict {
  const { account, budget, graph } = health;
  const blocks = [describeState(account, nowMs), describeTokenEnd(account, nowMs)].filter((text) => text !== null);
  const cautions = [
    describeTokenWarning(account, nowMs),
    describeStop(budget, nowMs),
    describeFailing(graph?.failingSinceMs ?? null),
  ].filter((text) => text !== null);
  const problems = [...blocks, ...cautions];
  return { state: blocks.length > 0 ? "blocked" : cautions.length > 0 ? "attention" : "ok", problems };
}

/** Why nobody of the account is looked up, by its state; null while it is active. */
export function describeState(account: Account, nowMs: number): string | null {
  const { state, stateReason, stateSinceMs, stateUntilMs, tokenSavedAtMs } = account;
  if (state === "active")
    return tokenSavedAtMs === null ? "It has no token: hand one over with social-sync accounts add." : null;
  const words = reasonWords(stateReason);
  const since = `since ${describeMoment(stateSinceMs)}`;
  const why = words === null ? "" : ` ${words.means}`;
  const advice = words?.advice ?? null;
  const then =
    stateUntilMs === null
      ? "Nobody is looked up until a token is handed over with social-sync accounts add; messages go on."
      : stateUntilMs <= nowMs
        ? "One person is asked as a probe now; everybody else follows if Instagram answers."
        : `One person is asked as a probe at ${describeMoment(stateUntilMs)}; everybody else follows if Instagram answers.`;
  const what = state === "reauth_required" ? "It must be authorised again" : "It is paused";
  return [`${what} ${since}.${why}`, then, ...(advice === null ? [] : [advice])].join(" ");
}

/** That Graph fails of itself, and what is done about it; null where it answers. */
export function describeFailing(sinceMs: number | null): string | null {
  if (sinceMs === null) return null;
  return `Instagram's own servers have failed since ${describeMoment(sinceMs)}: one person an account is asked every 30 s until they answer.`;
}

function describeTokenEnd({ tokenExpiresAtMs }: Account, nowMs: number): string | null {
  if (tokenExpiresAtMs === null || tokenExpiresAtMs > nowMs) return null;
  return `Its token expired at ${describeMoment(tokenExpiresAtMs)}: hand over a new one with social-sync accounts add.`;
}

function describeTokenWarning({ tokenExpiresAtMs }: Account, nowMs: number): string | null {
  if (tokenExpiresAtMs === null || tokenExpiresAtMs <= nowMs || tokenExpiresAtMs - nowMs > tokenWarningMs) return null;
  return `Its token expires at ${describeMoment(tokenExpiresAtMs)}: hand over a new one with social-sync accounts add before that.`;
}

function describeStop(budget: BudgetUse | null, nowMs: number): string | null {
  if (budget === null || budget.stoppedForMs <= 0) return null;
  return `Its calls rest until ${describeMoment(nowMs + budget.stoppedForMs)}: Instagram's limit is reached.`;
}
