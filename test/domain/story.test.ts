import { describe, expect, test } from "bun:test";
import type { Account } from "../../src/domain/account.ts";
import { type AccountId, parseConversationId, parseParticipantId } from "../../src/domain/ids.ts";
import type { LookupRecord } from "../../src/domain/lookup-record.ts";
import {
  absentReasons,
  blockedReasons,
  failureReasons,
  pauseReasons,
  profileStatuses,
} from "../../src/domain/profile.ts";
import { reasonWords } from "../../src/domain/reason-words.ts";
import { tellStory } from "../../src/domain/story.ts";

const nowMs = Date.UTC(2026, 10, 22, 12);
const key = parseConversationId("17841400000000001_5551234567890123");
if (key === null) throw new Error("unreachable");
const participantId = parseParticipantId("5551234567890123");
if (participantId === null) throw new Error("unreachable");

const account: Account = {
  id: key.accountId as AccountId,
  ownId: "shop",
  login: "instagram",
  pageId: null,
  username: null,
  state: "active",
  stateReason: null,
  stateSinceMs: nowMs - 3_600_000,
  stateUntilMs: null,
  tokenSavedAtMs: nowMs - 86_400_000,
  tokenExpiresAtMs: null,
};
const record: LookupRecord = {
  id: key.conversationId,
  accountId: "shop",
  instagramId: key.accountId,
  participantId,
  username: null,
  name: null,
  hasPicture: false,
  self: false,
  lastMessageAtMs: nowMs - 60_000,
  lastInboundAtMs: nowMs - 60_000,
  status: "pending",
  reason: null,
  attempts: 0,
  evidence: null,
  fetchedAtMs: null,
  checkedAtMs: null,
  pictureExpiresAtMs: null,
  nextAttemptAtMs: nowMs,
  held: false,
};
const maxAge = { profileMaxAgeMs: 7 * 86_400_000 };
const free = { used: 0, ceiling: null, usagePercent: null, stoppedForMs: 0 };
const told = (changes: Partial<LookupRecord>, of: Account | null = account) =>
  tellStory(
    { record: { ...record, ...changes }, account: of, budget: free, graph: { failingSinceMs: null }, ...maxAge },
    nowMs,
  );

describe("tellStory()", () => {
  test("tells a refusal for lack of consent with Instagram's numbers, and what asks again", () => {
    const story = told({
      status: "no_consent",
      reason: "no_consent",
      attempts: 1,
      checkedAtMs: nowMs - 50_000,
      nextAttemptAtMs: null,
      evidence: { httpStatus: 403, code: 230, subcode: null, fbtraceId: "AbC1" },
    });
    expect(story.happened).toEqual([
      "The person wrote last at 2026-11-22 11:59:00 UTC.",
      "They were looked up last at 2026-11-22 11:59:10 UTC, attempt 1: no consent.",
    ]);
    expect(story.said).toBe(
      "Instagram answered HTTP 403, code 230, trace AbC1. The person has not consented: Instagram shows a profile only of people who have written to the account.",
    );
    expect(story.next).toEqual(["Their next message, or tap on an icebreaker or the menu, asks again."]);
    expect(story.advice).toHaveLength(1);
  });

  test("names the subcode, and the time of the next attempt", () => {
    const story = told({
      status: "not_found",
      reason: "missing_or_forbidden",
      checkedAtMs: nowMs,
      nextAttemptAtMs: nowMs + 30 * 86_400_000,
      evidence: { httpStatus: 400, code: 100, subcode: 33, fbtraceId: null },
    });
    expect(story.said).toStartWith("Instagram answered HTTP 400, code 100, subcode 33.");
    expect(story.next).toEqual(["They are looked up again by themselves at 2026-12-22 12:00:00 UTC."]);
  });

  test("tells a paused account before the person, with the reason and until when", () => {
    const paused = {
      ...account,
      state: "paused",
      stateReason: "access_level",
      stateUntilMs: nowMs + 1_800_000,
    } as const;
    const { next, advice } = told({ status: "account_blocked", reason: "access_level", nextAttemptAtMs: null }, paused);
    expect(next[0]).toContain("The account shop: It is paused since 2026-11-22 11:00:00 UTC.");
    expect(next[0]).toContain("One person is asked as a probe at 2026-11-22 12:30:00 UTC");
    expect(next[1]).toBe("They are looked up as soon as the account may look people up again.");
    expect(advice[0]).toContain("Advanced Access");
  });

  test("promises nothing to those who are never looked up, or not before they write", () => {
    expect(told({ self: true, nextAttemptAtMs: null }).next).toEqual([
      "Nothing: the account itself is never looked up.",
    ]);
    expect(told({ lastInboundAtMs: null, nextAttemptAtMs: null }).next).toEqual([
      "They are looked up as soon as they write, or tap an icebreaker or the menu.",
    ]);
  });

  test("tells that calls rest, and that a lookup is under way", () => {
    const budget = { used: 5, ceiling: 5, usagePercent: 100, stoppedForMs: 90_000 };
    expect(
      tellStory({ record, account, budget, graph: { failingSinceMs: nowMs }, ...maxAge }, nowMs).next[0],
    ).toContain("rest until 2026-11-22 12:01:30 UTC");
    expect(
      tellStory({ record, account, budget: null, graph: { failingSinceMs: nowMs }, ...maxAge }, nowMs).next[0],
    ).toStartWith("Instagram's own servers have failed since 2026-11-22 12:00:00 UTC");
    expect(told({ held: true }).next).toEqual(["They are being looked up right now."]);
  });

  test("says what this process cannot know, and only where somebody waits", () => {
    const unseen = { account, budget: null, graph: null, ...maxAge };
    expect(tellStory({ ...unseen, record }, nowMs).next).toEqual([
      "They are due now, and are looked up as soon as calls may go.",
      "Whether Instagram's limit or a failure of its servers holds calls up now is unknown here: the daemon's GET /accounts tells.",
    ]);
    expect(tellStory({ ...unseen, budget: free, record }, nowMs).next[1]).toStartWith("Whether a failure of its");
    const known = { ...record, status: "complete", nextAttemptAtMs: null } as const;
    expect(tellStory({ ...unseen, record: known }, nowMs).next.join(" ")).not.toContain("unknown");
  });

  test("says from when on a message renews a profile: after a week, or on the last day of the picture's address", () => {
    const complete = { status: "complete", nextAttemptAtMs: null, fetchedAtMs: nowMs - 3_600_000 } as const;
    expect(told(complete).next).toEqual([
      "Nothing needs doing: their first message from 2026-11-29 11:00:00 UTC on looks them up again.",
    ]);
    expect(told({ ...complete, pictureExpiresAtMs: nowMs + 4 * 86_400_000 }).next).toEqual([
      "Nothing needs doing: their first message from 2026-11-25 12:00:00 UTC on looks them up again; the picture's address works until 2026-11-26 12:00:00 UTC.",
    ]);
    expect(told({ ...complete, fetchedAtMs: nowMs - 8 * 86_400_000 }).next).toEqual([
      "Nothing needs doing: their next message looks them up again.",
    ]);
  });

  test("says that nobody has added the account", () => {
    const { next, advice } = told({ status: "account_blocked", reason: "token_missing", nextAttemptAtMs: null }, null);
    expect(next[0]).toContain("Nobody has added the account");
    expect(advice).toContain("Add the account: social-sync accounts add --help");
  });

  test.each(profileStatuses)("has at least a past and a future for %s with every reason", (status) => {
    for (const reason of [
      null,
      "of_a_newer_program",
      ...pauseReasons,
      ...absentReasons,
      ...blockedReasons,
      ...failureReasons,
    ]) {
      const story = told({ status, reason, nextAttemptAtMs: null, checkedAtMs: nowMs });
      expect(story.happened.length).toBeGreaterThan(0);
      expect(story.next.length).toBeGreaterThan(0);
      for (const sentence of [...story.happened, ...story.next, ...story.advice]) {
        expect(sentence).toMatch(/^[A-Z].*[.…]$|--help$/);
        expect(sentence).not.toMatch(/undefined|null|NaN/);
      }
    }
  });
});

describe("reasonWords()", () => {
  test("knows every reason, and none that a newer program wrote", () => {
    for (const reason of [...absentReasons, ...blockedReasons, ...failureReasons, ...pauseReasons])
      expect(reasonWords(reason)?.means).toEndWith(".");
    expect(reasonWords("toString")).toBeNull();
    expect(reasonWords(null)).toBeNull();
  });
});
