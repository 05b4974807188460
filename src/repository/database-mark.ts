import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../lib/log.ts";
import { messageOf } from "../lib/message-of.ts";

export type DatabaseMark = ReturnType<typeof createDatabaseMark>;

/**
 * The data folder's memory of the database that it last worked with. It tells a server that is away from an address
 * that was mistyped, so it names host, port, database and user; hashed, since it stands in a file, and never the password.
 */
export function createDatabaseMark(url: string, folder: string, log: Pick<Log, "warn">) {
  const path = join(folder, "known-database");
  const mark = markOf(url);
  const isKept = (): boolean => {
    try {
      return readFileSync(path, "utf8").trim() === mark;
    } catch {
      return false;
    }
  };
  return {
    /** Whether this folder has worked with this very database. What cannot be read counts as no. */
    isKept,
    /** Says that it works. Never throws: on a full disk the daemon only loses that a later start may do without the server. */
    keep(): void {
      if (isKept()) return;
      try {
        writeFileSync(path, `${mark}\n`, { mode: 0o600 });
      } catch (error) {
        log.warn(`The next start will need the database: ${path} cannot be written`, "Database", {
          reason: messageOf(error),
        });
      }
    },
  };
}

function markOf(url: string): string {
  const { hostname, port, pathname, username } = new URL(url);
  return createHash("sha256")
    .update(JSON.stringify([hostname, port || "5432", pathname.slice(1), username]))
    .digest("hex");
}
