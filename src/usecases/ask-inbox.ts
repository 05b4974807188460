import type { Budget } from "../budget/budget.ts";
import type { AccountAccess } from "../domain/account.ts";
import { nullIfInterrupted } from "../domain/error.ts";
import { backOffMs } from "../domain/lookup-outcome.ts";
import { type FailureReason, graphsOwnFailures } from "../domain/profile.ts";
import type { Circuit } from "../graph/circuit.ts";
import type { Refusal } from "../graph/classify-error.ts";
import type { InboxReply } from "../graph/read-inbox.ts";
import { type Clock, wait } from "../lib/clock.ts";

/**
 * Tries of one question that Graph itself fails on. With the back-off that is some minutes, which a restart at Meta's
 * takes; beyond that the question, and not Graph, is the trouble.
 */
export const graphTriesMax = 6;
/** Tries of one whose answer makes no sense: the next is likely to be the same. */
export const oddTriesMax = 3;
/** No back-off is longer (meta-platform.md §5.5). */
export const backOffMsMax = 300_000;
/** A shorter wait is the pace of the edge, and no pause to speak of. */
export const toldPauseMsMin = 1_000;
/** How often a pause is told again while it runs. */
const countdownMs = 1_000;

export type AskInboxDependencies = {
  budget: Pick<Budget, "take" | "settle">;
  circuit: Pick<Circuit, "ask" | "note">;
  clock: Pick<Clock, "after" | "random">;
};

export type InboxIo = {
  readonly signal: AbortSignal;
  /** A call went out. */
  readonly onCall: () => void;
  /** So long nothing goes on, for a limit or for Graph's own trouble. */
  readonly onPause: (leftMs: number) => Promise<void>;
};

/** Why a question brought nothing. `too_much`: the same with less may go. `stopped`: the signal fired. */
export type Unanswered =
  | Exclude<Refusal, { kind: "throttled" }>
  | { readonly kind: "stopped" }
  | { readonly kind: "too_much" };

/** What was refused as asked: the same brings the same (§5.5). */
const settled: readonly FailureReason[] = ["bad_request", "missing_or_forbidden"];

function triesOf(reason: FailureReason): number {
  if (settled.includes(reason)) return 1;
  return graphsOwnFailures.includes(reason) ? graphTriesMax : oddTriesMax;
}

/**
 * Asks the inbox one thing until that is answered: paced by the shared budget of the conversations edge, in the lane of
 * backfills, as often as limits, back-offs and a Graph that is away want it. Where `canShrink`, a question that may have
 * been too much is given back at once. Throws nothing of its own.
 */
export async function askInbox<Found extends { readonly kind: string }>(
  { budget, circuit, clock }: AskInboxDependencies,
  question: {
    readonly access: AccountAccess;
    /** What Graph fails on, for the circuit: a thread's id, or the list itself. */
    readonly about: string;
    readonly canShrink: boolean;
    readonly send: (signal: AbortSignal) => Promise<InboxReply<Found | Refusal>>;
  },
  { signal, onCall, onPause }: InboxIo,
): Promise<Found | Unanswered> {
  const { access, about, canShrink, send } = question;
  const pause = async (forMs: number): Promise<void> => {
    for (let leftMs = forMs; leftMs > 0 && !signal.aborted; leftMs -= countdownMs) {
      if (forMs >= toldPauseMsMin) await onPause(leftMs);
      await wait(clock, Math.min(leftMs, countdownMs), signal);
    }
  };

  for (let tries = 1; ; ) {
    if (signal.aborted) return { kind: "stopped" };
    const ask = { accountId: access.id, pool: "conversations", lane: "backfill", calls: 1 } as const;
    const { granted, resumeInMs, grant } = await budget.take(ask);
    if (granted === 0) {
      await pause(resumeInMs);
      continue;
    }
    const pass = circuit.ask(access.login, access.id);
    if (pass.calls < 1) {
      await budget.settle(grant, { callsMade: 0, usage: null, throttle: null });
      await pause(pass.resumeInMs);
      continue;
    }
    onCall();
    const reply = await send(signal).catch(nullIfInterrupted);
    if (reply === null) {
      await budget.settle(grant, { callsMade: 1, usage: null, throttle: null });
      return { kind: "stopped" };
    }
    const { answer, usage } = reply;
    circuit.note(access.login, new Map([[about, answer]]));
    const throttle = isRefusal(answer) && answer.kind === "throttled" ? answer : null;
    await budget.settle(grant, { callsMade: 1, usage, throttle });
    if (!isRefusal(answer)) return answer;
    if (answer.kind === "throttled") continue; // the budget holds the next call back for as long as it takes
    if (answer.kind !== "failed") return answer;
    if (canShrink && isTooMuch(answer)) return { kind: "too_much" };
    if (tries >= triesOf(answer.reason)) return answer;
    await pause(Math.min(backOffMs(tries, clock.random()), backOffMsMax));
    tries += 1;
  }
}

/**
 * Whether less may be answered (meta-platform.md §7.2): "reduce the amount of data" is a code 1, and nothing but its
 * text, which is never read, tells it from an unknown error; a time-out may be the same.
 */
function isTooMuch({ reason, evidence }: Extract<Refusal, { kind: "failed" }>): boolean {
  return reason === "timeout" || (reason === "server_error" && evidence.code === 1);
}

const refusals: readonly string[] = ["absent", "blocked", "throttled", "failed"] satisfies Refusal["kind"][];
function isRefusal<Found extends { readonly kind: string }>(answer: Found | Refusal): answer is Refusal {
  return refusals.includes(answer.kind);
}
