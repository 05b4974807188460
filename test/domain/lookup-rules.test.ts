import { describe, expect, test } from "bun:test";
import { decideOutcome } from "../../src/domain/lookup-outcome.ts";
import {
  abusePauseMs,
  accessPauseMs,
  failedRetryMs,
  goneRetryMs,
  judgeProbe,
  type LookupRule,
  lookupRules,
  missingAgainMs,
  permissionRetryMs,
  rearmEvents,
  ruleOf,
  unavailableRetryMs,
} from "../../src/domain/lookup-rules.ts";
import {
  absentReasons,
  blockedReasons,
  failureReasons,
  type LookupAnswer,
  type ProfileOutcome,
} from "../../src/domain/profile.ts";
import { classifyError } from "../../src/graph/classify-error.ts";

type Row = {
  readonly codes: readonly (readonly [code: number, subcode: number | null])[];
  /** How one person's question ends when every answer is this one, and what was waited before. */
  readonly ends: { readonly status: string; readonly attempts: number; readonly retryInMs: number | null };
  readonly waits?: readonly number[];
  readonly account?: LookupRule["account"];
};
const plain = (...codes: number[]): [number, null][] => codes.map((code) => [code, null]);
const parked = { status: "account_blocked", attempts: 0, retryInMs: null };
const failed = { status: "failed", attempts: 3, retryInMs: failedRetryMs };

/** meta-platform.md §3.4, row by row, in its own order. */
const table: Readonly<Record<string, Row>> = {
  "no consent": { codes: plain(230), ends: { status: "no_consent", attempts: 1, retryInMs: null } },
  gone: { codes: plain(9010), ends: { status: "not_found", attempts: 1, retryInMs: goneRetryMs } },
  unavailable: { codes: plain(9009), ends: { status: "not_found", attempts: 1, retryInMs: unavailableRetryMs } },
  "no valid id": {
    codes: [[100, 2534014], ...plain(110)],
    ends: { status: "not_found", attempts: 1, retryInMs: goneRetryMs },
  },
  "Page not linked": { codes: [[100, 2534013]], ends: parked, account: { state: "paused", probeAfterMs: null } },
  "missing or forbidden": {
    codes: [[100, 33]],
    ends: { status: "not_found", attempts: 2, retryInMs: goneRetryMs },
    waits: [missingAgainMs],
  },
  "field not known": { codes: [...plain(100, 2500)], ends: { status: "failed", attempts: 1, retryInMs: null } },
  "permission missing": {
    codes: [...plain(10, 200, 294, 299), [10, 2534077], [200, 2534041]],
    ends: { ...parked, retryInMs: permissionRetryMs },
  },
  "token dead": {
    codes: [
      ...[null, 458, 459, 460, 463, 464, 467, 492].map((subcode): [number, number | null] => [190, subcode]),
      [102, null],
    ],
    ends: parked,
    account: { state: "reauth_required", probeAfterMs: null },
  },
  "no Messenger profile": {
    codes: plain(2018218, 2018247),
    ends: { status: "not_found", attempts: 1, retryInMs: goneRetryMs },
  },
  "not visible": { codes: plain(210), ends: { status: "not_found", attempts: 1, retryInMs: goneRetryMs } },
  "bad proof": { codes: plain(104), ends: parked, account: { state: "paused", probeAfterMs: null } },
  "blocked for abuse": { codes: plain(368), ends: parked, account: { state: "paused", probeAfterMs: abusePauseMs } },
  "trouble at Instagram": { codes: plain(1, 2), ends: failed, waits: [1_000, 4_000] },
  "nobody knows": { codes: plain(7, 123_456), ends: failed, waits: [1_000, 4_000] },
};
const errorOf = (code: number, subcode: number | null) =>
  classifyError({ httpStatus: 400, code, subcode, isTransient: false, fbtraceId: null }, null);

/** Asks until an answer is final. */
function askOn(answer: LookupAnswer): { end: ProfileOutcome; waits: number[] } {
  const waits: number[] = [];
  for (let attempts = 0; attempts < 10; ) {
    const outcome = decideOutcome(answer, attempts, 1);
    if (outcome.kind === "found") throw new Error("found");
    if (outcome.kind === "absent" && outcome.attempts >= (ruleOf(answer)?.attempts ?? 0))
      return { end: outcome, waits };
    waits.push(outcome.retryInMs ?? 0);
    attempts = outcome.attempts;
  }
  throw new Error("asked for ever");
}

describe("lookupRules", () => {
  test.each(Object.entries(table))("%s: each of its codes ends the person's question as the table says", (_, row) => {
    for (const [code, subcode] of row.codes) {
      const answer = errorOf(code, subcode);
      const { end, waits } = askOn(answer);
      expect({ code, subcode, end, waits }).toMatchObject({ end: row.ends, waits: [...(row.waits ?? [])] });
      expect({ code, account: ruleOf(answer)?.account ?? null }).toEqual({ code, account: row.account ?? null });
    }
  });

  test.each([4, 17, 32, 341, 613, 80_000, 80_001, 80_002, 80_006, 80_014])(
    "code %d is a limit: it leaves the person where they are and spends no attempt",
    (code) => {
      expect(ruleOf(errorOf(code, null))).toBeNull();
      expect(decideOutcome(errorOf(code, null), 2, 1)).toMatchObject({ kind: "later", attempts: 2 });
    },
  );

  test("every reason has a rule, and every rule a way out by time or event", () => {
    expect(Object.keys(lookupRules).sort()).toEqual([...absentReasons, ...blockedReasons, ...failureReasons].sort());
    for (const { rearmedBy, rearmAfterMs } of Object.values(lookupRules)) {
      expect(rearmedBy.length).toBeGreaterThan(0);
      for (const event of rearmedBy) expect(rearmEvents).toContain(event);
      expect(rearmAfterMs === null || rearmAfterMs >= failedRetryMs).toBe(true);
    }
  });

  test("waits as long as the specification says", () => {
    expect([goneRetryMs, unavailableRetryMs, failedRetryMs].map((ms) => ms / 3_600_000)).toEqual([30 * 24, 24, 1]);
    for (const reason of ["gone", "invalid_id", "missing_or_forbidden"] as const)
      expect(lookupRules[reason].rearmAfterMs).toBe(goneRetryMs);
  });

  test("the access level rests the account for an hour, and only refusals of people hint at it", () => {
    expect(lookupRules.access_level.account).toEqual({ state: "paused", probeAfterMs: accessPauseMs });
    const hints = Object.entries(lookupRules).filter(([, rule]) => rule.hintsAtAccess);
    expect(hints.map(([reason]) => reason)).toEqual(["no_consent", "permission_missing"]);
  });
});

describe("judgeProbe()", () => {
  test.each([
    [230, "access_level", "shut"],
    [10, "access_level", "shut"],
    [230, "abuse_block", "open"],
    [9010, "access_level", "open"],
    [368, "abuse_block", "shut"],
    [190, "access_level", "shut"],
    [2, "access_level", "unclear"],
    [4, "access_level", "unclear"],
  ] as const)("code %d after a pause for %s leaves the account %s", (code, pausedFor, verdict) => {
    expect(judgeProbe(errorOf(code, null), pausedFor)).toBe(verdict);
  });
});
