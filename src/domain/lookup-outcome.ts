import type { Evidence, LookupAnswer, ProfileOutcome } from "./profile.ts";

/** Attempts on one person before the lookup is given up for now (spec §4). Pauses and cache hits are none. */
export const attemptsMax = 3;
/** Back-off after the first, second and third attempt: 1 s, 4 s, 16 s, each with full jitter. */
export const backOffFirstMs = 1_000;
export const backOffFactor = 4;

const hourMs = 3_600_000;
/** A person who is gone is not asked for again before this. */
export const goneRetryMs = 30 * 24 * hourMs;
/** Instagram calls some people unavailable for a while only. */
export const unavailableRetryMs = 24 * hourMs;
/** A lookup that failed on all attempts is armed again after this, without any event. */
export const failedRetryMs = hourMs;
/** Where Instagram throttles and names no time, the budget's own pause decides; this is only its floor. */
export const throttledRetryFloorMs = 1_000;

/** Waits before the next attempt: chance in [0, 1) spreads it over the whole window. */
export function backOffMs(attempts: number, chance: number): number {
  return Math.round(backOffFirstMs * backOffFactor ** (attempts - 1) * chance);
}

/**
 * What an answer means for a person on whom `attemptsBefore` attempts were spent: the one table from Instagram's
 * answers to the states of spec §4. `chance` is in [0, 1). Pure.
 */
export function decideOutcome(answer: LookupAnswer, attemptsBefore: number, chance: number): ProfileOutcome {
  switch (answer.kind) {
    case "found":
      return { kind: "found", profile: answer.profile, source: "graph" };
    case "absent": {
      const base = {
        kind: "absent",
        reason: answer.reason,
        attempts: attemptsBefore + 1,
        evidence: answer.evidence,
      } as const;
      if (answer.reason === "no_consent") return { ...base, status: "no_consent", retryInMs: null };
      const retryInMs = answer.reason === "unavailable" ? unavailableRetryMs : goneRetryMs;
      return { ...base, status: "not_found", retryInMs };
    }
    case "blocked":
      return blockedOutcome(answer.reason, attemptsBefore, answer.evidence);
    case "throttled":
      return {
        kind: "later",
        reason: "throttled",
        attempts: attemptsBefore,
        retryInMs: Math.max(answer.resumeInMs ?? 0, throttledRetryFloorMs),
        evidence: answer.evidence,
      };
    case "failed": {
      const attempts = attemptsBefore + 1;
      const base = { reason: answer.reason, attempts, evidence: answer.evidence } as const;
      // Asking for what does not exist is our bug: the same question would bring the same answer.
      if (answer.reason === "bad_request") return { ...base, kind: "absent", status: "failed", retryInMs: null };
      // Missing or forbidden has been seen under throttling: once more, then it is an answer.
      if (answer.reason === "missing_or_forbidden" && attempts >= 2)
        return { ...base, kind: "absent", status: "not_found", retryInMs: goneRetryMs };
      if (attempts >= attemptsMax) return { ...base, kind: "absent", status: "failed", retryInMs: failedRetryMs };
      return { ...base, kind: "later", retryInMs: backOffMs(attempts, chance) };
    }
  }
}

/** The outcome for everybody of an account that cannot look people up: parked until the account changes. */
export function blockedOutcome(
  reason: Extract<LookupAnswer, { kind: "blocked" }>["reason"],
  attempts: number,
  evidence: Evidence | null,
): ProfileOutcome {
  return { kind: "absent", status: "account_blocked", reason, attempts, retryInMs: null, evidence };
}
