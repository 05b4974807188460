import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import { delivery, inbound } from "../support/webhook-bodies.ts";
import { shopId, useCliWorld } from "./cli-world.ts";
import { runCli } from "./run-cli.ts";

setDefaultTimeout(60_000);

const t = 1_762_000_000_000;
const anna = "1129842642640637";
const ben = "2229842642640637";

describe("erase", async () => {
  const world = await useCliWorld(async (of) => {
    await of.addShop("--account-id", "shop");
    await save(anna, "a1");
    await save(anna, "a2");
    await save(ben, "b1");
  });
  const save = (person: string, mid: string) =>
    world.repositories.events.saveEvents(parseWebhook(delivery([inbound(person, mid, t)], shopId), t).events, 20_000);
  const people = async () =>
    (await world.repositories.rows("conversations", "id")).map((row) => row.participant_platform_id);

  test("takes one person out, says what went and tells nobody who it was", async () => {
    const { exitCode, stdout, stderr } = await world.run("erase", "--person", anna, "--yes");
    expect({ exitCode, stdout, stderr }).toEqual({
      exitCode: 0,
      stdout: "Erased 1 person: removed 1 conversation, 2 messages, 2 raw events. What happened until now stays out.\n",
      stderr: "",
    });
    expect(await people()).toEqual([ben]);
    const again = await world.run("erase", "--person", anna, "--yes", "--json");
    const removed = { conversations: 0, messages: 0, reactions: 0, reads: 0, names: 0, events: 0, quarantined: 0 };
    expect(JSON.parse(again.stdout)).toEqual({ v: 1, people: 1, removed, cacheCleared: true, interrupted: false });
    await save(anna, "a1");
    expect(await people()).toEqual([ben]);
  });

  test("removes nothing without --yes, nor where it cannot tell whom", async () => {
    const file = join(world.folder, "wrong.csv");
    writeFileSync(file, `${anna}\nnot an id\n`);
    for (const [words, why] of [
      [["--person", anna], "it cannot be undone; add --yes to erase 1 person"],
      [["--yes"], "it takes either --person or --file"],
      [["--person", anna, "--file", file, "--yes"], "it takes either --person or --file"],
      [["--person", "anna!", "--yes"], "Cannot erase 'anna!': it is not a person's Instagram-scoped id"],
      [["--file", file, "--yes"], "Cannot erase 'not': it is not a person's Instagram-scoped id"],
      [["--file", join(world.folder, "none"), "--yes"], "Cannot read --file: there is no such file"],
      [["--person", anna, "--account-id", "shoq", "--yes"], "Cannot find the account 'shoq': did you mean shop?"],
    ] as const) {
      const { exitCode, stdout, stderr } = await world.run("erase", ...words);
      expect({ words, exitCode, stdout }).toEqual({ words, exitCode: 1, stdout: "" });
      expect(stderr).toContain(why);
    }
    expect((await people()).sort()).toEqual([anna, ben]);
  });

  test("takes a list from a file or from standard input, with an account", async () => {
    const stdin = `\uFEFF"${anna}";\r\n${ben}, ${anna}\n999999\n`;
    const words = ["erase", "--file", "-", "--account-id", "shop", "--yes"];
    const { exitCode, stdout } = await runCli(words, { env: world.env, stdin });
    expect({ exitCode, stdout }).toEqual({
      exitCode: 0,
      stdout:
        "Erased 3 people: removed 2 conversations, 3 messages, 3 raw events. What happened until now stays out.\n",
    });
    expect(await people()).toEqual([]);
  });

  test("exits with 2 where the cache may still hold them", async () => {
    const env = { ...world.env, REDIS_URL: "redis://127.0.0.1:9" };
    const { exitCode, stderr } = await runCli(["erase", "--person", anna, "--yes"], { env });
    expect(exitCode).toBe(2);
    expect(stderr).toContain("The cache did not answer and may hold their profiles for a day: run it again.");
    expect(await people()).toEqual([ben]);
  });
});
