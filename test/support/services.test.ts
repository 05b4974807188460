import { describe, expect, test } from "bun:test";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { waitUntil, withDeadline } from "./bounded-wait.ts";
import { createRedisClient, redisOwnerFile } from "./redis-server.ts";
import { listProcessesIn } from "./server-folder.ts";
import { openPostgres, openRedis } from "./services.ts";
import { openTestDatabase, openTestRedis, testPostgresUrl, testRedisUrl } from "./test-services.ts";

const caseTimeoutMs = 60_000; // A cluster and a few restarts on a busy machine.
const endTimeoutMs = 10_000; // The watchdog gives a server 5 s to end by itself.

const connect = (url: string) => postgres(url, { max: 1, connect_timeout: 5, onnotice: () => {} });

async function ask<T>(url: string, question: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = connect(url);
  try {
    return await question(sql);
  } finally {
    await sql.end({ timeout: 0 });
  }
}

describe("openPostgres()", () => {
  test(
    "keeps what was committed through every way to stop and start",
    async () => {
      await using server = await openPostgres({ settings: { max_connections: "20" } });
      const { url } = server;
      await ask(url, (sql) => sql`create table kept (step text)`);
      const pids = new Set([server.pid]);
      const steps: readonly (() => Promise<void> | void)[] = [
        () => server.stop("fast"),
        () => server.stop("immediate"),
        () => server.signal("SIGKILL"),
        async () => {
          server.signal("SIGSTOP");
          await server.stop("fast");
        },
      ];
      for (const [index, step] of steps.entries()) {
        await ask(url, (sql) => sql`insert into kept values (${String(index)})`);
        await step();
        await server.start();
        pids.add(server.pid);
      }
      const [row] = await ask(
        url,
        (sql) => sql`
          select count(*)::int as kept, current_setting('fsync') as fsync, current_setting('max_connections') as most,
            current_setting('synchronous_commit') as commit, current_setting('listen_addresses') as address
          from kept`,
      );
      expect({ ...row }).toEqual({ kept: 4, fsync: "on", most: "20", commit: "on", address: "127.0.0.1" });
      expect(pids.size).toBe(5);
    },
    caseTimeoutMs,
  );

  test(
    "leaves no process and no folder behind, and says so when asked for more",
    async () => {
      const server = await openPostgres();
      await server.stop();
      await server.stop();
      expect(() => server.pid).toThrow("Cannot name the process of Postgres: it is not running.");
      expect(() => server.signal("SIGHUP")).toThrow("Cannot signal Postgres: it is not running.");
      await server[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      expect(listProcessesIn(server.folder)).toEqual([]);
      expect(existsSync(server.folder)).toBe(false);
      await expect(server.start()).rejects.toThrow("Cannot start Postgres: it was disposed of.");
    },
    caseTimeoutMs,
  );

  test(
    "shows the end of the server's log where it does not start",
    () => expect(openPostgres({ settings: { shared_buffers: "lots" } })).rejects.toThrow("shared_buffers"),
    caseTimeoutMs,
  );
});

describe("openRedis()", () => {
  test(
    "comes back empty on the same port after a stop, a kill and a freeze",
    async () => {
      await using server = await openRedis({ settings: { maxmemory: "64mb" } });
      const steps: readonly (() => Promise<void> | void)[] = [
        () => server.stop(),
        () => server.signal("SIGKILL"),
        async () => {
          server.signal("SIGSTOP");
          await server.stop("immediate");
        },
      ];
      for (const step of steps) {
        const client = createRedisClient(server.url);
        await client.set("key", "value");
        client.disconnect();
        await step();
        await server.start();
        const next = createRedisClient(server.url);
        expect(await next.dbsize()).toBe(0);
        next.disconnect();
      }
    },
    caseTimeoutMs,
  );
});

describe("the watchdog", () => {
  for (const name of ["openPostgres", "openRedis"] as const) {
    test(
      `ends the server of ${name}() when the test run is killed`,
      async () => {
        const script = `
          import { openPostgres, openRedis } from ${JSON.stringify(`${import.meta.dir}/services.ts`)};
          const server = await ${name}();
          process.stdout.write(server.folder + "\\n");
          setInterval(() => {}, 1000);`;
        const run = Bun.spawn([process.execPath, "-e", script], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
        const folder = await withDeadline(
          readLine(run.stdout),
          caseTimeoutMs,
          "Cannot see the server start: no folder",
        );
        expect(listProcessesIn(folder).length).toBeGreaterThan(0);
        run.kill("SIGKILL");
        await run.exited;
        await waitUntil(
          () => !existsSync(folder),
          endTimeoutMs,
          "Cannot see the server end: its folder is still there",
        );
        expect(listProcessesIn(folder)).toEqual([]);
      },
      caseTimeoutMs,
    );
  }
});

describe("openTestDatabase()", () => {
  test("gives each test a database of its own, from a template, and drops it", async () => {
    const template = await openTestDatabase();
    await ask(template.url, (sql) => sql`create table seed as select 7 as number`);
    const copy = await openTestDatabase({ template: template.name });
    const [row] = await ask(copy.url, (sql) => sql`select number, lower('ÄÖ') as lower from seed`);
    expect({ ...row }).toEqual({ number: 7, lower: "äö" });
    expect(copy.name).not.toBe(template.name);
    const lingering = connect(copy.url); // A test that forgot to close must not keep the database.
    await lingering`select 1`;
    await copy[Symbol.asyncDispose]();
    await template[Symbol.asyncDispose]();
    await lingering.end({ timeout: 0 });
    const left = await ask(
      await testPostgresUrl(),
      (sql) => sql`select 1 from pg_database where datname in (${copy.name}, ${template.name})`,
    );
    expect(left.length).toBe(0);
  });
});

describe("openTestRedis()", () => {
  test("gives each test an empty database of its own and empties it", async () => {
    const first = await openTestRedis();
    const client = createRedisClient(first.url);
    await client.set("mine", "1");
    await using second = await openTestRedis();
    const other = createRedisClient(second.url);
    expect(second.url).not.toBe(first.url);
    expect(await other.dbsize()).toBe(0);
    await first[Symbol.asyncDispose]();
    expect(await client.dbsize()).toBe(0);
    client.disconnect();
    other.disconnect();
  });

  test("takes only an empty database of a server that somebody else started, and flushes nothing there", async () => {
    await using foreign = await openRedis({ settings: { databases: "2" } });
    const client = createRedisClient(foreign.url);
    rmSync(join(foreign.folder, redisOwnerFile)); // Without our mark in its folder it is a stranger to us.
    await client.set("theirs", "1");
    const script = `
      import { openTestRedis } from ${JSON.stringify(`${import.meta.dir}/test-services.ts`)};
      const redis = await openTestRedis();
      process.stdout.write(new URL(redis.url).pathname + "\\n");
      await redis[Symbol.asyncDispose]();`;
    const env = { ...process.env, TEST_REDIS_URL: foreign.url };
    const run = () =>
      Bun.spawn([process.execPath, "-e", script], { env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const handedOut = run();
    expect(await new Response(handedOut.stdout).text()).toBe("/1\n");
    await client.select(1);
    await client.set("theirs", "1");
    const refused = run();
    expect(await new Response(refused.stderr).text()).toContain("Cannot find an empty database");
    expect(await client.get("theirs")).toBe("1");
    await client.select(0);
    expect(await client.get("theirs")).toBe("1");
    client.disconnect();
  });
});

test("testPostgresUrl() and testRedisUrl() name one server a run", async () => {
  expect(await testPostgresUrl()).toBe(await testPostgresUrl());
  expect(await testRedisUrl()).toBe(await testRedisUrl());
});

async function readLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    text += decoder.decode(bytes, { stream: true });
    if (text.includes("\n")) break;
  }
  return text.trim();
}
