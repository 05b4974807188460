import { describe, expect, test } from "bun:test";
import postgres from "postgres";
import { ask, openFolder, runProgram, startDaemon, startProgram, until } from "../support/program.ts";
import { openTestDatabase, openTestRedis } from "../support/test-services.ts";
import { account, delivery, inbound, sign } from "../support/webhook-bodies.ts";

const secret = "another-app-secret";

/** A Graph that never answers: what hangs must hang there and nowhere else. */
function openSilentGraph() {
  let calls = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch: () => {
      calls += 1;
      return new Promise<Response>(() => {});
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, calls: () => calls, [Symbol.asyncDispose]: () => server.stop(true) };
}

function settingsFor(folder: string, databaseUrl: string, graphUrl: string): Record<string, string> {
  return {
    SOCIAL_SYNC_DATA_DIR: folder,
    DATABASE_URL: databaseUrl,
    META_APP_SECRET: secret,
    GRAPH_INSTAGRAM_URL: graphUrl,
    GRAPH_FACEBOOK_URL: graphUrl,
  };
}

async function addAccount(env: Record<string, string>): Promise<void> {
  const args = ["accounts", "add", "--instagram-id", account, "--login", "instagram", "--token-file", "-"];
  expect((await runProgram(args, env, "IGAAtoken-of-the-test")).code).toBe(0);
}

describe("social-sync serve", () => {
  test("acknowledges webhooks while Graph hangs, and stops in time all the same", async () => {
    await using database = await openTestDatabase();
    await using graph = openSilentGraph();
    using folder = openFolder();
    const env = settingsFor(folder.path, database.url, graph.url);
    await addAccount(env);
    await using daemon = await startDaemon([], env);
    const send = async (person: string, mid: string) => {
      const body = delivery([inbound(person, mid, Date.now())]);
      const headers = { "X-Hub-Signature-256": sign(body, secret), "Content-Type": "application/json" };
      return (await fetch(`${daemon.url}/webhooks/instagram`, { method: "POST", body, headers })).status;
    };
    expect(await send("111", "m1")).toBe(200);
    await until(
      () => graph.calls() > 0,
      10_000,
      () => daemon.output.err,
    );
    // The lookup hangs; a hundred more people are acknowledged before it can end.
    const start = performance.now();
    const statuses = await Promise.all(Array.from({ length: 100 }, (_, n) => send(`2${n}`, `n${n}`)));
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(performance.now() - start).toBeLessThan(8_000); // Graph's own bound is 10 s: none waited for it
    const list = await ask<{ data: unknown[] }>(`${daemon.url}/messaging/conversations?limit=100`);
    expect(list.data).toHaveLength(100);
    daemon.signal("SIGTERM");
    const ended = await daemon.ended;
    expect(ended.code).toBe(0);
    expect(performance.now() - start).toBeLessThan(25_000 + 8_000);
  }, 90_000);

  test("after kill -9 in the middle of lookups the next start finishes them", async () => {
    await using database = await openTestDatabase();
    await using redis = await openTestRedis();
    using folder = openFolder();
    const sql = postgres(database.url, { max: 1, onnotice() {} });
    const env = {
      SOCIAL_SYNC_DATA_DIR: folder.path,
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      META_APP_SECRET: secret,
    };
    const args = ["--sandbox", "--messages-per-second", "0", "--people", "40", "--latency-ms", "1500"];
    try {
      let accountId = "";
      {
        await using daemon = await startDaemon(args, env);
        const report = await ask<{ accepted: number; sent: { accountId: string }[] }>(
          `${daemon.sandboxUrl}/sandbox/deliver`,
          {
            accountIndex: 0,
            count: 40,
            kinds: ["text"],
          },
        );
        accountId = report.sent[0]?.accountId ?? "";
        await until(
          async () => (await sql`select 1 from conversations where lease_until is not null`).length > 0,
          10_000,
        );
        daemon.signal("SIGKILL");
        await daemon.ended;
      }
      const [left] = await sql`select count(*)::int as pending from conversations where profile_status = 'pending'`;
      expect(left?.pending).toBeGreaterThan(0);
      await using daemon = await startDaemon([...args.slice(0, -1), "20"], env);
      await until(
        async () =>
          (await sql`select 1 from conversations where account_id = ${accountId} and profile_status = 'pending'`)
            .length === 0,
        30_000, // Under the lease of 40 s: the start gave its predecessor's leases back.
        () => daemon.output.err,
      );
      expect(daemon.output.err).toContain("lookups that were under way when this daemon last ended");
      const named =
        await sql`select 1 from conversations where account_id = ${accountId} and participant_username is not null`;
      expect(named.length).toBeGreaterThan(20);
    } finally {
      await sql.end();
    }
  }, 120_000);

  test("refuses a data folder that a living daemon holds, also where both have their own database", async () => {
    await using database = await openTestDatabase();
    await using graph = openSilentGraph();
    using folder = openFolder();
    await using _daemon = await startDaemon([], settingsFor(folder.path, database.url, graph.url));
    await using another = await openTestDatabase();
    const env = settingsFor(folder.path, another.url, graph.url);
    await using second = await startProgram(["serve", "--port", "0"], env);
    await until(() => /listens on|holds it/.test(second.output.err), 20_000);
    expect(second.output.err).toContain(`Cannot use the data folder ${folder.path}: another social-sync holds it`);
    expect((await second.ended).code).toBe(5);
  }, 60_000);

  test("a second signal leaves at once", async () => {
    await using database = await openTestDatabase();
    await using graph = openSilentGraph();
    using folder = openFolder();
    const env = settingsFor(folder.path, database.url, graph.url);
    await addAccount(env);
    await using daemon = await startDaemon([], env);
    const body = delivery([inbound("111", "m1", Date.now())]);
    await fetch(`${daemon.url}/webhooks/instagram`, {
      method: "POST",
      body,
      headers: { "X-Hub-Signature-256": sign(body, secret) },
    });
    await until(() => graph.calls() > 0, 10_000);
    daemon.signal("SIGTERM");
    await until(() => daemon.output.err.includes("Stopping"), 5_000);
    await Bun.sleep(200); // a signal within 50 ms of the first is a wrapper's echo of the same one
    const start = performance.now();
    daemon.signal("SIGTERM");
    expect((await daemon.ended).code).toBe(3);
    expect(performance.now() - start).toBeLessThan(2_000);
  }, 60_000);
});
