import {
  type BlockedReason,
  type Evidence,
  type FailureReason,
  type LookupAnswer,
  noEvidence,
} from "../domain/profile.ts";
import { isRecord } from "./parse-json.ts";

/** What Meta's error object says, as far as we look at it. Its texts are localised and are never read (§3.4). */
export type GraphError = {
  /** The answer's status, in a batch the item's own; only evidence, never a reason while there is a code. */
  readonly httpStatus: number | null;
  readonly code: number | null;
  readonly subcode: number | null;
  readonly isTransient: boolean;
  readonly fbtraceId: string | null;
};

/** Any answer but a found person. */
export type Refusal = Exclude<LookupAnswer, { kind: "found" }>;

/** Longest trace id that is kept as evidence. Meta's have 11 to 30 characters. */
export const traceIdLengthMax = 64;

const invalidId = 2534014;
const pageNotLinked = 2534013;
const noMessengerProfile = [2018218, 2018247];
const accountThrottles = [17, 32, 613];

function readCode(value: unknown): number | null {
  const code = typeof value === "string" && /^\d{1,12}$/.test(value) ? Number(value) : value;
  return typeof code === "number" && Number.isSafeInteger(code) ? code : null;
}

/** Reads `{"error":{…}}` out of a parsed body (meta-platform.md §3.4); null where the body holds no error object. */
export function readGraphError(httpStatus: number | null, body: unknown): GraphError | null {
  if (!isRecord(body) || !isRecord(body.error)) return null;
  const { code, error_subcode: subcode, is_transient: isTransient, fbtrace_id: traceId } = body.error;
  return {
    httpStatus,
    code: readCode(code),
    subcode: readCode(subcode),
    isTransient: isTransient === true,
    fbtraceId: typeof traceId === "string" && /^[\w+/=.-]+$/.test(traceId) ? traceId.slice(0, traceIdLengthMax) : null,
  };
}

/** A failure that came with no error object of Meta's. */
export function buildFailure(reason: FailureReason, httpStatus: number | null): Refusal {
  return { kind: "failed", reason, evidence: { ...noEvidence, httpStatus } };
}

/** Why the whole account is refused, by code; null where the code is about something else. */
function readBlock(code: number, subcode: number | null): BlockedReason | null {
  if (code === 190 || code === 102) return "token_dead";
  if (code === 104) return "proof_refused";
  if (code === 368) return "abuse_block";
  if (code === 100 && subcode === pageNotLinked) return "page_not_linked";
  // 210 and 230 stand in the same hundred and are about one person: classifyError() has taken them out before.
  if (code === 10 || (code >= 200 && code <= 299)) return "permission_missing";
  return null;
}

function readThrottle(code: number): "app" | "account" | null {
  if (code === 4 || code === 341) return "app";
  return accountThrottles.includes(code) || (code >= 80_000 && code <= 80_014) ? "account" : null;
}

/**
 * What an error means for a lookup, by code and subcode alone (meta-platform.md §3.4, §5.4). Total: a code that nobody
 * knows is `unknown_code`, or `server_error` where Meta calls it transient or sent a 5xx with it. A known code wins over
 * the HTTP status and over `is_transient`.
 *
 * A missing or wrong appsecret_proof is a plain 100 as well, told apart by its text only (§6.4). Here it is
 * `bad_request`; `processBatchReply()` knows more, since a 100 about a whole batch cannot be about a person.
 *
 * @param resumeInMs the pause that the answer's headers named, for a throttle; null where they named none
 */
export function classifyError(error: GraphError, resumeInMs: number | null): Refusal {
  const { code, subcode } = error;
  const { httpStatus, fbtraceId } = error;
  const evidence: Evidence = { httpStatus, code, subcode, fbtraceId };
  const transient = error.isTransient || (httpStatus !== null && httpStatus >= 500);
  const failed = (reason: FailureReason): Refusal => ({ kind: "failed", reason, evidence });
  if (code === null) return failed(transient ? "server_error" : "unknown_code");

  if (code === 230) return { kind: "absent", reason: "no_consent", evidence };
  if (code === 210) return { kind: "absent", reason: "not_visible", evidence };
  if (code === 9009) return { kind: "absent", reason: "unavailable", evidence };
  if (code === 9010) return { kind: "absent", reason: "gone", evidence };
  if (code === 110 || (code === 100 && subcode === invalidId)) {
    return { kind: "absent", reason: "invalid_id", evidence };
  }
  // Meta's table lists these two without saying whether they come as code or as subcode (S13).
  if (noMessengerProfile.includes(code) || (subcode !== null && noMessengerProfile.includes(subcode))) {
    return { kind: "absent", reason: "gone", evidence };
  }

  const blocked = readBlock(code, subcode);
  if (blocked !== null) return { kind: "blocked", reason: blocked, evidence };
  const scope = readThrottle(code);
  if (scope !== null) return { kind: "throttled", scope, resumeInMs, evidence };

  if (code === 100 && subcode === 33) return failed("missing_or_forbidden");
  if (code === 100 || code === 2500) return failed("bad_request");
  if (code === 1 || code === 2 || transient) return failed("server_error");
  return failed("unknown_code");
}
