import { randomBytes, randomUUID } from "node:crypto";
import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createBudget } from "./budget/budget.ts";
import { readBudgetUse } from "./budget/budget-use.ts";
import { openRedisLedger } from "./budget/redis-ledger.ts";
import { openProfileCache } from "./cache/profile-cache.ts";
import type { Config } from "./config.ts";
import { SyncError } from "./domain/error.ts";
import { createCircuit } from "./graph/circuit.ts";
import { createGraphClient } from "./graph/graph-client.ts";
import type { Clock } from "./lib/clock.ts";
import { lockFile } from "./lib/lock-file.ts";
import type { Log } from "./lib/log.ts";
import { createAccountsRepository } from "./repository/accounts.ts";
import { createCandidatesRepository } from "./repository/candidates.ts";
import { createConversationsRepository } from "./repository/conversations.ts";
import { createDaemonsRepository } from "./repository/daemons.ts";
import { openDatabase } from "./repository/database.ts";
import { createDatabaseMark } from "./repository/database-mark.ts";
import { createErasuresRepository } from "./repository/erasures.ts";
import { createEventsRepository } from "./repository/events.ts";
import { createInboxRepository } from "./repository/inbox.ts";
import { createLookupsRepository } from "./repository/lookups.ts";
import { assertDurable, migrate, schemaVersion } from "./repository/migrate.ts";
import { createReplayRepository } from "./repository/replay.ts";
import { createRunsRepository } from "./repository/runs.ts";
import { createSchedulesRepository } from "./repository/schedules.ts";
import { createVault, keyBytes, parseKey } from "./repository/vault.ts";
import { type BulkNamesInput, type BulkNamesIo, bulkNames } from "./usecases/bulk-names.ts";
import { createEnrich } from "./usecases/enrich.ts";
import { createExplain } from "./usecases/explain.ts";
import type { RunSeat } from "./usecases/open-run.ts";
import { aliveWithinMs } from "./usecases/schedules.ts";

/** Profiles the in-process cache holds: some 40 MB at most. */
export const cacheEntriesMax = 50_000;
/** A command asks for each person once: what it finds is of use to others, who share a Redis, and hardly to itself. */
const commandCacheEntriesMax = 1_000;

export type RuntimeIo = {
  clock: Clock;
  log: Log;
  /** A daemon holds the data folder alone; a command needs it only where the database lives in it. */
  role: "daemon" | "command";
};

export type Runtime = Awaited<ReturnType<typeof openRuntime>>;

/**
 * The composition root: opens every adapter that a daemon and a command share, and closes them last in, first out.
 * A command's database is ready then; a daemon calls `prepareDatabase()` itself, since it can do without for a while.
 * Throws `SyncError`s that say what is wrong with the set-up.
 */
export async function openRuntime(config: Config, { clock, log, role }: RuntimeIo) {
  await using opening = new AsyncDisposableStack();
  const folder = config.dataFolder;
  prepareFolder(folder);
  if (role === "daemon" || config.databaseUrl === null) {
    const lock = lockFolder(folder);
    opening.defer(() => lock.close());
  }
  const database = opening.use(await openDatabase({ url: config.databaseUrl, dataFolder: folder, clock, log }));
  const mark = config.databaseUrl === null ? null : createDatabaseMark(config.databaseUrl, folder, log);
  let databaseVersion: string | null = null;
  /** Refuses a database that is not fit, and brings the schema up to date. Nothing is written into the tables before. */
  const prepareDatabase = async (): Promise<void> => {
    const { version } = await assertDurable(database, config.allowUnsafeStorage);
    const applied = await migrate(database);
    if (applied > 0) log.log(`Schema brought up to date with ${applied} step(s)`, "Database");
    mark?.keep();
    databaseVersion = version;
  };
  if (role === "command") await prepareDatabase();

  const vault = createVault(readEncryptionKey(config.encryptionKey, folder));
  const accounts = createAccountsRepository(database, vault);
  const conversations = createConversationsRepository(database);
  const candidates = createCandidatesRepository(database);
  const folderOwner = readLeaseOwner(folder);
  const leaseOwner = role === "daemon" ? folderOwner : null;
  const events = createEventsRepository(database, config.profileMaxAgeMs, leaseOwner);
  const lookups = createLookupsRepository(database, leaseOwner);
  const inbox = createInboxRepository(database);
  const runs = createRunsRepository(database);
  const replays = createReplayRepository(database);
  const erasures = createErasuresRepository(database);
  const schedules = createSchedulesRepository(database);
  const daemons = createDaemonsRepository(database);
  const cache = opening.use(
    await openProfileCache({
      url: config.redisUrl,
      timeoutMs: config.redisTimeoutMs,
      entriesMax: role === "daemon" ? cacheEntriesMax : commandCacheEntriesMax,
      clock,
      log,
    }),
  );
  const ceiling = config.ratePerHour === null ? null : Math.ceil(config.ratePerHour * (config.rateWindowMs / hourMs));
  const rules = { windowMs: config.rateWindowMs, ceiling };
  const { profileMaxAgeMs, inboxSpacingMs, redisUrl: url, redisTimeoutMs: timeoutMs } = config;
  const ledger = url === null ? null : opening.use(await openRedisLedger({ ...rules, url, timeoutMs, clock }));
  // A command says nothing of itself to Postgres: it is one more than those who do.
  const countDaemons = async () => (await daemons.countAlive(aliveWithinMs)) + (role === "command" ? 1 : 0);
  const shared = ledger === null ? null : { ledger, countDaemons };
  const budget = opening.use(createBudget({ ...rules, ceilingPerWindow: ceiling, inboxSpacingMs, clock, shared, log }));
  const graph = createGraphClient({ ...config.graph, appSecrets: config.appSecrets, clock, log });
  const circuit = createCircuit({ clock, log });
  const enrich = createEnrich({ lookups, accounts, cache, budget, graph, circuit, clock, log, profileMaxAgeMs });
  const listNames = (input: BulkNamesInput, io: BulkNamesIo) =>
    bulkNames({ graph, accounts, lookups, inbox, budget, circuit, clock, log }, input, io);
  // A command's own budget and circuit are fresh and have seen nothing: only the daemon can tell.
  const explain = createExplain({
    conversations,
    accounts,
    // A command by itself has a budget of its own, which tells nothing of the daemon's; in Redis it is everybody's.
    readBudget: async (id) => (role === "daemon" || config.redisUrl !== null ? readBudgetUse(budget, id) : null),
    readGraph: (login) => (role === "daemon" ? circuit.state(login) : null),
    clock,
    profileMaxAgeMs,
  });
  const owned = opening.move();
  return {
    config,
    clock,
    log,
    database,
    prepareDatabase,
    /** Of the server; null until `prepareDatabase()` is done. */
    databaseVersion: () => databaseVersion,
    /** Whether this data folder has worked with this very database before. */
    knowsDatabase: mark?.isKept() ?? false,
    schemaVersion,
    accounts,
    conversations,
    candidates,
    events,
    lookups,
    runs,
    replays,
    erasures,
    schedules,
    daemons,
    cache,
    budget,
    graph,
    circuit,
    enrich,
    listNames,
    explain,
    /** This process as an owner of backfill runs: the kernel says at once which of its folder's processes is dead. */
    sit: (instance: string): RunSeat => ({
      instance,
      folder: folderOwner,
      lock: (accountId) => lockFile(join(folder, `backfill-${accountId}.lock`)),
    }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const hourMs = 3_600_000;

function prepareFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new SyncError("folder_unusable", `Cannot use the data folder ${folder}: it cannot be written`, { cause });
  }
}

function lockFolder(folder: string): { close(): void } {
  let lock: { close(): void } | null;
  try {
    lock = lockFile(join(folder, "lock.db"));
  } catch (cause) {
    throw new SyncError("folder_unusable", `Cannot lock the data folder ${folder}: its lock file is unusable`, {
      cause,
    });
  }
  if (lock === null)
    throw new SyncError(
      "folder_locked",
      `Cannot use the data folder ${folder}: another social-sync holds it (set DATABASE_URL to let several work at once)`,
    );
  return lock;
}

/** The key from the settings, else the data folder's own, made at the first start. */
function readEncryptionKey(given: string | null, folder: string): Uint8Array {
  const path = join(folder, "encryption.key");
  const key = parseKey(given ?? readKept(path, () => randomBytes(keyBytes).toString("hex")));
  if (key === null)
    throw new SyncError(
      "config_invalid",
      `Cannot read the encryption key: ${given === null ? path : "SOCIAL_SYNC_ENCRYPTION_KEY"} is not 32 bytes as hex or base64`,
    );
  return key;
}

/** The name under which this folder's daemon takes leases; the folder's lock says that there is one daemon at most. */
function readLeaseOwner(folder: string): string | null {
  const owner = readKept(join(folder, "lease-owner"), randomUUID).trim();
  return owner === "" ? null : owner; // Cut by a full disk: leases then run out by themselves.
}

/** A line that the data folder keeps, for its owner alone: made at the first start. */
function readKept(path: string, make: () => string): string {
  try {
    writeFileSync(path, `${make()}\n`, { flag: "wx", mode: 0o600 });
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST"))
      throw new SyncError("folder_unusable", `Cannot keep ${path}: it cannot be written`, { cause });
  }
  return readFileSync(path, "utf8");
}
