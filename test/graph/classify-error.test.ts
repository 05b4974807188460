import { describe, expect, test } from "bun:test";
import { classifyError, readGraphError } from "../../src/graph/classify-error.ts";

type Row = readonly [code: number, subcode: number | null, expected: string];

const rows: readonly Row[] = [
  [230, null, "absent no_consent"],
  [9010, null, "absent gone"],
  [9009, null, "absent unavailable"],
  [100, 2534014, "absent invalid_id"],
  [110, null, "absent invalid_id"],
  [2018218, null, "absent gone"],
  [100, 2018218, "absent gone"],
  [2018247, null, "absent gone"],
  [100, 2018247, "absent gone"],
  [210, null, "absent not_visible"],
  [100, 2534013, "blocked page_not_linked"],
  [10, null, "blocked permission_missing"],
  [10, 2534077, "blocked permission_missing"],
  [200, null, "blocked permission_missing"],
  [200, 2534041, "blocked permission_missing"],
  [299, null, "blocked permission_missing"],
  ...[null, 458, 459, 460, 463, 464, 467, 492].map((subcode): Row => [190, subcode, "blocked token_dead"]),
  [102, null, "blocked token_dead"],
  [104, null, "blocked proof_refused"],
  [368, null, "blocked abuse_block"],
  [4, null, "throttled app"],
  [4, 1349210, "throttled app"],
  [341, null, "throttled app"],
  ...[17, 32, 613, 80000, 80001, 80002, 80006, 80014].map((code): Row => [code, null, "throttled account"]),
  [613, 1996, "throttled account"],
  [613, 2534040, "throttled account"],
  [100, 33, "failed missing_or_forbidden"],
  [100, null, "failed bad_request"],
  [100, 12345, "failed bad_request"],
  [2500, null, "failed bad_request"],
  [1, null, "failed server_error"],
  [2, null, "failed server_error"],
  [300, null, "failed unknown_code"],
  [80015, null, "failed unknown_code"],
  [-1, null, "failed unknown_code"],
  [36103, null, "failed unknown_code"],
];

describe("classifyError()", () => {
  for (const [code, subcode, expected] of rows) {
    // The status and is_transient never change what a known code means.
    for (const httpStatus of [200, 400, 403, 429, null]) {
      test(`takes ${code}/${subcode} with status ${httpStatus} for ${expected}`, () => {
        const error = { httpStatus, code, subcode, isTransient: false, fbtraceId: "AbC" };
        const answer = classifyError(error, 60_000);
        const detail = answer.kind === "throttled" ? answer.scope : answer.reason;
        expect(`${answer.kind} ${detail}`).toBe(expected);
        expect(answer.evidence).toEqual({ httpStatus, code, subcode, fbtraceId: "AbC" });
        if (answer.kind === "throttled") expect(answer.resumeInMs).toBe(60_000);
        const sure = expected !== "failed unknown_code";
        if (sure)
          expect(classifyError({ ...error, httpStatus: 500, isTransient: true }, 60_000).kind).toBe(answer.kind);
      });
    }
  }

  test("takes an unknown or missing code for a server error where it is transient or came with a 5xx", () => {
    const error = { httpStatus: 400, code: 99, subcode: null, isTransient: false, fbtraceId: null };
    for (const change of [{ httpStatus: 503 }, { isTransient: true }, { isTransient: true, code: null }]) {
      expect(classifyError({ ...error, ...change }, null)).toMatchObject({ kind: "failed", reason: "server_error" });
    }
    expect(classifyError({ ...error, code: null }, null)).toMatchObject({ reason: "unknown_code" });
  });
});

describe("readGraphError()", () => {
  test("reads codes in text and takes nothing else for an error", () => {
    expect(readGraphError(400, { error: { code: "190", error_subcode: "463" } })).toEqual({
      httpStatus: 400,
      code: 190,
      subcode: 463,
      isTransient: false,
      fbtraceId: null,
    });
    for (const body of [null, "error", [], {}, { error: "x" }, { error: null }, { error: [] }, undefined, 7]) {
      expect(readGraphError(400, body)).toBeNull();
    }
    const trace = readGraphError(400, { error: { code: 1.5, fbtrace_id: "a\nb" } });
    expect(trace).toMatchObject({ code: null, fbtraceId: null });
  });
});
