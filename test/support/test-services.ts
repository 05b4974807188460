/**
 * The Postgres and Redis that the tests of one run share. The gate names them in TEST_DATABASE_URL and
 * TEST_REDIS_URL; without it the first test that asks starts one for this process, which ends with the process.
 * A test takes a database of its own and never touches what it did not make.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Redis } from "ioredis";
import postgres from "postgres";
import { withDeadline } from "./bounded-wait.ts";
import { createRedisClient, readServerInfo, redisOwnerFile } from "./redis-server.ts";
import { openPostgres, openRedis, postgresMajorMin } from "./services.ts";

export type TestDatabase = AsyncDisposable & { readonly name: string; readonly url: string };
export type TestRedis = AsyncDisposable & { readonly url: string };

const adminTimeoutMs = 20_000; // Creating or dropping a database waits for a checkpoint of a busy server.
const databasePrefix = "social_sync_test_"; // What we may drop.
const redisCounterKey = "social-sync:test:database"; // In database 0 of a Redis of our own.
const redisTriesMax = 32; // Twice the databases of an ordinary server.

let ownPostgres: Promise<string> | null = null;
let ownRedis: Promise<string> | null = null;

/** The address of this run's Postgres, as a superuser. Throws where there is none to be had. */
export function testPostgresUrl(): Promise<string> {
  ownPostgres ??= namedPostgres() ?? openPostgres().then(({ url }) => url);
  return ownPostgres;
}

/** The address of this run's Redis, without a database number. Throws where there is none to be had. */
export function testRedisUrl(): Promise<string> {
  ownRedis ??= namedRedis() ?? openRedis().then(({ url }) => url);
  return ownRedis;
}

/** The server of TEST_DATABASE_URL once it has proved new enough and safe; null where none is named. */
export function namedPostgres(): Promise<string> | null {
  const url = process.env.TEST_DATABASE_URL;
  if (!url) return null;
  return administer(url, async (sql) => {
    const [row] = await sql<{ version: number; fsync: string; commit: string }[]>`
      select current_setting('server_version_num')::int / 10000 as version, current_setting('fsync') as fsync,
        current_setting('synchronous_commit') as commit`;
    if (row === undefined || row.version < postgresMajorMin || row.fsync !== "on" || row.commit !== "on") {
      throw new Error(
        `Cannot use the server of TEST_DATABASE_URL: tests need Postgres ${postgresMajorMin} or newer with fsync and synchronous_commit on.`,
      );
    }
    return url;
  });
}

/** The server of TEST_REDIS_URL once it has answered; null where none is named. */
export function namedRedis(): Promise<string> | null {
  const url = process.env.TEST_REDIS_URL;
  if (!url) return null;
  return useRedis(url, async (client) => {
    await readServerInfo(client);
    return url;
  });
}

/** Creates a database of its own for a test, as a copy of `template` where named (nobody may be connected to it). */
export async function openTestDatabase(options: { readonly template?: string } = {}): Promise<TestDatabase> {
  const serverUrl = await testPostgresUrl();
  const name = databasePrefix + crypto.randomUUID().replaceAll("-", "");
  await administer(
    serverUrl,
    (sql) => sql`create database ${sql(name)} template ${sql(options.template ?? "template0")}`,
  );
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    name,
    url: url.href,
    [Symbol.asyncDispose]: async () => {
      await administer(serverUrl, (sql) => sql`drop database if exists ${sql(name)} with (force)`);
    },
  };
}

/** Gives a test an empty logical database of its own. On a server of somebody else only what was empty before. */
export async function openTestRedis(): Promise<TestRedis> {
  const serverUrl = await testRedisUrl();
  return await useRedis(serverUrl, async (client) => {
    const runId = await readOwnRunId(client);
    const database = runId === null ? await findEmptyDatabase(client) : await takeOwnDatabase(client);
    const url = new URL(serverUrl);
    url.pathname = `/${database}`;
    return {
      url: url.href,
      [Symbol.asyncDispose]: () => useRedis(url.href, (inside) => emptyDatabase(inside, runId)),
    };
  });
}

async function administer<T>(url: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, connect_timeout: 5, onnotice: () => {} });
  try {
    return await withDeadline(work(sql), adminTimeoutMs, "Cannot prepare a test database: Postgres has not answered");
  } finally {
    await sql.end({ timeout: 0 });
  }
}

async function useRedis<T>(url: string, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = createRedisClient(url);
  try {
    return await withDeadline(work(client), adminTimeoutMs, "Cannot prepare a test database: Redis has not answered");
  } finally {
    client.disconnect();
  }
}

/** The server's run id where its own folder says that this harness started that very run; else null. */
async function readOwnRunId(client: Redis): Promise<string | null> {
  const runId = (await readServerInfo(client)).get("run_id");
  const folder = String(((await client.config("GET", "dir")) as unknown[])[1]);
  const ownerFile = join(folder, redisOwnerFile);
  return runId !== undefined && existsSync(ownerFile) && readFileSync(ownerFile, "utf8") === runId ? runId : null;
}

/** Counts in database 0, so that processes that share the server never share a database. */
async function takeOwnDatabase(client: Redis): Promise<number> {
  const databases = await readDatabaseCount(client);
  const database = 1 + (((await client.incr(redisCounterKey)) - 1) % (databases - 1));
  await client.select(database);
  await client.flushdb();
  return database;
}

/** Never flushes: these may be somebody's keys. */
async function findEmptyDatabase(client: Redis): Promise<number> {
  const databases = await readDatabaseCount(client);
  for (let tries = 0; tries < redisTriesMax; tries += 1) {
    const database = Math.floor(Math.random() * databases);
    await client.select(database);
    if ((await client.dbsize()) === 0) return database;
  }
  throw new Error("Cannot find an empty database on the Redis of TEST_REDIS_URL: every one that was tried holds keys.");
}

/** Flushes a server of ours while it is still the run we asked; on another it takes away the test's keys one by one. */
async function emptyDatabase(client: Redis, runId: string | null): Promise<void> {
  if (runId !== null) {
    if ((await readOwnRunId(client)) === runId) await client.flushdb();
    return;
  }
  for await (const keys of client.scanStream({ count: 500 })) {
    if (Array.isArray(keys) && keys.length > 0) await client.unlink(keys.map(String));
  }
}

async function readDatabaseCount(client: Redis): Promise<number> {
  return Number(((await client.config("GET", "databases")) as unknown[])[1]);
}
