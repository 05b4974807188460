import { describe, expect, test } from "bun:test";
import { SyncError } from "../../src/domain/error.ts";
import { openDatabase } from "../../src/repository/database.ts";
import { assertDurable, migrate, migrations, schemaVersion } from "../../src/repository/migrate.ts";
import { openPostgres } from "../support/services.ts";
import { silentLog, systemClock } from "../support/test-repositories.ts";
import { openTestDatabase } from "../support/test-services.ts";

const open = (url: string) => openDatabase({ url, dataFolder: "/nowhere", clock: systemClock, log: silentLog });
const codeOf = async (work: Promise<unknown>) => {
  const error = await work.then(() => null).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(SyncError);
  return error as SyncError;
};

describe("migrate()", () => {
  test("brings an empty database up to date once, however many start at once", async () => {
    await using home = await openTestDatabase();
    const pools = await Promise.all([open(home.url), open(home.url), open(home.url)]);
    try {
      const applied = await Promise.all(pools.map((pool) => migrate(pool)));
      expect(applied.reduce((a, b) => a + b, 0)).toBe(schemaVersion);
    } finally {
      await Promise.all(pools.map((pool) => pool[Symbol.asyncDispose]()));
    }
  });

  test("refuses a schema that is newer than the program", async () => {
    await using home = await openTestDatabase();
    await using database = await open(home.url);
    await migrate(database);
    await database.query(
      `insert into schema_migrations (version, name) values (${schemaVersion + 1}, 'later')`,
      [],
      "age",
    );
    expect((await codeOf(migrate(database))).code).toBe("schema_newer");
  });

  test("numbers its steps without a gap", () => {
    expect(migrations.map(({ version }) => version as number)).toEqual(migrations.map((_, at) => at + 1));
  });
});

describe("assertDurable()", () => {
  test("refuses a server that loses what it acknowledged, unless that is accepted by name", async () => {
    await using server = await openPostgres({ settings: { synchronous_commit: "off" } });
    await using database = await open(server.url);
    const error = await codeOf(assertDurable(database, ["fsync"]));
    expect(error.code).toBe("storage_unsafe");
    expect(error.message).toContain("synchronous_commit");
    expect((await assertDurable(database, ["synchronous_commit"])).version).toMatch(/^\d+/);
  }, 30_000);
});

describe("openDatabase()", () => {
  test("a server that is away is storage_unavailable, in a sentence without the password", async () => {
    await using database = await open("postgres://me:hush-hush@127.0.0.1:1/x");
    const error = await codeOf(database.query("select 1", [], "look"));
    expect(error.code).toBe("storage_unavailable");
    expect(error.message).not.toContain("hush");
    expect(database.describe()).toBe("Postgres at 127.0.0.1:1/x");
  });

  test("a refused row is statement_refused, and the sentence repeats no value", async () => {
    await using home = await openTestDatabase();
    await using database = await open(home.url);
    const error = await codeOf(database.query("select $1::text::int as n", ["private words"], "count"));
    expect(error.code).toBe("statement_refused");
    expect(error.message).not.toContain("private");
  });

  test("a frozen server costs its deadline, and the next statement works as soon as it lives again", async () => {
    await using server = await openPostgres();
    await using database = await open(server.url);
    await database.query("select 1", [], "look");
    server.signal("SIGSTOP");
    // The postmaster stands still; so must the backend that holds our connection.
    const { listProcessesIn } = await import("../support/server-folder.ts");
    const backends = listProcessesIn(server.folder);
    for (const pid of backends) process.kill(pid, "SIGSTOP");
    const start = performance.now();
    expect((await codeOf(database.query("select 1", [], "look", 400))).code).toBe("storage_unavailable");
    expect(performance.now() - start).toBeLessThan(1_500);
    for (const pid of backends) process.kill(pid, "SIGCONT");
    server.signal("SIGCONT");
    expect(await database.query("select 1 as one", [], "look")).toEqual([{ one: 1 }]);
  }, 30_000);

  test("after a restart of the server the next statements work again", async () => {
    await using server = await openPostgres();
    await using database = await open(server.url);
    await database.query("select 1", [], "look");
    await server.stop("immediate");
    expect((await codeOf(database.query("select 1", [], "look"))).code).toBe("storage_unavailable");
    await server.start();
    let worked = false;
    for (let attempt = 0; attempt < 20 && !worked; attempt++) {
      worked = await database.query("select 1", [], "look").then(
        () => true,
        () => false,
      );
      if (!worked) await Bun.sleep(50);
    }
    expect(worked).toBe(true);
  }, 30_000);
});
