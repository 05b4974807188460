import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linesOf, runCli } from "./run-cli.ts";

setDefaultTimeout(60_000);

const commands = [
  [],
  ["serve"],
  ["backfill"],
  ["accounts"],
  ["accounts", "add"],
  ["accounts", "list"],
  ["accounts", "show"],
  ["accounts", "remove"],
  ["jobs", "list"],
  ["jobs", "watch"],
  ["jobs", "cancel"],
  ["jobs", "retry"],
  ["sandbox"],
  ["migrate"],
  ["openapi"],
  ["healthcheck"],
  ["version"],
];

describe("--help", () => {
  test.each(commands.map((words) => [words]))(
    "of %p: standard output, exit 0, 80 columns, with an example",
    async (words) => {
      const [long, short] = await Promise.all([runCli([...words, "--help"]), runCli([...words, "-h"])]);
      expect({ exitCode: long.exitCode, stderr: long.stderr }).toEqual({ exitCode: 0, stderr: "" });
      expect(short.stdout).toBe(long.stdout);
      expect(long.stdout).toMatch(/^Examples?:$/m);
      expect(long.stdout).toMatch(/^ {2}.*social-sync/m);
      expect(linesOf(long.stdout).filter((line) => Bun.stringWidth(line) > 80)).toEqual([]);
    },
  );

  test("works anywhere, also behind what would be refused", async () => {
    const { exitCode, stdout } = await runCli(["backfill", "--account-id", "--help", "--bogus"]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("Usage: social-sync backfill --account-id <id>");
  });

  test("is what help <command> prints too", async () => {
    const [word, option] = await Promise.all([runCli(["help", "accounts", "add"]), runCli(["accounts", "add", "-h"])]);
    expect(word).toEqual(option);
  });

  test("of the program names every exit code", async () => {
    const { stdout } = await runCli(["--help"]);
    for (const code of [0, 1, 2, 3, 4, 5, 70]) expect(stdout).toMatch(new RegExp(`^ {2}${code} +\\w`, "m"));
  });
});

test("--version, -v and version say the same", async () => {
  const ends = await Promise.all([["--version"], ["-v"], ["version"]].map((words) => runCli(words)));
  for (const end of ends) expect(end).toEqual({ exitCode: 0, stdout: "social-sync 0.1.0\n", stderr: "" });
});

const add = ["accounts", "add", "--instagram-id", "17841400000000001", "--login", "instagram"];
const refused: [string[], string][] = [
  [[], "no command was given"],
  [["bakfill"], "unknown command 'bakfill', did you mean backfill? (accepted: social-sync <serve|backfill|"],
  [["accounts"], "no command was given (accepted: social-sync accounts <add|list|show|check|remove>)"],
  [["accounts", "ad"], "unknown command 'ad', did you mean add?"],
  [["--jsn"], "unknown option --jsn"],
  [
    ["backfill"],
    "--account-id is missing (accepted: social-sync backfill --account-id <id> [--batch-size <1-500>] [--retry-failed] [--force] [--names-only] [--no-bulk] [--import] [--limit <people>] [--since <time>] [--dry-run] [--detach] [--json])",
  ],
  [["backfill", "--acount-id", "shop"], "unknown option --acount-id, did you mean --account-id?"],
  [["backfill", "--accountId", "shop"], "unknown option --accountId"],
  [["backfill", "--account-id", "shop", "now"], "unexpected word 'now'"],
  [["backfill", "--account-id", ""], "--account-id needs a value"],
  [["backfill", "--account-id=  "], "--account-id needs a value"],
  [["backfill", "--account-id"], "--account-id needs a value"],
  [["backfill", "--account-id", "--json"], "--account-id needs a value"],
  [["backfill", "--account-id", "a", "--account-id", "b"], "--account-id is given twice"],
  [["backfill", "--account-id", "a", "--json", "--json"], "--json is given twice"],
  [["backfill", "--account-id", "a", "--json=yes"], "--json takes no value"],
  [["backfill", "--account-id", "a", "--no-json"], "unknown option --no-json"],
  [["backfill", "-a", "shop"], "unknown option -a"],
  [["backfill", "--account-id", "a", "--batch-size", ""], "--batch-size needs a value"],
  ...["0", "-1", "1.5", "abc", "10abc", "501", "1e2", " 5", "０"].map((size): [string[], string] => [
    ["backfill", "--account-id", "a", "--batch-size", size],
    "--batch-size: it takes a whole number from 1 to 500",
  ]),
  ...["", "0", "-1", "1.5", "abc", "10abc"].map((limit): [string[], string] => [
    ["backfill", "--account-id", "a", "--limit", limit],
    limit === "" ? "--limit needs a value" : "--limit: it takes a whole number from 1",
  ]),
  ...["yesterday", "2026-02-31", "2999-01-01", "7", "-1d", "11/20/2026"].map((since): [string[], string] => [
    ["backfill", "--account-id", "a", "--since", since],
    "Cannot use --since: ",
  ]),
  [["backfill", "--account-id", "a", "--since="], "--since needs a value"],
  [["backfill", "--account-id", "a", "--force", "--retry-failed"], "Cannot use --retry-failed: it is part of --force"],
  [["backfill", "--account-id", "a", "--dry-run", "--detach"], "Cannot use --detach: --dry-run does nothing"],
  [["jobs"], "no command was given (accepted: social-sync jobs <list|watch|cancel|retry>)"],
  [["jobs", "watch"], "<id> is missing (accepted: social-sync jobs watch <id> [--exit-status] [--json])"],
  [["jobs", "cancel", "a", "b"], "unexpected word 'b'"],
  [["jobs", "retry", ""], "<id> is missing"],
  [["accounts", "show"], "<id> is missing"],
  [["accounts", "show", "a", "b"], "unexpected word 'b'"],
  [["accounts", "show", ""], "<id> is missing"],
  [["openapi", "--", "x"], "unknown option --"],
  [["sandbox", "--port", "70000"], "--port: it takes a whole number from 0 to 65535"],
  [["sandbox", "--messages-per-second", "5"], "--messages-per-second needs --webhook-url"],
  [["sandbox", "--webhook-url", "ftp://x"], "--webhook-url must be an address"],
  [[...add.slice(0, -1), "tiktok"], "--login must be instagram or facebook, not 'tiktok'"],
  [[...add.slice(0, -1), "facebook"], "--page-id is missing: --login facebook needs it"],
  [[...add, "--page-id", "1"], "--page-id belongs to --login facebook only"],
  [[...add, "--account-id", "@shop"], "--account-id must be up to 64 letters"],
  [["accounts", "add", "--instagram-id", "a b", "--login", "instagram"], "--instagram-id must be an Instagram id"],
  [add, "its token is missing"],
  [[...add, "--token-file", "/nowhere/token"], "Cannot read /nowhere/token: there is no such file"],
  [[...add, "--token-file", "/"], "Cannot read /: it is a folder"],
];

describe("refused with one line and exit 1", () => {
  test.each(refused)("%p", async (words, sentence) => {
    const { exitCode, stdout, stderr } = await runCli(words, { env: { SOCIAL_SYNC_DATA_DIR: "/nowhere/data" } });
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
    expect(stderr).toContain(sentence);
    expect(linesOf(stderr)).toHaveLength(1);
  });

  test("a token as an argument, with the reason and without the token", async () => {
    const token = `IGAA${"s3cr".repeat(30)}`;
    for (const words of [["--token", token], [`--token=${token}`], [`--tokn=${token}`], [token]]) {
      const { exitCode, stderr } = await runCli([...add, ...words]);
      expect(exitCode).toBe(1);
      expect(stderr).not.toContain("s3cr");
      expect(linesOf(stderr)).toHaveLength(1);
    }
    expect((await runCli([...add, "--token", token])).stderr).toContain("process list");
  });

  test("all settings that are wrong at once", async () => {
    const env = { PORT: "x", DATABASE_URL: "mysql://a", SOCIAL_SYNC_LOG_LEVEL: "loud" };
    const { exitCode, stderr } = await runCli(["accounts", "list"], { env });
    expect(exitCode).toBe(1);
    for (const name of Object.keys(env)) expect(stderr).toContain(name);
  });
});

test("a reader that goes away is no crash", async () => {
  const { stderr, exitCode } = await runPipe("openapi | head -1");
  expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
});

async function runPipe(line: string) {
  const entry = `${import.meta.dir}/../../bin/social-sync.ts`;
  const child = Bun.spawn(["bash", "-c", `set -o pipefail; '${process.execPath}' '${entry}' ${line}`], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { stdout, stderr, exitCode: await child.exited };
}

describe("--env-file", () => {
  test("hands the settings of a file to any command; the environment counts more", async () => {
    const folder = mkdtempSync(join(tmpdir(), "social-sync-env-"));
    try {
      const path = join(folder, "settings.env");
      writeFileSync(path, "PORT=4321\nHOST=127.0.0.2\nMETA_APP_SECRET=hush-hush\n");
      const { exitCode, stdout } = await runCli(["serve", "--print-config", "--env-file", path], {
        env: { HOST: "127.0.0.3" },
      });
      expect(exitCode).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ port: 4321, host: "127.0.0.3", appSecrets: "1 set" });
      expect((await runCli([`--env-file=${path}`, "version"])).stdout).toBe("social-sync 0.1.0\n");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test.each([
    [["version", "--env-file"]],
    [["version", "--env-file", "/nowhere/at/all"]],
    [["--env-file=", "version"]],
  ])("%p is refused in one line", async (words) => {
    const { exitCode, stderr } = await runCli(words);
    expect(exitCode).toBe(1);
    expect(linesOf(stderr)).toHaveLength(1);
    expect(stderr).toContain("--env-file");
  });
});
