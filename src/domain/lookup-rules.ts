import type { AccountState } from "./account.ts";
import type { LookupAnswer, PauseReason, ProfileStatus, ReasonCode } from "./profile.ts";

/**
 * What can ask for a person again beside the time. `message`: their next message, or tap on an icebreaker or the menu.
 * `token`: `accounts add`, or a probe that Instagram answered. `backfill`: a run over the account. `request`: POST …/enrich.
 */
export const rearmEvents = ["message", "token", "backfill", "request"] as const;
export type RearmEvent = (typeof rearmEvents)[number];

/** What one kind of answer means for the person, and for the account. */
export type LookupRule = {
  /** Where the person stands once the answer is taken as final. */
  readonly status: Exclude<ProfileStatus, "complete" | "no_picture" | "username_only" | "pending">;
  /** With so many attempts it is final; null: it says nothing about the person, and spends none. */
  readonly attempts: number | null;
  /** Wait before another of those attempts, in ms, with the answer standing meanwhile; null: the back-off, and no answer yet. */
  readonly againInMs: number | null;
  /** When the person is asked about again by itself, in ms; null: an event alone asks. */
  readonly rearmAfterMs: number | null;
  readonly rearmedBy: readonly RearmEvent[];
  /** The inbox may tell the username all the same; with one the person stands at `username_only`. */
  readonly asksForName: boolean;
  /** The whole account is refused: its new state, and when one person is asked as a probe (ms; null: never). */
  readonly account: { readonly state: Exclude<AccountState, "active">; readonly probeAfterMs: number | null } | null;
  /** One such answer is the person's; nearly everybody's is the app's access level. */
  readonly hintsAtAccess: boolean;
};

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** Attempts on one person before the lookup is given up for now (spec §4). Pauses and cache hits are none. */
export const attemptsMax = 3;
/** A person who is gone is not asked for again before this. */
export const goneRetryMs = 30 * dayMs;
/** Instagram calls some people unavailable for a while only. */
export const unavailableRetryMs = dayMs;
/** A lookup that failed on all attempts is armed again after this, without any event. */
export const failedRetryMs = hourMs;
/** Missing or forbidden has been seen under throttling (meta-platform.md §3.4): asked once more when that has passed. */
export const missingAgainMs = 5 * minuteMs;
/**
 * Whoever was refused for lack of consent and writes again is asked about again, but not sooner than this after the answer: one
 * who writes without end must not cost a call a message (meta-platform.md §10, 6 and 25). Stands in save-events.sql and save-outcomes.sql.
 */
export const consentAgainMs = 5 * minuteMs;
/** A permission that is missing for one person may be granted: asked again so often. */
export const permissionRetryMs = dayMs;
/** How long an account rests whose app's access level does not reach its people. */
export const accessPauseMs = hourMs;
/** Meta ends a block for abuse by itself, and names no time. */
export const abusePauseMs = dayMs;
/** A verdict on the access level takes so many people, such a share of them refused, within such a time (spec §4). */
export const accessPeopleMin = 10;
export const accessShareMin = 0.8;
export const accessWithinMs = hourMs;

const base = { againInMs: null, rearmAfterMs: null, account: null, hintsAtAccess: false, asksForName: false } as const;
const person: LookupRule = { ...base, status: "not_found", attempts: 1, rearmedBy: ["request"] };
const account: LookupRule = {
  ...base,
  status: "account_blocked",
  attempts: null,
  rearmedBy: ["token", "backfill", "request"],
};
const failure: LookupRule = {
  ...base,
  ...{ status: "failed", attempts: attemptsMax, rearmAfterMs: failedRetryMs, rearmedBy: ["backfill", "request"] },
};
const paused = (probeAfterMs: number | null) => ({ account: { state: "paused", probeAfterMs } }) as const;

/**
 * The one table from Instagram's answers to the states of spec §4: total over the error table of meta-platform.md §3.4.
 * A pause stands in no row: it is about the budget or Graph itself, and leaves the person where they are.
 */
export const lookupRules: Readonly<Record<Exclude<ReasonCode, PauseReason>, LookupRule>> = {
  no_consent: {
    ...person,
    status: "no_consent",
    rearmedBy: ["message", "request"],
    hintsAtAccess: true,
    asksForName: true,
  },
  gone: { ...person, rearmAfterMs: goneRetryMs },
  unavailable: { ...person, rearmAfterMs: unavailableRetryMs, asksForName: true },
  invalid_id: { ...person, rearmAfterMs: goneRetryMs },
  not_visible: { ...person, rearmAfterMs: goneRetryMs, asksForName: true },
  missing_or_forbidden: {
    ...person,
    attempts: 2,
    againInMs: missingAgainMs,
    rearmAfterMs: goneRetryMs,
    asksForName: true,
  },

  token_missing: account,
  token_unreadable: account,
  token_dead: { ...account, account: { state: "reauth_required", probeAfterMs: null } },
  permission_missing: { ...account, rearmAfterMs: permissionRetryMs, hintsAtAccess: true },
  page_not_linked: { ...account, ...paused(null) },
  access_level: { ...account, ...paused(accessPauseMs) },
  proof_refused: { ...account, ...paused(null) },
  abuse_block: { ...account, ...paused(abusePauseMs) },

  server_error: failure,
  timeout: failure,
  network: failure,
  bad_answer: failure,
  wrong_person: failure,
  not_answered: failure,
  unknown_code: failure,
  // Asking for what does not exist is our bug: the same question would bring the same answer.
  bad_request: { ...failure, attempts: 1, rearmAfterMs: null, rearmedBy: ["request"] },
};

/** The rule of an answer; null for a profile, and for a limit, which is nobody's state. */
export function ruleOf(answer: LookupAnswer): LookupRule | null {
  return answer.kind === "found" || answer.kind === "throttled" ? null : lookupRules[answer.reason];
}

/** Whether so many refused people among so many others are the app's access level and not theirs. */
export function isAccessLevel({ refused, others }: { readonly refused: number; readonly others: number }): boolean {
  const all = refused + others;
  return all >= accessPeopleMin && refused >= accessShareMin * all;
}

/**
 * What the answer to a probe says about an account that paused for `pausedFor`. `open`: people can be looked up again.
 * `shut`: it rests again. `unclear`: nothing was said; another probe follows soon.
 */
export function judgeProbe(answer: LookupAnswer, pausedFor: string | null): "open" | "shut" | "unclear" {
  if (answer.kind === "found") return "open";
  const rule = ruleOf(answer);
  if (rule === null || rule.status === "failed") return "unclear";
  if (rule.account !== null) return "shut";
  return rule.hintsAtAccess && pausedFor === "access_level" ? "shut" : "open";
}
