/** A fresh, migrated database with the repositories on it, for one test file. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { profileMaxAgeMsDefault } from "../../src/domain/profile.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLog, type LogFields, type LogLevel } from "../../src/lib/log.ts";
import { createAccountsRepository } from "../../src/repository/accounts.ts";
import { createCandidatesRepository } from "../../src/repository/candidates.ts";
import { createConversationsRepository } from "../../src/repository/conversations.ts";
import { createDaemonsRepository } from "../../src/repository/daemons.ts";
import { type Database, openDatabase } from "../../src/repository/database.ts";
import { createErasuresRepository } from "../../src/repository/erasures.ts";
import { createEventsRepository } from "../../src/repository/events.ts";
import { createInboxRepository } from "../../src/repository/inbox.ts";
import { createLookupsRepository } from "../../src/repository/lookups.ts";
import { migrate } from "../../src/repository/migrate.ts";
import { createReplayRepository } from "../../src/repository/replay.ts";
import { createRunsRepository } from "../../src/repository/runs.ts";
import { createSchedulesRepository } from "../../src/repository/schedules.ts";
import { createVault } from "../../src/repository/vault.ts";
import { openTestDatabase } from "./test-services.ts";

export const silentLog = createLog("error", () => {});
export const systemClock = createSystemClock();

/** A process's way to a Postgres that is there; several of them meet as several processes do. */
export const openDatabaseAt = (url: string | null): Promise<Database> =>
  openDatabase({ url, dataFolder: "/nowhere", clock: systemClock, log: silentLog });

/** In whose name `events` leases people. */
export const testOwner = "a data folder of the tests";

/** A log that keeps its lines. */
export function createRecordingLog() {
  const lines: { level: LogLevel; message: string; context: string; fields: LogFields }[] = [];
  const log = createLog("debug", (level, message, context, fields) => lines.push({ level, message, context, fields }));
  return { log, lines, messages: () => lines.map((line) => line.message) };
}

/** Everything below the use-cases on a database of its own: real Postgres, or the embedded one. `prepare` meets it empty. */
export async function openTestRepositories(
  kind: "postgres" | "embedded" = "postgres",
  prepare: (url: string) => Promise<void> = async () => {},
) {
  await using opening = new AsyncDisposableStack();
  const url = kind === "postgres" ? opening.use(await openTestDatabase()).url : null;
  const dataFolder = mkdtempSync(join(tmpdir(), "social-sync-test-"));
  opening.defer(() => rmSync(dataFolder, { recursive: true, force: true }));
  const database: Database = opening.use(await openDatabase({ url, dataFolder, clock: systemClock, log: silentLog }));
  if (url !== null) await prepare(url);
  await migrate(database);
  const owned = opening.move();
  return {
    url,
    database,
    accounts: createAccountsRepository(database, createVault(Buffer.alloc(32, 7))),
    conversations: createConversationsRepository(database),
    candidates: createCandidatesRepository(database),
    erasures: createErasuresRepository(database),
    events: createEventsRepository(database, profileMaxAgeMsDefault, testOwner),
    inbox: createInboxRepository(database),
    lookups: createLookupsRepository(database, null),
    runs: createRunsRepository(database),
    replays: createReplayRepository(database),
    schedules: createSchedulesRepository(database),
    daemons: createDaemonsRepository(database),
    /** Every row of a table, for comparing whole tables. */
    rows: (table: string, order: string) =>
      database.query<Record<string, unknown>>(`select * from ${table} order by ${order}`, [], `read ${table}`),
    empty: () =>
      database.query(
        "truncate accounts, events, quarantine, conversations, messages, reactions, read_receipts, backfill_runs, known_usernames, daemons, schedules, erasures, erasure_salt",
        [],
        "empty the tables",
      ),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
export type TestRepositories = Awaited<ReturnType<typeof openTestRepositories>>;

/** What a backfill asks for that nobody has begun: everybody without a profile. */
export const missingProfiles = { scope: "missing", sinceMs: null, runNumber: null } as const;
