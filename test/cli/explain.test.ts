import { describe, expect, test } from "bun:test";
import { openTestRedis } from "../support/test-services.ts";
import { refusal, shopId, shopToken, useCliWorld } from "./cli-world.ts";
import { linesOf, runCli } from "./run-cli.ts";

describe("social-sync explain and accounts check", async () => {
  const person = "900000000000001";

  const world = await useCliWorld(async (of) => {
    of.graph.answer = () => null;
    await of.addShop("--account-id", "shop");
    await of.fill(1);
  });

  test("explain tells a person's story after a refusal, by conversation and by person", async () => {
    world.graph.answer = () => refusal(230, 403);
    await world.run("backfill", "--account-id", "shop");
    const byPerson = await world.run("explain", person);
    expect(byPerson.exitCode).toBe(0);
    expect(byPerson.stdout).toMatch(/^900000000000001, account shop: no consent\nWhat was tried\n {2}The person wrote/);
    expect(byPerson.stdout).toContain("HTTP 403, code 230.");
    expect((await world.run("explain", `${shopId}_${person}`)).stdout).toBe(byPerson.stdout);
    const [line = ""] = linesOf((await world.run("explain", person, "--json")).stdout);
    expect(JSON.parse(line)).toMatchObject({ v: 1, status: "no_consent", evidence: { code: 230 } });
  });

  test("explain exits 1 for somebody unknown and for what is no id", async () => {
    for (const word of ["123", "not an id", `${shopId}_1`]) {
      const { exitCode, stderr, stdout } = await world.run("explain", word);
      expect([exitCode, stdout, linesOf(stderr).length]).toEqual([1, "", 1]);
    }
  });

  test("accounts check counts people, and exits 4 once an account looks nobody up", async () => {
    const fine = await world.run("accounts", "check");
    expect({ code: fine.exitCode, people: /^people +1 pending$/m.test(fine.stdout) }).toEqual({
      code: 0,
      people: true,
    });
    // A command has counted nothing and asked nobody: it says so instead of showing that all is well.
    expect(fine.stdout).toMatch(/^calls +unknown here/m);
    expect(fine.stdout).toMatch(/^instagram +unknown here/m);
    world.graph.answer = () => refusal(190, 401);
    await world.run("backfill", "--account-id", "shop");
    const blocked = await world.run("accounts", "check", "--account-id", "shop", "--json");
    expect(blocked.exitCode).toBe(4);
    const shown = JSON.parse(blocked.stdout);
    expect(shown).toMatchObject({ v: 1, health: "blocked", state: "reauth_required", people: { account_blocked: 1 } });
    expect(shown).toMatchObject({ budget: null, graph: null });
    expect(shown.problems[0]).toContain("social-sync accounts add");
    expect(blocked.stdout).not.toContain(shopToken.slice(4, 16));
  });

  test("accounts check tells the calls that all processes made where Redis holds the budget", async () => {
    await using redis = await openTestRedis();
    const env = { ...world.env, REDIS_URL: redis.url };
    world.graph.calls = 0;
    expect((await runCli(["backfill", "--account-id", "shop"], { env })).exitCode).toBe(0);
    const { stdout } = await runCli(["accounts", "check", "--account-id", "shop"], { env });
    expect(stdout).toMatch(new RegExp(`^calls +${world.graph.calls} of no ceiling of its own calls`, "m"));
    expect(stdout).toMatch(/^instagram +unknown here/m);
  });
});
