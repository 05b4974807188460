import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { shopId, shopToken, useCliWorld } from "./cli-world.ts";
import { linesOf, runCli } from "./run-cli.ts";

setDefaultTimeout(60_000);

describe("accounts", async () => {
  const world = await useCliWorld(async (of) => {
    of.graph.selfId = shopId;
  });
  const stored = async (id = shopId) => {
    const entry = await world.repositories.accounts.getAccess(id as never);
    return entry.kind === "ready" ? entry.access.token : null;
  };
  const appScopedId = async () =>
    (await world.repositories.rows("accounts", "id")).map((row) => row.app_scoped_id).at(0);

  test("add takes the token from a file and from standard input, without the blanks around it", async () => {
    expect((await world.addShop()).stderr).toBe(`Added the account ${shopId} (${shopId}).\n`);
    expect(await stored()).toBe(shopToken);
    const args = ["accounts", "add", "--instagram-id", shopId, "--login", "instagram", "--token-file", "-"];
    const again = await runCli(args, { env: world.env, stdin: " \uFEFF IGAAnext\r\n\n" });
    expect(again.stderr).toStartWith("Replaced the token of the account");
    expect(await stored()).toBe("IGAAnext");
  });

  test("add keeps the own name and the username of an account that is there where none is given", async () => {
    await world.addShop("--account-id", "shop", "--username", "@shop.official");
    await world.addShop();
    const { stdout } = await world.run("accounts", "list", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ v: 1, id: "shop", instagramId: shopId, username: "shop.official" });
  });

  test.each([
    ["", "it is empty"],
    ["two words", "more than one word"],
    ["x".repeat(5_000), "more than 4096 bytes"],
  ])("add refuses a token file that cannot be one (%#)", async (content, sentence) => {
    const file = join(world.folder, "bad.txt");
    writeFileSync(file, content);
    const { exitCode, stderr } = await world
      .addShop("--account-id", "shop")
      .then(() =>
        world.run(
          "accounts",
          "add",
          "--instagram-id",
          "17841400000000002",
          "--login",
          "instagram",
          "--token-file",
          file,
        ),
      );
    expect(exitCode).toBe(1);
    expect(stderr).toContain(sentence);
    expect(linesOf(stderr)).toHaveLength(1);
  });

  test("add only warns of a token or an id that looks odd", async () => {
    const file = join(world.folder, "odd.txt");
    writeFileSync(file, "EAAodd");
    const args = ["accounts", "add", "--instagram-id", "999", "--login", "instagram", "--token-file", file];
    const { exitCode, stderr } = await world.run(...args);
    expect(exitCode).toBe(0);
    expect(stderr).toContain("does not look like a token of instagram login");
    expect(stderr).toContain("does not look like an Instagram account's id");
  });

  test("add refuses a name that another account bears", async () => {
    await world.addShop("--account-id", "shop");
    for (const name of ["shop", shopId]) {
      const args = ["--instagram-id", "17841400000000002", "--login", "instagram", "--token-file", world.tokenFile];
      const { exitCode, stderr } = await world.run("accounts", "add", ...args, "--account-id", name);
      expect(exitCode).toBe(1);
      expect(stderr).toBe(
        `Cannot add the account 17841400000000002: '${name}' already names the account shop (${shopId})\n`,
      );
    }
  });

  test("add --verify saves what Instagram says", async () => {
    const { exitCode, stderr } = await world.addShop("--verify");
    expect({ exitCode, stderr }).toEqual({
      exitCode: 0,
      stderr: `Added the account ${shopId} (${shopId}); Instagram confirmed the token.\n`,
    });
    expect(await appScopedId()).toBe("29900000000000001");
    expect((await world.run("accounts", "show", "@shop.official")).exitCode).toBe(0);
  });

  test("add --verify exits 4 and saves nothing for another account's token and for a dead one", async () => {
    world.graph.selfId = "17841499999999999";
    const other = await world.addShop("--verify");
    expect({ exitCode: other.exitCode, stderr: other.stderr }).toEqual({
      exitCode: 4,
      stderr: `Cannot add the account ${shopId}: the token belongs to 17841499999999999 (@shop.official)\n`,
    });
    const file = join(world.folder, "dead.txt");
    writeFileSync(file, "IGAAdead");
    const args = ["--instagram-id", shopId, "--login", "instagram", "--token-file", file, "--verify"];
    const dead = await world.run("accounts", "add", ...args);
    expect({ exitCode: dead.exitCode, stderr: dead.stderr }).toEqual({
      exitCode: 4,
      stderr: `Cannot add the account ${shopId}: Instagram refused the token (token dead)\n`,
    });
    expect((await world.run("accounts", "list")).stdout).toBe("");
  });

  test("add --verify exits 2 and saves nothing where Instagram does not answer", async () => {
    const env = { ...world.env, GRAPH_INSTAGRAM_URL: "http://127.0.0.1:1" };
    const args = ["--instagram-id", shopId, "--login", "instagram", "--token-file", world.tokenFile, "--verify"];
    const { exitCode, stderr } = await runCli(["accounts", "add", ...args], { env });
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/^Cannot verify the token: .*Nothing was saved/);
    expect((await world.run("accounts", "list")).stdout).toBe("");
  });

  test("list is a calm table, and never shows a token", async () => {
    await world.addShop("--account-id", "shop", "--username", "shop.official");
    const { stdout } = await world.run("accounts", "list");
    const [head = "", row = ""] = linesOf(stdout);
    expect(head).toMatch(/^ACCOUNT +INSTAGRAM ID +USERNAME +LOGIN +STATE +TOKEN$/);
    expect(row).toMatch(
      /^shop +17841400000000001 +@shop\.official +instagram +active +saved \d+ s ago, expiry unknown$/,
    );
    const all = await Promise.all([
      world.run("accounts", "list", "--json"),
      world.run("accounts", "show", "shop"),
      world.run("accounts", "show", "shop", "--json"),
    ]);
    expect(JSON.stringify(all) + stdout).not.toContain(shopToken.slice(4, 16));
  });

  test("remove needs the exact id and forgets the account", async () => {
    await world.addShop("--account-id", "shop", "--username", "shop.official");
    for (const id of ["@shop.official", "sho"]) {
      const { exitCode, stderr } = await world.run("accounts", "remove", id);
      expect(exitCode).toBe(1);
      expect(stderr).toContain("did you mean");
    }
    expect((await world.run("accounts", "remove", "shop")).exitCode).toBe(0);
    expect((await world.run("accounts", "list")).stderr).toStartWith("There is no account yet.");
  });

  test("migrate says which version the schema is", async () => {
    const { exitCode, stderr } = await world.run("migrate");
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/^The schema is version \d+ and up to date: Postgres at 127\.0\.0\.1:\d+\//);
  });
});
