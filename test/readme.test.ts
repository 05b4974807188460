/** The README's commands work as they stand. What cannot run inside the gate is named here with its reason. */
import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { commandTable } from "../src/cli/commands.ts";
import { exitCodes } from "../src/cli/io.ts";
import { openCliWorld } from "./cli/cli-world.ts";
import { compiledBinary } from "./support/compiled-binary.ts";
import { ask, openFolder, runProgram, startDaemon, until } from "./support/program.ts";
import { findFreePort } from "./support/server-process.ts";
import { openTestDatabase } from "./support/test-services.ts";
import { account } from "./support/webhook-bodies.ts";

const root = join(import.meta.dir, "..");
const readme = readFileSync(join(root, "README.md"), "utf8");
const listCommands = (text: string) =>
  [...text.matchAll(/```(?:sh|crontab)\n([\s\S]*?)```/g)].flatMap((match) => (match[1] ?? "").trim().split("\n"));
const commands = listCommands(readme);
const recipes = listCommands(/### Backfills\n([\s\S]*?)\n### /.exec(readme)?.[1] ?? "");

/** Every command of the README, and which test runs it. */
const runBy: Readonly<Record<string, string>> = {
  "npx --yes bun@1.4.5 run start": "here",
  "curl localhost:3000/messaging/conversations": "here",
  "npx --yes bun@1.4.5 run check": "the gate is this very run",
  "npx --yes bun@1.4.5 run build": "every end-to-end test drives what it makes",
  [`social-sync accounts add --instagram-id ${account} --login instagram --account-id shop --token-file token.txt`]:
    "here",
  "social-sync accounts list": "here",
  "social-sync backfill --account-id shop": "here",
  "social-sync serve --env-file settings.env": "here",
  "docker compose up --detach --build": "bun run image:check builds and runs the image",
  "docker compose run --rm social-sync backfill --account-id shop": "bun run image:check builds and runs the image",
  "bun run bench": "takes minutes: by hand",
  ...Object.fromEntries(recipes.map((recipe) => [recipe, "here"])),
};

describe("README.md", () => {
  test("names no command that no test knows", () => {
    expect(commands.length).toBeGreaterThan(5);
    expect(commands.filter((command) => !Object.hasOwn(runBy, command))).toEqual([]);
    expect(Object.keys(runBy).filter((command) => !commands.includes(command))).toEqual([]);
  });

  test("the gate runs the README's test command and nothing else", () => {
    const script = readFileSync(join(root, ".ci", "run"), "utf8");
    expect(script).toContain("npx --yes bun@1.4.5 run check");
    expect(packageJson.packageManager).toBe("bun@1.4.5");
    for (const [, name] of readme.matchAll(/bun(?:@1\.4\.5)? run ([a-z:]+)/g))
      expect(packageJson.scripts).toHaveProperty(name ?? "");
  });

  test("names every command of the program, and no other", () => {
    const listed = /### Commands\n\n([\s\S]*?); each has/.exec(readme)?.[1] ?? "";
    expect([...listed.matchAll(/`([a-z]+)/g)].map((match) => match[1] ?? "").sort()).toEqual(
      Object.keys(commandTable).sort(),
    );
  });

  test("names every variable that the settings read, and no other", () => {
    const read = [
      ...readFileSync(join(root, "src", "config.ts"), "utf8").matchAll(
        /(?:text|list|whole|oneOf(?:<\w+>)?|url)\(\s*"([A-Z_]+)"/g,
      ),
    ].map((match) => match[1] ?? "");
    const table = /### Settings\n([\s\S]*?)### Commands/.exec(readme)?.[1] ?? "";
    const told = [...table.matchAll(/`([A-Z][A-Z_]{3,})`/g)].map((match) => match[1] ?? "");
    expect([...new Set(told)].sort()).toEqual([...new Set(read)].sort());
  });

  test("the first command shows conversations with names within a minute", async () => {
    using folder = openFolder();
    const port = await findFreePort();
    const child = Bun.spawn([process.execPath, "run", "start"], {
      cwd: root,
      env: { ...process.env, PORT: String(port), SOCIAL_SYNC_DATA_DIR: folder.path, SOCIAL_SYNC_LOG_LEVEL: "warn" },
      stdout: "ignore",
      stderr: "pipe",
    });
    try {
      const url = `http://localhost:${port}/messaging/conversations`;
      type Page = { data: { participantUsername: string | null }[] };
      await until(
        async () => {
          const page = await ask<Page>(url).catch(() => null);
          return page?.data.some((one) => one.participantUsername !== null) ?? false;
        },
        60_000,
        () => `exit code ${child.exitCode}`,
      );
    } finally {
      child.kill("SIGTERM");
      await child.exited;
    }
  }, 90_000);

  test("the commands for a real account work in their order, as they stand", async () => {
    await using database = await openTestDatabase();
    using folder = openFolder();
    const token = "IGAAfrom-the-dashboard";
    writeFileSync(join(folder.path, "token.txt"), `${token}\n`);
    writeFileSync(join(folder.path, "settings.env"), "META_APP_SECRET=from-the-dashboard\nMETA_VERIFY_TOKEN=a-word\n");
    const env = { DATABASE_URL: database.url, SOCIAL_SYNC_DATA_DIR: join(folder.path, "data") };
    const run = (line: string) => {
      const args = line
        .split(" ")
        .slice(1)
        .map((word) => (/^(token\.txt|settings\.env)$/.test(word) ? join(folder.path, word) : word));
      return line.includes(" serve ") ? null : runProgram(args, env);
    };
    const lines = commands.filter((command) => command.startsWith("social-sync ") && !recipes.includes(command));
    for (const line of lines) {
      const ended = await run(line);
      if (ended === null) continue;
      expect({ line, code: ended.code }).toEqual({ line, code: 0 });
      expect(ended.out + ended.err).not.toContain(token);
      if (line.endsWith("list")) expect(ended.out).toContain("shop");
    }
    await using daemon = await startDaemon(["--env-file", join(folder.path, "settings.env")], env);
    const handshake = await fetch(
      `${daemon.url}/webhooks/instagram?hub.mode=subscribe&hub.challenge=42&hub.verify_token=a-word`,
    );
    expect(await handshake.text()).toBe("42");
    daemon.signal("SIGTERM");
    expect((await daemon.ended).code).toBe(0);
  }, 60_000);

  test("the recipes for backfills work as they stand: here, by the daemons, in a container, from cron", async () => {
    await using world = await openCliWorld();
    await world.addShop("--account-id", "shop");
    const bin = join(world.folder, "bin");
    mkdirSync(bin);
    symlinkSync(await compiledBinary(), join(bin, "social-sync"));
    // In a container the image's program gets the words behind the service's name, and its settings from compose.yaml.
    writeFileSync(
      join(bin, "docker"),
      '#!/bin/sh\n[ "$1 $2 $3 $4" = "compose run --rm social-sync" ] && shift 4 && exec social-sync "$@"\n',
    );
    chmodSync(join(bin, "docker"), 0o755);
    const settings = Object.entries({ ...world.env, META_APP_SECRET: "from-the-dashboard" });
    writeFileSync(join(world.folder, "settings.env"), settings.map(([name, value]) => `${name}=${value}\n`).join(""));
    const daemonEnv = { ...Object.fromEntries(settings), SOCIAL_SYNC_DATA_DIR: join(world.folder, "daemon") };
    let daemon = false;
    await using daemons = new AsyncDisposableStack();
    await world.fill(20);
    const path = `${bin}:${process.env.PATH ?? ""}`;
    expect(recipes.length).toBeGreaterThan(5);
    for (const recipe of recipes) {
      // Earlier it would take the people up by itself.
      if (recipe.includes("--detach") && !daemon) {
        daemons.use(await startDaemon([], daemonEnv));
        daemon = true;
      }
      // Cron knows five fields, no settings, and a short PATH: the recipe names the program and the file in full.
      const [, cron] = /^(?:\S+ ){3}\* \* (\/usr\/local\/bin\/.*)$/.exec(recipe) ?? [];
      const line = cron?.replace("/usr/local/bin/", `${bin}/`) ?? recipe;
      const env = cron === undefined ? { ...Object.fromEntries(settings), PATH: path } : { PATH: "/usr/bin:/bin" };
      const child = Bun.spawn(["sh", "-c", line], { cwd: world.folder, env, stdout: "pipe", stderr: "pipe" });
      const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
      expect({ recipe, code: await child.exited, out, err }).toMatchObject({ recipe, code: 0 });
      if (recipe.endsWith("--dry-run")) expect(out).toContain("20 people: about 1 list call, 20 profile calls");
      if (recipe.endsWith("--retry-failed")) expect(err).toContain("completed: 20/20 successful");
      if (recipe.endsWith("--exit-status")) expect(err).toContain("completed: 20/20 successful");
      if (cron !== undefined) {
        const record = readFileSync(join(world.folder, "backfill.ndjson"), "utf8").trim().split("\n");
        expect(record.map((text) => JSON.parse(text).event)).toEqual(["start", "end"]);
      }
    }
  }, 120_000);

  test("says of each exit code what it means for a backfill", () => {
    const told = [...readme.matchAll(/^\| `(\d+)` +\|/gm)].map(([, code]) => Number(code));
    expect(told).toEqual(Object.values(exitCodes).filter((code) => code !== exitCodes.bug));
  });
});
