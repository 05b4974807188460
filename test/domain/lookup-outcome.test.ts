import { describe, expect, test } from "bun:test";
import {
  type AccountId,
  conversationIdOf,
  type ParticipantId,
  parseAccountId,
  parseConversationId,
  parseParticipantId,
} from "../../src/domain/ids.ts";
import { backOffMs, decideOutcome } from "../../src/domain/lookup-outcome.ts";
import {
  attemptsMax,
  failedRetryMs,
  goneRetryMs,
  missingAgainMs,
  permissionRetryMs,
  unavailableRetryMs,
} from "../../src/domain/lookup-rules.ts";
import {
  absentReasons,
  blockedReasons,
  type Evidence,
  failureReasons,
  type LookupAnswer,
} from "../../src/domain/profile.ts";

const evidence: Evidence = { httpStatus: 400, code: 1, subcode: null, fbtraceId: null };

describe("decideOutcome()", () => {
  test.each(absentReasons)("%s is final and counts as one attempt", (reason) => {
    const outcome = decideOutcome({ kind: "absent", reason, evidence }, 0, 0.5);
    expect(outcome).toMatchObject({ kind: "absent", reason, attempts: 1 });
    const waits = reason === "no_consent" ? null : reason === "unavailable" ? unavailableRetryMs : goneRetryMs;
    expect(outcome).toMatchObject({ status: reason === "no_consent" ? "no_consent" : "not_found", retryInMs: waits });
  });

  test.each(blockedReasons)("%s parks the person until the account changes, and spends no attempt", (reason) => {
    const outcome = decideOutcome({ kind: "blocked", reason, evidence }, 2, 0.5);
    // What is missing for one person may be that person's own: it is asked again by itself.
    const retryInMs = reason === "permission_missing" ? permissionRetryMs : null;
    expect(outcome).toMatchObject({ kind: "absent", status: "account_blocked", attempts: 2, retryInMs });
  });

  test.each(failureReasons)("%s ends after at most three attempts", (reason) => {
    const answer: LookupAnswer = { kind: "failed", reason, evidence };
    const seen: string[] = [];
    for (let attempts = 0; seen.at(-1) !== "absent"; attempts++) {
      const outcome = decideOutcome(answer, attempts, 1);
      expect(outcome).toMatchObject({ attempts: attempts + 1, reason });
      seen.push(outcome.kind);
    }
    const expected = { bad_request: 1, missing_or_forbidden: 1 }[reason as string] ?? attemptsMax;
    expect(seen).toHaveLength(expected);
  });

  test("a failure that is given up for now is armed again by itself, a bug of ours is not", () => {
    expect(decideOutcome({ kind: "failed", reason: "timeout", evidence }, 2, 1)).toMatchObject({
      status: "failed",
      retryInMs: failedRetryMs,
    });
    expect(decideOutcome({ kind: "failed", reason: "bad_request", evidence }, 0, 1)).toMatchObject({
      status: "failed",
      retryInMs: null,
    });
  });

  test("missing or forbidden stands as an answer until it is asked once more, minutes later", () => {
    const answer: LookupAnswer = { kind: "failed", reason: "missing_or_forbidden", evidence };
    const stands = { kind: "absent", status: "not_found" };
    expect(decideOutcome(answer, 0, 1)).toMatchObject({ ...stands, attempts: 1, retryInMs: missingAgainMs });
    expect(decideOutcome(answer, 1, 1)).toMatchObject({ ...stands, attempts: 2, retryInMs: goneRetryMs });
  });

  test("a limit spends no attempt and waits at least as long as Instagram named", () => {
    const answer: LookupAnswer = { kind: "throttled", scope: "account", resumeInMs: 600_000, evidence };
    expect(decideOutcome(answer, 2, 0)).toMatchObject({ kind: "later", attempts: 2, retryInMs: 600_000 });
  });
});

describe("backOffMs()", () => {
  test("waits up to 1, 4 and 16 seconds, spread by chance over the whole window", () => {
    expect([1, 2, 3].map((attempts) => backOffMs(attempts, 1))).toEqual([1_000, 4_000, 16_000]);
    expect([1, 2, 3].map((attempts) => backOffMs(attempts, 0))).toEqual([0, 0, 0]);
    expect(backOffMs(3, 0.25)).toBe(4_000);
  });
});

describe("conversation ids", () => {
  test("are made of both ids and read back into them", () => {
    const id = conversationIdOf(
      parseAccountId("17841400000000001") as AccountId,
      parseParticipantId("111") as ParticipantId,
    );
    expect(parseConversationId(id)).toMatchObject({
      accountId: "17841400000000001",
      participantId: "111",
      conversationId: id,
    });
  });

  test.each(["", "1", "1_", "_1", "1_2_3", "1_2 3", `1_${"9".repeat(65)}`, "a_b\u0000", 7, null])(
    "%p is none",
    (text) => {
      expect(parseConversationId(text)).toBeNull();
    },
  );
});
