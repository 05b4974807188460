/** Every way an operation can fail that is not a bug and not an expected outcome. Closed: each roof maps all of them. */
export const errorCodes = [
  "usage_invalid",
  "config_invalid",
  "account_unknown",
  "account_conflict",
  "conversation_unknown",
  "run_unknown",
  "token_refused",
  "storage_unavailable",
  "storage_unsafe",
  "schema_newer",
  "folder_locked",
  "folder_unusable",
  "statement_refused",
  "payload_unreadable",
  "daemon_unreachable",
  "interrupted",
] as const;
export type ErrorCode = (typeof errorCodes)[number];

/** An operating failure: a sentence for people ("Cannot …: …"), a code for the machine, the evidence in `cause`. */
export class SyncError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "SyncError";
    this.code = code;
  }
}

/** For a `catch` around a question that a signal may end: null where it did; everything else is thrown on. */
export function nullIfInterrupted(error: unknown): null {
  if (error instanceof SyncError && error.code === "interrupted") return null;
  throw error;
}
