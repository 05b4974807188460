import { Database } from "bun:sqlite";

/**
 * Holds `path` for this process until `close()` or its death: an open exclusive SQLite transaction, which the kernel
 * ends on `kill -9` too. Answers null at once where another process holds it. Throws where the file cannot be made.
 */
export function lockFile(path: string): { close(): void } | null {
  const database = new Database(path, { create: true });
  try {
    database.run("pragma busy_timeout = 0");
    database.run("pragma journal_mode = delete");
    database.run("begin exclusive");
  } catch (error) {
    database.close();
    if (error instanceof Error && "code" in error && String(error.code).startsWith("SQLITE_BUSY")) return null;
    throw error;
  }
  return { close: () => database.close() };
}
