import { lookupRules } from "./lookup-rules.ts";
import type { BlockedReason, Evidence, LookupAnswer, PauseReason, ProfileOutcome, ReasonCode } from "./profile.ts";

/** Back-off after the first, second and third attempt: 1 s, 4 s, 16 s, each with full jitter. */
export const backOffFirstMs = 1_000;
export const backOffFactor = 4;
/** Where Instagram throttles and names no time, the budget's own pause decides; this is only its floor. */
export const throttledRetryFloorMs = 1_000;

/** Waits before the next attempt: chance in [0, 1) spreads it over the whole window. */
export function backOffMs(attempts: number, chance: number): number {
  return Math.round(backOffFirstMs * backOffFactor ** (attempts - 1) * chance);
}

/**
 * What an answer means for a person on whom `attemptsBefore` attempts were spent, by `lookupRules`. `chance` is in
 * [0, 1). Pure.
 */
export function decideOutcome(answer: LookupAnswer, attemptsBefore: number, chance: number): ProfileOutcome {
  if (answer.kind === "found") return { kind: "found", profile: answer.profile, source: "graph" };
  const { evidence } = answer;
  if (answer.kind === "throttled") {
    const retryInMs = Math.max(answer.resumeInMs ?? 0, throttledRetryFloorMs);
    return throttledOutcome(attemptsBefore, retryInMs, evidence);
  }
  const { reason } = answer;
  const rule = lookupRules[reason];
  const attempts = rule.attempts === null ? attemptsBefore : attemptsBefore + 1;
  const isLast = rule.attempts === null || attempts >= rule.attempts;
  if (!isLast && rule.againInMs === null)
    return { kind: "later", reason, attempts, retryInMs: backOffMs(attempts, chance), evidence };
  // What is asked again only after minutes is an answer until then: no backfill waits for it.
  const retryInMs = isLast ? rule.rearmAfterMs : rule.againInMs;
  return { kind: "absent", status: rule.status, reason, attempts, retryInMs, evidence };
}

/** The same refusal of a person whose username is known: that much there is to show. Everything else stays as it is. */
export function withUsername(outcome: ProfileOutcome, username: string | null): ProfileOutcome {
  if (!lacksName(outcome) || username === null) return outcome;
  return { ...outcome, status: "username_only" };
}

/** Whether the inbox should be asked for the username of somebody whose question ended so. */
export function lacksName(outcome: ProfileOutcome): outcome is Extract<ProfileOutcome, { kind: "absent" }> {
  if (outcome.kind !== "absent" || isPause(outcome.reason)) return false;
  return outcome.status !== "username_only" && lookupRules[outcome.reason].asksForName;
}

const isPause = (reason: ReasonCode): reason is PauseReason => !Object.hasOwn(lookupRules, reason);

/** The outcome for somebody whom Instagram's limit holds up: no attempt is spent. */
export function throttledOutcome(
  attempts: number,
  resumeInMs: number,
  evidence: Evidence | null = null,
): Extract<ProfileOutcome, { kind: "later" }> {
  return { kind: "later", reason: "throttled", attempts, retryInMs: resumeInMs, evidence };
}

/** Spreads the return of those who waited for Graph, so that they do not all come in one moment. */
export const awaySpreadMs = 10_000;

/** The outcome for somebody who was not asked, since Graph fails of itself: no attempt is spent. `chance` is in [0, 1). */
export function awayOutcome(attempts: number, resumeInMs: number, chance: number): ProfileOutcome {
  const retryInMs = resumeInMs + Math.round(awaySpreadMs * chance);
  return { kind: "later", reason: "graph_away", attempts, retryInMs, evidence: null };
}

/** Whether somebody was not asked since Graph fails of itself. */
export function isAway(outcome: ProfileOutcome): boolean {
  return outcome.kind === "later" && outcome.reason === "graph_away";
}

/** The outcome for everybody of an account that cannot look people up: parked until the account changes. */
export function blockedOutcome(reason: BlockedReason, attempts: number, evidence: Evidence | null): ProfileOutcome {
  return { kind: "absent", status: "account_blocked", reason, attempts, retryInMs: null, evidence };
}
