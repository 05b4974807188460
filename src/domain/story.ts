import type { Account } from "./account.ts";
import { type BudgetUse, describeFailing, describeState, type GraphHealth } from "./account-health.ts";
import type { LookupRecord } from "./lookup-record.ts";
import { lookupRules, type RearmEvent, rearmEvents } from "./lookup-rules.ts";
import { type Evidence, staleAtMs } from "./profile.ts";
import { reasonWords } from "./reason-words.ts";
import { describeMoment } from "./story-time.ts";

/** Why a profile looks as it does, in sentences for people. */
export type Story = {
  /** What was tried, and when. */
  readonly happened: readonly string[];
  /** What Instagram said, with its numbers; null where it said nothing against it. */
  readonly said: string | null;
  /** What happens next, and when. */
  readonly next: readonly string[];
  /** What a person can do; empty where nothing needs doing. */
  readonly advice: readonly string[];
};

export type StoryInput = {
  readonly record: LookupRecord;
  /** null: nobody has added the account. */
  readonly account: Account | null;
  /** null: only the daemon knows it. */
  readonly budget: BudgetUse | null;
  /** null: only the daemon knows it. */
  readonly graph: GraphHealth | null;
  /** How old a profile may grow before a message renews it. */
  readonly profileMaxAgeMs: number;
};

/** Tells one conversation's story from what is stored. Pure: the command and the API print the same. */
export function tellStory(input: StoryInput, nowMs: number): Story {
  const { record, account } = input;
  const words = record.status === "complete" ? null : reasonWords(record.reason);
  const advice = [words?.advice ?? null, account === null ? "Add the account: social-sync accounts add --help" : null];
  return {
    happened: tellPast(record),
    said: record.evidence === null && words === null ? null : tellAnswer(record.evidence, words?.means ?? null),
    next: tellNext(input, nowMs),
    advice: record.self || isEchoOnly(record) ? [] : [...new Set(advice.filter((line) => line !== null))],
  };
}

/** Written to, and never heard of: Instagram shows nobody's profile before they write (meta-platform.md §3.2). */
export function isEchoOnly({ lastInboundAtMs, self }: Pick<LookupRecord, "lastInboundAtMs" | "self">): boolean {
  return lastInboundAtMs === null && !self;
}

function tellPast(record: LookupRecord): string[] {
  const { lastInboundAtMs, checkedAtMs, fetchedAtMs, attempts, status } = record;
  if (record.self) return ["These are the account's notes to itself: there is nobody to look up."];
  const lines = [
    lastInboundAtMs === null
      ? `The person has never written; the account wrote to them last at ${describeMoment(record.lastMessageAtMs)}.`
      : `The person wrote last at ${describeMoment(lastInboundAtMs)}.`,
  ];
  if (fetchedAtMs !== null) {
    const what = record.hasPicture ? "name and picture" : "name; Instagram has no picture of them that can be shown";
    lines.push(`Instagram described them at ${describeMoment(fetchedAtMs)}: ${what}.`);
  } else if (record.username !== null) {
    lines.push(`Their username @${record.username} is known from elsewhere: a comment, a mention or the inbox.`);
  }
  if (checkedAtMs === null) lines.push("They have not been looked up yet.");
  else if (fetchedAtMs === null || record.reason !== null) {
    const spent = attempts === 0 ? "" : `, attempt ${attempts}`;
    lines.push(`They were looked up last at ${describeMoment(checkedAtMs)}${spent}: ${status.replaceAll("_", " ")}.`);
  }
  return lines;
}

function tellAnswer(evidence: Evidence | null, means: string | null): string {
  if (evidence === null) return means ?? "";
  const { httpStatus, code, subcode, fbtraceId } = evidence;
  const parts = [
    httpStatus === null ? null : `HTTP ${httpStatus}`,
    code === null ? null : `code ${code}`,
    subcode === null ? null : `subcode ${subcode}`,
    fbtraceId === null ? null : `trace ${fbtraceId}`,
  ].filter((part) => part !== null);
  const answer = parts.length === 0 ? "No answer came." : `Instagram answered ${parts.join(", ")}.`;
  return means === null ? answer : `${answer} ${means}`;
}

function tellNext({ record, account, budget, graph, profileMaxAgeMs }: StoryInput, nowMs: number): string[] {
  if (record.self) return ["Nothing: the account itself is never looked up."];
  if (isEchoOnly(record)) return ["They are looked up as soon as they write, or tap an icebreaker or the menu."];
  if (record.held) return ["They are being looked up right now."];
  const lines: string[] = [];
  const blocked =
    account === null ? "Nobody has added the account, so nobody of it is looked up." : describeState(account, nowMs);
  if (blocked !== null) lines.push(account === null ? blocked : `The account ${account.ownId}: ${blocked}`);
  if (budget !== null && budget.stoppedForMs > 0)
    lines.push(
      `The account's calls rest until ${describeMoment(nowMs + budget.stoppedForMs)}: Instagram's limit is reached.`,
    );
  const failing = describeFailing(graph?.failingSinceMs ?? null);
  if (failing !== null) lines.push(failing);
  lines.push(tellDue(record, profileMaxAgeMs, nowMs));
  if (record.nextAttemptAtMs !== null && blocked === null) {
    const unknown = [budget === null ? "Instagram's limit" : null, graph === null ? "a failure of its servers" : null];
    const named = unknown.filter((what) => what !== null);
    if (named.length > 0)
      lines.push(`Whether ${named.join(" or ")} holds calls up now is unknown here: the daemon's GET /accounts tells.`);
  }
  return lines;
}

const isRuled = (reason: string | null): reason is keyof typeof lookupRules =>
  reason !== null && Object.hasOwn(lookupRules, reason);

/** What asks again, said of the first event that can. */
const asksAgain: Readonly<Record<RearmEvent, string>> = {
  message: "Their next message, or tap on an icebreaker or the menu, asks again.",
  token: "They are looked up as soon as the account may look people up again.",
  backfill: "A backfill asks again.",
  request: "Nothing happens by itself; POST …/enrich asks again.",
};

function tellDue(record: LookupRecord, profileMaxAgeMs: number, nowMs: number): string {
  const { nextAttemptAtMs, status, reason, fetchedAtMs, pictureExpiresAtMs } = record;
  if (nextAttemptAtMs !== null)
    return nextAttemptAtMs <= nowMs
      ? "They are due now, and are looked up as soon as calls may go."
      : `They are looked up again by themselves at ${describeMoment(nextAttemptAtMs)}.`;
  if (status === "complete" || status === "no_picture") {
    const dies =
      pictureExpiresAtMs === null ? "" : `; the picture's address works until ${describeMoment(pictureExpiresAtMs)}`;
    const againAtMs = fetchedAtMs === null ? nowMs : staleAtMs({ fetchedAtMs, pictureExpiresAtMs }, profileMaxAgeMs);
    const again =
      againAtMs <= nowMs ? "their next message" : `their first message from ${describeMoment(againAtMs)} on`;
    return `Nothing needs doing: ${again} looks them up again${dies}.`;
  }
  const events = isRuled(reason) ? lookupRules[reason].rearmedBy : rearmEvents;
  const first = rearmEvents.find((event) => events.includes(event)) ?? "request";
  return asksAgain[first];
}
