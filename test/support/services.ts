/**
 * Real servers for tests. `openPostgres()` and `openRedis()` always start one of their own, which a test may stop,
 * freeze and kill; test-services.ts has the shared ones for everything else. The programs are those found on this
 * machine, or are installed where we may; where neither is possible it says so and never skips.
 */
import { existsSync, readdirSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { canInstallDebianPackages, installDebianPackages } from "./debian-packages.ts";
import { type PostgresOptions, type PostgresServer, startPostgres } from "./postgres-server.ts";
import { type RedisOptions, type RedisServer, startRedis } from "./redis-server.ts";

export const postgresMajorMin = 15; // The oldest that the product supports.
const redisMajorMin = 6; // What ioredis and the product's scripts are tried with.
const debianPostgresFolder = "/usr/lib/postgresql"; // Debian keeps the server's programs out of PATH.

/** Starts a fresh Postgres of our own on a free port of 127.0.0.1. Disposing ends it and removes its folder. */
export async function openPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const postgres = findOrInstall(
    { name: "Postgres", variable: "TEST_DATABASE_URL", packages: ["postgresql"], majorMin: postgresMajorMin },
    findPostgres,
  );
  return await startPostgres({ initdb: join(dirname(postgres), "initdb"), postgres }, options);
}

/** Starts a fresh Redis of our own on a free port of 127.0.0.1. Disposing ends it and removes its folder. */
export async function openRedis(options: RedisOptions = {}): Promise<RedisServer> {
  return await startRedis(
    findOrInstall(
      { name: "Redis", variable: "TEST_REDIS_URL", packages: ["redis-server"], majorMin: redisMajorMin },
      findRedis,
    ),
    options,
  );
}

type Wanted = {
  readonly name: string;
  readonly variable: string;
  readonly packages: readonly string[];
  readonly majorMin: number;
};

function findOrInstall({ name, variable, packages, majorMin }: Wanted, find: () => string | null): string {
  const found = find();
  if (found !== null) return found;
  const hint = `Cannot start ${name} for tests: version ${majorMin} or newer is not installed`;
  if (!canInstallDebianPackages()) {
    throw new Error(`${hint}; install it, or name a running one in ${variable}.`);
  }
  installDebianPackages(packages);
  const installed = find();
  if (installed === null) throw new Error(`${hint}, and the package ${packages.join(", ")} did not bring it.`);
  return installed;
}

/** The `postgres` program that has `initdb` beside it, newest first after those on PATH. */
function findPostgres(): string | null {
  const onPath = Bun.which("postgres");
  const folders = existsSync(debianPostgresFolder) ? readdirSync(debianPostgresFolder) : [];
  const ofDebian = folders
    .sort((left, right) => Number(right) - Number(left))
    .map((major) => join(debianPostgresFolder, major, "bin/postgres"))
    .filter((path) => existsSync(path));
  const programs = [...(onPath === null ? [] : [realpathSync(onPath)]), ...ofDebian];
  return (
    programs.find(
      (path) => existsSync(join(dirname(path), "initdb")) && readMajor(path, /(\d+)[.\d]*/) >= postgresMajorMin,
    ) ?? null
  );
}

function findRedis(): string | null {
  const path = Bun.which("redis-server") ?? Bun.which("valkey-server");
  return path !== null && readMajor(path, /v=(\d+)/) >= redisMajorMin ? path : null;
}

function readMajor(program: string, pattern: RegExp): number {
  const { stdout } = Bun.spawnSync([program, "--version"], { cwd: "/", timeout: 10_000 });
  return Number(pattern.exec(stdout.toString())?.[1] ?? 0);
}
