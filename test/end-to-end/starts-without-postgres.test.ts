/** A daemon that starts while its Postgres is away: what it takes meanwhile, and what comes of it. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import postgres from "postgres";
import { schemaVersion } from "../../src/repository/migrate.ts";
import { withDeadline } from "../support/bounded-wait.ts";
import { ask, openFolder, runProgram, startDaemon, until } from "../support/program.ts";
import { openPostgres } from "../support/services.ts";
import { account, delivery, inbound, secret, sign } from "../support/webhook-bodies.ts";

setDefaultTimeout(90_000);

/** From the moment that Postgres takes connections: the daemon asks twice a second at least, and drains in no time. */
const drainedMsMax = 10_000;
/** Nothing is in hand: a stop takes some 0.1 s, and a statement's bound or two where the server stands still. */
const stopMsMax = { down: 2_000, frozen: 8_000 } as const;
const endMsMax = 15_000;

type Health = { ready: boolean; checks: { name: string; state: string; detail: string }[] };

describe("social-sync serve with its Postgres away", async () => {
  const server = await openPostgres();
  afterAll(() => server[Symbol.asyncDispose]());

  const settingsFor = (folder: string, url = server.url) => ({
    SOCIAL_SYNC_DATA_DIR: folder,
    DATABASE_URL: url,
    META_APP_SECRET: secret,
    GRAPH_INSTAGRAM_URL: "http://127.0.0.1:9",
    GRAPH_FACEBOOK_URL: "http://127.0.0.1:9",
    SOCIAL_SYNC_LOG_FORMAT: "json",
  });
  const send = async (url: string, mid: string, person = "111") => {
    const body = delivery([inbound(person, mid, 1_762_000_000_000)]);
    const headers = { "X-Hub-Signature-256": sign(body) };
    return (await fetch(`${url}/webhooks/instagram`, { method: "POST", body, headers })).status;
  };
  const readHealth = async (url: string) => {
    const response = await fetch(`${url}/health/ready`);
    return { status: response.status, health: (await response.json()) as Health };
  };
  const countLines = (text: string, words: string) => text.split("\n").filter((line) => line.includes(words)).length;
  const withSql = async <T>(work: (sql: postgres.Sql) => Promise<T>): Promise<T> => {
    const sql = postgres(server.url, { max: 1, onnotice() {} });
    try {
      return await work(sql);
    } finally {
      await sql.end({ timeout: 1 });
    }
  };
  const countMessages = (...mids: string[]) =>
    withSql(async (sql) => (await sql`select mid from messages where mid in ${sql(mids)}`).length);
  /** A data folder that has worked with the server. */
  const openKnownFolder = async () => {
    const folder = openFolder();
    await using daemon = await startDaemon([], settingsFor(folder.path));
    daemon.signal("SIGTERM");
    expect((await daemon.ended).code).toBe(0);
    return folder;
  };

  test("takes webhooks, also across a kill -9, and has each in the tables once as soon as Postgres is back", async () => {
    using folder = openFolder();
    const env = settingsFor(folder.path);
    {
      await using daemon = await startDaemon([], env);
      expect(await send(daemon.url, "m0", "222")).toBe(200);
      daemon.signal("SIGKILL");
      await daemon.ended;
    }
    await server.stop("immediate");
    {
      await using daemon = await startDaemon([], env);
      expect(daemon.output.err).toContain("away: messages wait in the spool until it is back");
      expect(countLines(daemon.output.err, '"warn"')).toBe(1);
      expect(await send(daemon.url, "m1", "222")).toBe(200);
      const forged = await fetch(`${daemon.url}/webhooks/instagram`, { method: "POST", body: "{}" });
      expect(forged.status).toBe(401);
      const { status, health } = await readHealth(daemon.url);
      expect([status, health.ready]).toEqual([200, true]);
      const database = health.checks.find(({ name }) => name === "database");
      expect(database).toMatchObject({
        state: "degraded",
        detail: expect.stringContaining("away since this daemon's"),
      });
      expect((await fetch(`${daemon.url}/health/live`)).status).toBe(200);
      const list = await fetch(`${daemon.url}/messaging/conversations`);
      expect([list.status, list.headers.get("content-type")]).toEqual([503, "application/problem+json"]);
      const wish = `${daemon.url}/messaging/conversations/${account}_222/enrich`;
      expect((await fetch(wish, { method: "POST" })).status).toBe(503);
      expect(await (await fetch(`${daemon.url}/metrics`)).text()).toContain("social_sync_spool_records 1\n");
      daemon.signal("SIGKILL");
      await daemon.ended;
    }
    await using daemon = await startDaemon([], env);
    expect(await send(daemon.url, "m1", "222")).toBe(200); // Meta did not see the first answer.
    expect(await send(daemon.url, "m2", "222")).toBe(200);
    await server.start();
    await until(
      async () => (await readHealth(daemon.url)).status === 200 && (await countMessages("m1", "m2")) === 2,
      drainedMsMax,
      () => daemon.output.err,
    );
    expect(await send(daemon.url, "m3", "222")).toBe(200);
    const { data } = await ask<{ data: { id: string; unreadCount: number }[] }>(
      `${daemon.url}/messaging/conversations`,
    );
    expect(data.find(({ id }) => id === `${account}_222`)?.unreadCount).toBe(4);
    expect(await countMessages("m0", "m1", "m2", "m3")).toBe(4);
    expect(countLines(daemon.output.err, "Postgres takes messages again")).toBe(1);
    daemon.signal("SIGTERM");
    expect((await daemon.ended).code).toBe(0);
  });

  test.each([
    ["a schema that is newer than the program", "newer", `its schema is version ${schemaVersion + 1}`],
    ["a server that refuses the password", "password", "(28P01)"],
    ["a server that does not flush", "fsync", "synchronous_commit is off"],
  ])("ends as such a start ends where it comes back as %s, and loses nothing", async (_, kind, sentence) => {
    using folder = await openKnownFolder();
    const address = new URL(server.url);
    if (kind === "password") address.password = "another-than-it-was";
    const spoil = (sql: postgres.Sql) =>
      kind === "newer"
        ? sql`insert into schema_migrations (version, name) values (${schemaVersion + 1}, 'later')`
        : kind === "fsync"
          ? sql`alter database postgres set synchronous_commit = off`
          : sql`select 1`;
    const mend = async (sql: postgres.Sql) => {
      await sql`delete from schema_migrations where version > ${schemaVersion}`;
      await sql`alter database postgres reset synchronous_commit`;
    };
    await withSql(spoil);
    await server.stop("fast");
    {
      await using daemon = await startDaemon([], settingsFor(folder.path, address.href));
      expect(await send(daemon.url, kind)).toBe(200);
      await server.start();
      const { code, err } = await withDeadline(daemon.ended, endMsMax, "Cannot see the daemon end");
      expect({ code, last: err.trimEnd().split("\n").at(-1) }).toEqual({
        code: 5,
        last: expect.stringContaining(sentence),
      });
      expect(await countMessages(kind)).toBe(0);
    }
    // A start without the outage in between says the same.
    const { code, err } = await runProgram(["serve", "--port", "0"], settingsFor(folder.path, address.href));
    expect({ code, err }).toEqual({ code: 5, err: expect.stringContaining(sentence) });
    await withSql(mend);
    await using daemon = await startDaemon([], settingsFor(folder.path));
    await until(
      async () => (await countMessages(kind)) === 1,
      drainedMsMax,
      () => daemon.output.err,
    );
  });

  test("ends at once with 5 in a data folder that never worked with this database", async () => {
    using folder = await openKnownFolder();
    using fresh = openFolder();
    const other = new URL(server.url);
    other.pathname = "/other";
    await server.stop("fast");
    for (const env of [settingsFor(fresh.path), settingsFor(folder.path, other.href)]) {
      const { code, out, err } = await runProgram(["serve", "--port", "0"], env);
      expect({ code, out }).toEqual({ code: 5, out: "" });
      expect(err).toMatch(/^Cannot read the database's settings: [^\n]+\n$/);
    }
    // Whatever else needs the tables says so, also where a daemon would wait.
    const { code } = await runProgram(["accounts", "list"], settingsFor(folder.path));
    expect(code).toBe(5);
    await server.start();
  });

  test.each(["down", "frozen"] as const)("stops in order while it waits for a server that is %s", async (kind) => {
    using folder = await openKnownFolder();
    if (kind === "down") await server.stop("fast");
    else server.signal("SIGSTOP");
    try {
      await using daemon = await startDaemon([], settingsFor(folder.path));
      expect(await send(daemon.url, kind)).toBe(200);
      const start = performance.now();
      daemon.signal("SIGTERM");
      const { code, err } = await daemon.ended;
      expect([code, err.trimEnd().split("\n").at(-1)]).toEqual([0, "Stopped."]);
      expect(performance.now() - start).toBeLessThan(stopMsMax[kind]);
    } finally {
      if (kind === "down") await server.start();
      else server.signal("SIGCONT");
    }
  });
});
