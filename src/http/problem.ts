import { type ErrorCode, SyncError } from "../domain/error.ts";
import { baseHeaders } from "./answer.ts";

/**
 * Everything that can go wrong for a caller, as RFC 9457 problems. `detail` is what is said where the place of the
 * trouble knows nothing better: never the message of an exception that we did not write for callers.
 */
const problems = {
  bad_request: { status: 400, title: "Bad request", detail: "The request cannot be read." },
  unauthorized: {
    status: 401,
    title: "API key needed",
    detail: "Send one of the server's API keys: Authorization: Bearer <key>.",
  },
  unsigned: {
    status: 401,
    title: "Signature needed",
    detail: "X-Hub-Signature-256 is missing or does not belong to this body.",
  },
  forbidden: { status: 403, title: "Forbidden", detail: "The request is refused." },
  not_found: { status: 404, title: "Not found", detail: "There is nothing at this address." },
  method_not_allowed: { status: 405, title: "Method not allowed", detail: "This address does not take this method." },
  conflict: { status: 409, title: "Not possible now", detail: "The state of things does not allow it." },
  limited: { status: 429, title: "Limit reached", detail: "Instagram's limit is reached. Try again later." },
  too_slow: { status: 408, title: "Request timeout", detail: "The body took too long to arrive." },
  too_large: { status: 413, title: "Body too large", detail: "The body is larger than this server takes." },
  internal: { status: 500, title: "Internal error", detail: "Something went wrong here; the server's log says what." },
  unavailable: { status: 503, title: "Unavailable", detail: "The storage does not answer now. Try again soon." },
} as const;
export type ProblemKind = keyof typeof problems;

/** Long enough for a database to restart, short enough that nobody waits for nothing. */
const retryAfterSeconds = 5;

/** What the caller is told of each operating failure. A failure that no request can cause is `internal`. */
const problemOfCode: Record<ErrorCode, ProblemKind> = {
  usage_invalid: "bad_request",
  config_invalid: "internal",
  account_unknown: "not_found",
  account_conflict: "internal",
  conversation_unknown: "not_found",
  run_unknown: "not_found",
  token_refused: "internal",
  storage_unavailable: "unavailable",
  storage_unsafe: "unavailable",
  schema_newer: "unavailable",
  folder_locked: "internal",
  folder_unusable: "unavailable",
  statement_refused: "internal",
  payload_unreadable: "bad_request",
  daemon_unreachable: "unavailable",
  interrupted: "unavailable",
};

export function problemAnswer(
  kind: ProblemKind,
  detail?: string | null,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const { body, init } = buildProblem(kind, detail, headers);
  return new Response(body, init);
}

/** The same answer for every request: its text and headers are built once, so that refusing costs next to nothing. */
export function prepareProblem(kind: ProblemKind, headers: Readonly<Record<string, string>> = {}): () => Response {
  const { body, init } = buildProblem(kind, null, headers);
  return () => new Response(body, init);
}

function buildProblem(
  kind: ProblemKind,
  detail: string | null | undefined,
  headers: Readonly<Record<string, string>>,
): { readonly body: string; readonly init: { readonly status: number; readonly headers: Record<string, string> } } {
  const { status, title, detail: usual } = problems[kind];
  const body = { type: `urn:social-sync:problem:${kind}`, title, status, detail: detail ?? usual };
  return {
    body: JSON.stringify(body),
    init: {
      status,
      headers: {
        ...baseHeaders,
        "Content-Type": "application/problem+json",
        ...(kind === "unavailable" ? { "Retry-After": String(retryAfterSeconds) } : {}),
        ...headers,
      },
    },
  };
}

/** The problem a thrown value stands for. Only `usage_invalid` speaks to the caller in its own words: they are about the request. */
export function problemOf(error: unknown): { readonly kind: ProblemKind; readonly detail: string | null } {
  if (!(error instanceof SyncError)) return { kind: "internal", detail: null };
  return { kind: problemOfCode[error.code], detail: error.code === "usage_invalid" ? error.message : null };
}
