import firstTables from "../../sql/migrations/0001_first_tables.sql" with { type: "text" };
import reliability from "../../sql/migrations/0002_reliability.sql" with { type: "text" };
import leaseOwner from "../../sql/migrations/0003_lease_owner.sql" with { type: "text" };
import profileReasons from "../../sql/migrations/0004_profile_reasons.sql" with { type: "text" };
import backfillRuns from "../../sql/migrations/0005_backfill_runs.sql" with { type: "text" };
import importSource from "../../sql/migrations/0006_import_source.sql" with { type: "text" };
import erasures from "../../sql/migrations/0007_erasures.sql" with { type: "text" };
import stateStatistics from "../../sql/migrations/0008_state_statistics.sql" with { type: "text" };
import checkStorage from "../../sql/queries/check-storage.sql" with { type: "text" };
import { SyncError } from "../domain/error.ts";
import type { Database } from "./database.ts";

/** Every schema change there ever was, in order. Forward only; a landed one is never edited. */
export const migrations = [
  { version: 1, name: "first_tables", text: firstTables },
  { version: 2, name: "reliability", text: reliability },
  { version: 3, name: "lease_owner", text: leaseOwner },
  { version: 4, name: "profile_reasons", text: profileReasons },
  { version: 5, name: "backfill_runs", text: backfillRuns },
  { version: 6, name: "import_source", text: importSource },
  { version: 7, name: "erasures", text: erasures },
  { version: 8, name: "state_statistics", text: stateStatistics },
] as const;
/** The schema that this program reads and writes. */
export const schemaVersion = migrations.length;

/** Any two starting processes take the same lock; the number is ours and means nothing. */
const migrationLock = 7_172_026;
/** One statement of a migration may take long on a filled table; nobody waits for an answer meanwhile. */
const migrationStatementMs = 600_000;
/** All of them together, with the wait for another process that is at it: beyond that the server is frozen. */
const migrationMs = 1_800_000;

/**
 * Brings the schema up to this program's version under a lock, so that any number of processes may start at once.
 * Answers how many steps it applied. Throws `schema_newer` where a newer program has been here.
 */
export async function migrate(database: Database): Promise<number> {
  const found = await readVersion(database);
  assertNotNewer(found);
  if (found === schemaVersion) return 0;
  let applied = 0;
  await database.inTransaction(
    async (run) => {
      await run(`set local statement_timeout = ${migrationStatementMs}`);
      await run(`select pg_advisory_xact_lock(${migrationLock})`);
      await run(`create table if not exists schema_migrations (version integer primary key, name text not null,
      applied_at timestamptz not null default now())`);
      const [row] = await run("select coalesce(max(version), 0)::int as version from schema_migrations");
      const before = Number(row?.version ?? 0);
      assertNotNewer(before);
      for (const { version, name, text } of migrations.filter((step) => step.version > before)) {
        await run(text);
        await run(`insert into schema_migrations (version, name) values (${version}, '${name}')`);
        applied += 1;
      }
    },
    "bring the schema up to date",
    migrationMs,
  );
  return applied;
}

/** The schema's version; 0 where there is none yet. */
export async function readVersion(database: Database, deadlineMs?: number): Promise<number> {
  const [table] = await database.query<{ present: boolean }>(
    "select to_regclass('schema_migrations') is not null as present",
    [],
    "read the schema's version",
    deadlineMs,
  );
  if (!table?.present) return 0;
  const [row] = await database.query<{ version: number }>(
    "select coalesce(max(version), 0)::int as version from schema_migrations",
    [],
    "read the schema's version",
    deadlineMs,
  );
  return row?.version ?? 0;
}

/**
 * Refuses a server that would lose what it acknowledged: `fsync` or `synchronous_commit` off, or older than 15.
 * `allowed` names what the operator accepts switched off.
 */
export async function assertDurable(database: Database, allowed: readonly string[]): Promise<{ version: string }> {
  const [row] = await database.query<{ version: string; fsync: string; synchronous_commit: string; standby: boolean }>(
    checkStorage,
    [],
    "read the database's settings",
  );
  const version = row?.version ?? "";
  if (Number.parseInt(version, 10) < 15)
    throw new SyncError(
      "storage_unsafe",
      `Cannot use this database: Postgres 15 or newer is needed, this is ${version}`,
    );
  const loose = [row?.fsync === "off" ? "fsync" : "", row?.synchronous_commit === "off" ? "synchronous_commit" : ""];
  const names = loose.filter((name) => name !== "" && !allowed.includes(name));
  if (names.length > 0 && !database.embedded)
    throw new SyncError(
      "storage_unsafe",
      `Cannot start: ${names.join(" and ")} is off, so the server can lose acknowledged messages (set SOCIAL_SYNC_ALLOW_UNSAFE_STORAGE=${names.join(",")} to accept that)`,
    );
  return { version };
}

function assertNotNewer(found: number): void {
  if (found > schemaVersion)
    throw new SyncError(
      "schema_newer",
      `Cannot use this database: its schema is version ${found}, this program knows up to ${schemaVersion}; use a newer social-sync`,
    );
}
