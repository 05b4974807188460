import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { refusal, shopId, useCliWorld } from "./cli-world.ts";
import { linesOf, runCli } from "./run-cli.ts";

setDefaultTimeout(60_000);

describe("backfill", async () => {
  const asked: string[] = [];
  const world = await useCliWorld(async (of) => {
    await of.addShop("--account-id", "shop");
    asked.length = 0;
    of.graph.answer = (id) => {
      if (/^\d+$/.test(id)) asked.push(id);
      return null;
    };
  });

  const run = (...more: string[]) => world.run("backfill", "--account-id", "shop", ...more);
  const query = (text: string) => world.repositories.database.query(text, [], "prepare the tables");
  const tables = async () => {
    const names = await world.repositories.database.query<{ name: string }>(
      "select table_name as name from information_schema.tables where table_schema = 'public' order by 1",
      [],
      "list the tables",
    );
    const sums = names.map(async ({ name }) => {
      const sum = `select '${name}' as name, count(*)::int as rows, md5(string_agg(t::text, '|' order by t::text)) as sum`;
      return (await query(`${sum} from "${name}" t`))[0];
    });
    const sequences = await query("select sequencename, last_value from pg_sequences order by 1");
    return [await Promise.all(sums), sequences];
  };
  /** 20 with a picture, 10 refused for good, 5 whose lookup failed, 65 whom nobody has asked about. */
  const fillMixed = async () => {
    await world.fill(100);
    const set = (from: number, to: number, status: string, reason: string | null) =>
      query(`update conversations set profile_status = '${status}', reason_code = ${reason === null ? "null" : `'${reason}'`}
        where right(participant_platform_id, 3)::int between ${from} and ${to}`);
    await set(1, 20, "complete", null);
    await set(21, 30, "not_found", "gone");
    await set(31, 35, "failed", "server_error");
  };

  test("--dry-run forecasts people by reason, calls and minutes, and writes nothing", async () => {
    await fillMixed();
    const before = await tables();
    const plain = await run("--dry-run");
    expect(plain).toEqual({
      exitCode: 0,
      stdout:
        "  65  pending\n   5  server error\n70 people: about 2 list calls, 70 profile calls; about a minute for the list, the profiles as long as Instagram takes to answer, since no limit of its is known yet.\n",
      stderr: "",
    });
    const env = { ...world.env, SOCIAL_SYNC_RATE_PER_HOUR: "20" };
    const limited = await runCli(["backfill", "--account-id", "shop", "--dry-run", "--force", "--limit", "40"], {
      env,
    });
    expect(limited.stdout).toEndWith(
      "40 people (of 100, by --limit): about 2 list calls, 40 profile calls; about 120 minutes at a budget of 20 calls in 1 h.\n",
    );
    const json = await runCli(["backfill", "--account-id", "shop", "--dry-run", "--json", "--retry-failed"], { env });
    expect(JSON.parse(json.stdout)).toMatchObject({
      ...{ v: 1, event: "forecast", accountId: "shop", total: 80, allowance: 20, windowMs: 3_600_000 },
      ...{ byReason: { pending: 65, gone: 10, server_error: 5 }, conversations: 100 },
      ...{ calls: { list: 2, profile: 80 }, requests: { list: 2, profile: 80 } },
      ...{ lastsMs: { list: 600, profile: expect.any(Number) }, durationMs: expect.any(Number) },
    });
    expect((await run("--dry-run", "--names-only")).stdout).toBe(
      "Names of 100 conversations: about 2 list calls; about a minute.\n",
    );
    expect((await run("--dry-run", "--import")).stdout).toContain(
      "70 people: about 2 list calls, one for each conversation that only Instagram knows, 70 profile calls; ",
    );
    expect((await run("--dry-run", "--no-bulk", "--limit", "1")).stdout).toEndWith(
      "1 person (of 70, by --limit): 1 profile call; as long as Instagram takes to answer, since no limit of its is known yet.\n",
    );
    expect(await tables()).toEqual(before);
    expect([world.graph.calls, world.graph.listCalls]).toEqual([0, 0]);
  });

  test("--dry-run of a page account counts fifty people a request", async () => {
    await world.fill(120);
    await query(`update accounts set login = 'facebook', page_id = '1' where id = '${shopId}'`);
    expect((await run("--dry-run")).stdout).toContain(
      "120 people: about 3 list calls, 120 profile calls in 3 requests;",
    );
  });

  test.each([
    [[], 70, ["021", "001"]],
    [["--retry-failed"], 80, ["001"]],
    [["--force"], 100, []],
  ])("%p asks %i people, each once", async (more, count, left) => {
    await fillMixed();
    const { exitCode, stderr } = await run(...more);
    expect(exitCode).toBe(0);
    expect(stderr).toContain(`completed: ${count}/${count} successful, 0 errors`);
    expect([asked.length, new Set(asked).size]).toEqual([count, count]);
    for (const end of left) expect(asked.some((id) => id.endsWith(end))).toBe(false);
  });

  test("--force asks Instagram also about whom the cache knows", async () => {
    await world.fill(5);
    await run();
    await run("--force");
    expect(asked).toHaveLength(10);
  });

  test("--limit ends after so many people, latest conversation first; the next run takes the next", async () => {
    await world.fill(100);
    const first = await run("--limit", "30");
    expect(first.stderr).toContain("completed: 30/30 successful");
    expect([...asked].sort()).toEqual(Array.from({ length: 30 }, (_, n) => `${900_000_000_000_001 + n}`));
    expect((await run("--limit", "30")).stderr).toContain("completed: 30/30 successful");
    expect(new Set(asked).size).toBe(60);
  });

  test("--since leaves older conversations out", async () => {
    await world.fill(100);
    await query(
      "update conversations set last_message_at = now() - interval '9 d' where participant_platform_id::bigint % 2 = 0",
    );
    expect((await run("--since", "7d")).stderr).toContain("completed: 50/50 successful");
    const since = new Date(Date.now() - 20 * 86_400_000).toISOString().slice(0, 10);
    expect((await run("--since", since)).stderr).toContain("completed: 50/50 successful");
    expect((await run("--since", since)).stderr).toStartWith("Nothing to do");
  });

  test("somebody whose lookups failed in an earlier run gets three attempts in this one", async () => {
    await world.fill(1);
    await query("update conversations set profile_status = 'failed', reason_code = 'server_error', attempts = 3");
    world.graph.answer = (id) => {
      asked.push(id);
      return asked.length < 3 ? refusal(2, 500) : null;
    };
    const { exitCode } = await run();
    expect([exitCode, asked.length]).toEqual([0, 3]);
  });

  test("what is asked for differently is another run, and says that the old one is given up", async () => {
    await world.fill(50);
    await run("--limit", "10");
    await query("update backfill_runs set state = 'interrupted'");
    const { stderr } = await run();
    expect(linesOf(stderr)[0]).toMatch(
      /^Run \S+ was asked for something else and nobody works on it: it is given up\.$/,
    );
    expect(stderr).toContain("completed: 40/40 successful");
    const states = await query("select state, done from backfill_runs order by started_at");
    expect(states).toEqual([
      { state: "cancelled", done: "10" },
      { state: "completed", done: "40" },
    ]);
  });
});
