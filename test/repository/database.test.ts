import { describe, expect, test } from "bun:test";
import { SyncError } from "../../src/domain/error.ts";
import { conflictRetriesMax, connectionsMax } from "../../src/repository/database.ts";
import { assertDurable, migrate, migrations, schemaVersion } from "../../src/repository/migrate.ts";
import { openFaultProxy } from "../faults/fault-proxy.ts";
import { openPostgres } from "../support/services.ts";
import { openDatabaseAt as open } from "../support/test-repositories.ts";
import { openTestDatabase } from "../support/test-services.ts";

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

  test("a statement whose kept plan no longer fits the tables is sent once more", async () => {
    await using home = await openTestDatabase();
    await using database = await open(home.url);
    await database.query("create table things (id integer)", [], "make a table");
    const look = () => database.queryForWebhooks("select * from things", [], "look", 5_000);
    await Promise.all(Array.from({ length: connectionsMax.webhooks }, look)); // each connection keeps its plan
    await database.query("alter table things add column name text", [], "change the table");
    expect(await Promise.all(Array.from({ length: connectionsMax.webhooks }, look))).toEqual(
      Array(connectionsMax.webhooks).fill([]),
    );
  });

  test("a statement that comes often is planned anew each time its use has grown tenfold, so that it meets a table as large as it is", async () => {
    await using home = await openTestDatabase();
    await using database = await open(home.url);
    await database.query("create table heap (id text primary key)", [], "make a table");
    await database.query("alter table heap set (autovacuum_enabled = false)", [], "leave it alone");
    const find = (n: number) =>
      database.queryForLookups<{ id: string; plans: number }>(
        `select id, (select count(*)::int from pg_prepared_statements where statement like '%queryForLookups%') as plans
         from heap where id = any(array(select json_array_elements_text($1::text::json))) -- queryForLookups`,
        [JSON.stringify([String(n)])],
        "find",
      );
    const fill = (from: number, to: number) =>
      database.query("insert into heap select n::text from generate_series($1::int, $2::int) n", [from, to], "fill");
    await fill(1, 1);
    for (let used = 1; used <= 15; used++) expect(await find(1)).toMatchObject([{ id: "1" }]);
    await fill(2, 50_000);
    let plans = 0;
    for (let used = 16; used <= 300; used++) plans = Math.max(plans, (await find(used))[0]?.plans ?? 0);
    expect(plans).toBe(3); // of 300 uses: 1, 10, 100
  });

  test("a statement that met another writer is sent again, a bounded number of times", async () => {
    await using home = await openTestDatabase();
    await using database = await open(home.url);
    await database.query("create sequence tries", [], "prepare");
    // A sequence does not go back with the statement that was refused.
    await database.query(
      `create function meet(times bigint) returns bigint language plpgsql as $$
        begin if nextval('tries') <= times then raise exception 'met' using errcode = '40P01'; end if; return times; end $$`,
      [],
      "prepare",
    );
    const meet = (times: number) => database.query("select meet($1::bigint)::int as met", [times], "meet");
    expect(await meet(conflictRetriesMax)).toEqual([{ met: conflictRetriesMax }]);
    await database.query("select setval('tries', 1, false)", [], "begin anew");
    expect((await codeOf(meet(1_000))).code).toBe("storage_unavailable");
    const tries = await database.query<{ last: number }>("select last_value::int as last from tries", [], "count");
    expect(tries).toEqual([{ last: conflictRetriesMax + 1 }]);
  });

  test("connections that have gone silent cost one deadline, and none of them is asked again", async () => {
    await using home = await openTestDatabase();
    await using proxy = await openFaultProxy(Number(new URL(home.url).port));
    await using database = await open(proxy.through(home.url));
    const look = (deadlineMs: number) => database.query("select 1 as one", [], "look", deadlineMs);
    await Promise.all(Array.from({ length: connectionsMax.others }, () => look(5_000)));
    await proxy.setMode({ kind: "black_hole" }, "existing");
    expect((await codeOf(look(400))).code).toBe("storage_unavailable");
    for (let n = 0; n < connectionsMax.others; n++) expect(await look(2_500)).toEqual([{ one: 1 }]);
  }, 30_000);

  test("a migration whose server falls silent ends in its bound, and the connections after it work", async () => {
    await using home = await openTestDatabase();
    await using proxy = await openFaultProxy(Number(new URL(home.url).port));
    await using database = await open(proxy.through(home.url));
    const steps: string[] = [];
    const migration = database.inTransaction(
      async (run) => {
        await run("create table half_made (id int)");
        steps.push("first");
        await proxy.setMode({ kind: "black_hole" }, "existing");
        await run("select 1");
        steps.push("second");
      },
      "bring the schema up to date",
      1_000,
    );
    const error = await codeOf(migration);
    expect(error.message).toBe("Cannot bring the schema up to date: the database did not answer in time");
    expect(steps).toEqual(["first"]);
    await proxy.setMode({ kind: "pass" });
    proxy.resetAll();
    const [row] = await database.query("select to_regclass('half_made') is null as gone", [], "look");
    expect(row).toEqual({ gone: true });
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
