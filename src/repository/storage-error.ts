import { SyncError } from "../domain/error.ts";

/** Tells whether postgres.js gave up on the connection rather than on the statement. */
export function isConnectionError(error: unknown): boolean {
  const code = codeOf(error);
  return /^(CONNECT|CONNECTION_|E[A-Z]+$|08|57P0|25006|53)/.test(code);
}

/** Two writers met: the same statement may be sent again. */
export function isRetryable(error: unknown): boolean {
  return ["40001", "40P01"].includes(codeOf(error));
}

/** A plan that this connection kept no longer fits the tables, or the server has forgotten it: a new connection makes a new one. */
export function isStalePlan(error: unknown): boolean {
  return ["0A000", "26000"].includes(codeOf(error));
}

/** What asking again does not change: password, certificate, rights, a database, schema or table that is not as it must be. */
const refusals = /^(28|3D|3F|42|SASL_|AUTH_TYPE_)/;

/** Tells whether the server is only away (down, starting, full, too slow), rather than one that cannot be used. */
export function isAway(error: unknown): error is SyncError {
  return error instanceof SyncError && error.code === "storage_unavailable" && !refusals.test(codeOf(error.cause));
}

/** Data exception, cardinality, integrity, program limit: what a row alone can be guilty of. */
const rowsFault = /^(21|22|23|54)/;

/**
 * Turns whatever a statement threw into one of ours: `storage_unavailable` (try again later) or `statement_refused`
 * (the row is at fault). The cause keeps Postgres's own words; our sentence never repeats values.
 */
export function readStorageError(error: unknown, action: string): SyncError {
  if (error instanceof SyncError) return error;
  const code = codeOf(error);
  // A code that we do not know counts as the server's trouble: a message is rather stored late than set aside.
  if (!rowsFault.test(code))
    return new SyncError(
      "storage_unavailable",
      `Cannot ${action}: the database does not answer (${code || "no code"})`,
      {
        cause: error,
      },
    );
  return new SyncError("statement_refused", `Cannot ${action}: Postgres refused the statement (${code})`, {
    cause: error,
  });
}

function codeOf(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
}
