import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { startProgram, until } from "../support/program.ts";
import { type CliWorld, openCliWorld, refusal } from "./cli-world.ts";
import { cliCommand } from "./run-cli.ts";
import { demandTmux, openTmuxTerminal } from "./tmux-terminal.ts";

const backfill = cliCommand(["backfill", "--account-id", "shop"]);
setDefaultTimeout(60_000);

describe("backfill on a terminal", () => {
  beforeAll(demandTmux, 600_000);

  let world: CliWorld;
  beforeAll(async () => {
    world = await openCliWorld();
  });
  afterAll(() => world[Symbol.asyncDispose]());

  async function prepare(people: number, latencyMs: number) {
    await world.empty();
    await world.addShop("--account-id", "shop");
    await world.fill(people);
    world.graph.latencyMs = latencyMs;
    world.graph.answer = (id) => (id.endsWith("7") ? refusal(230) : null);
  }
  const open = (columns: number, env: Record<string, string> = {}) =>
    openTmuxTerminal({ columns, rows: 20, env: { ...world.env, ...env } });

  test.each([40, 100])(
    "shows a bar within %i columns, hides the cursor, and after Ctrl-C says how to go on",
    async (columns) => {
      await prepare(1_500, 80);
      await using terminal = await open(columns);
      await terminal.type(backfill);
      const screen = await terminal.until(/ETA \d+ s/); // the first call of all goes alone, and promises little
      const [bar = "", details = ""] = screen.trimEnd().split("\n").slice(-2);
      expect(bar).toMatch(/^shop profiles [█░]{5,} [\d,]+\/1,500 \d+%$/);
      expect(details).toMatch(/^\d[\d.]*\/s · ETA \d+ s/);
      expect(await terminal.cursorShown()).toBe(false);

      await terminal.press("C-c");
      await terminal.until(/Stopped after/);
      await terminal.type("echo code $?");
      await terminal.until(/code 3/);
      const all = (await terminal.readAll()).replaceAll("\n", "");
      expect(all).toContain("Finishing the batch in hand…");
      expect(all).toMatch(/Stopped after [\d,]+ of 1,500 people\. To go ?on: social-sync backfill --account-id shop/);
      expect(all).not.toMatch(/[█░]/);
      expect(await terminal.cursorShown()).toBe(true);
    },
  );

  test("a second Ctrl-C leaves at once with the cursor back and exit code 3", async () => {
    await prepare(1_500, 5_000);
    await using terminal = await open(80);
    await terminal.type(backfill);
    await terminal.until(/0\/1,500/);
    while (world.graph.calls === 0) await Bun.sleep(10);
    await terminal.press("C-c");
    await terminal.until(/Finishing the batch in hand/);
    await Bun.sleep(200); // a signal within 50 ms of the first is a wrapper's echo of the same one
    await terminal.press("C-c");
    await terminal.type("echo code $?");
    await terminal.until(/code 3/, 4_000); // an answer of Graph takes 5 s: nobody waited for it
    expect(await terminal.cursorShown()).toBe(true);
  });

  test("the bar survives a resize without leaving pieces behind", async () => {
    await prepare(1_500, 80);
    await using terminal = await open(100);
    await terminal.type(backfill);
    await terminal.until(/ETA \d/);
    for (const columns of [45, 120, 60]) {
      await terminal.resize(columns);
      await Bun.sleep(400);
      const screen = await terminal.read();
      expect(screen.match(/\/1,500 /g)).toHaveLength(1);
      expect(screen.match(/ETA/g)).toHaveLength(1);
    }
  });

  test("without a UTF-8 locale and with NO_COLOR it is plain ASCII, and ends with the final sentence once", async () => {
    await prepare(1_000, 60);
    await using terminal = await open(100, { LANG: "C", NO_COLOR: "1" });
    await terminal.type(backfill);
    const screen = await terminal.until(/\/s, ETA \d/);
    expect(screen).toMatch(/^shop profiles [#-]{5,} \d+\/1,000 \d+%$/m);
    world.graph.latencyMs = 0;
    await terminal.until(/completed:/);
    await terminal.type("echo code $?");
    await terminal.until(/code 2/);
    const all = (await terminal.readAll()).replaceAll("\n", " ");
    expect(all.match(/Backfill job \S+ completed: 900\/1000 successful, 100 errors, \d+ms/g)).toHaveLength(1);
    expect(all).toContain("100  no consent: they appear when the person writes again");
    expect(all.indexOf("no consent:")).toBeLessThan(all.indexOf("completed:"));
  });

  test("log lines stand above the bar and do not garble it", async () => {
    await prepare(1_000, 60);
    await using terminal = await open(100, { SOCIAL_SYNC_LOG_LEVEL: "log" });
    await terminal.type(backfill);
    await terminal.until(/Successfully enriched[\s\S]*ETA \d/);
    const lines = (await terminal.read()).trimEnd().split("\n");
    expect(lines.at(-2)).toMatch(/^shop profiles [█░]+ \d+\/1,000 \d+%$/);
    expect(lines.slice(0, -2).join("\n")).not.toMatch(/[█░]|ETA/);
  });

  test("shows the inbox being read, then the people; Ctrl-C in between says how far it came", async () => {
    await prepare(500, 80);
    world.graph.inboxSize = 500;
    const gate = Promise.withResolvers<null>();
    world.graph.answerList = (call) => (call < 4 ? null : gate.promise);
    const env = { SOCIAL_SYNC_INBOX_SPACING_MS: "0" };
    {
      await using terminal = await open(80, env);
      await terminal.type(backfill);
      const screen = await terminal.until(/150\/500/);
      expect(screen).toMatch(/^shop names █+░+ 150\/500 30%$/m);
      expect(screen).toMatch(/150 usernames · [34] calls$/m);
      await terminal.press("C-c");
      await terminal.until(/Stopped after 150 conversations of the inbox\. To go on: social-sync backfill/);
      await terminal.type("echo code $?");
      await terminal.until(/code 3/);
      expect(await terminal.cursorShown()).toBe(true);
      gate.resolve(null);
    }
    world.graph.answerList = () => null;
    await using terminal = await open(80, env);
    await terminal.type(backfill);
    await terminal.until(/^shop profiles [█░]+ [\d,]+\/500 \d+%$/m);
    world.graph.latencyMs = 0;
    await terminal.until(/completed:/);
    expect(await terminal.readAll()).toMatch(/^Inbox: 500 usernames of 500 conversations, in 1\d calls\.$/m);
  });

  test("is redrawn at most ten times a second of a whole run", async () => {
    await prepare(1_500, 20);
    await using terminal = await open(80);
    const path = join(world.folder, "bytes");
    await terminal.record(path);
    const startMs = performance.now();
    await terminal.type(backfill);
    await terminal.until(/completed:/);
    const ranMs = performance.now() - startMs;
    const draws = (await Bun.file(path).text()).split("\u001b[?25l").length - 1;
    expect(draws).toBeGreaterThan(3);
    expect(draws).toBeLessThanOrEqual(ranMs / 100 + 1);
  });

  test.each(["SIGTERM", "SIGINT"] as const)("brings the cursor back after %s from outside", async (signal) => {
    await prepare(1_500, 80);
    await using terminal = await open(80);
    await terminal.type(backfill);
    await terminal.until(/ETA \d/);
    expect(await terminal.cursorShown()).toBe(false);
    process.kill(await terminal.childPid(), signal);
    await terminal.until(/Stopped after/);
    await terminal.type("echo code $?");
    await terminal.until(/code 3/);
    expect(await terminal.cursorShown()).toBe(true);
    expect(await terminal.read()).not.toMatch(/[█░]/);
  });

  test("brings the cursor back where the tables fail it, and exits 5", async () => {
    await prepare(1_500, 80);
    const query = (text: string) => world.repositories.database.query(text, [], "break the tables");
    await using terminal = await open(80);
    await terminal.type(backfill);
    await terminal.until(/ETA \d/);
    await query("alter table conversations rename to conversations_elsewhere");
    try {
      await terminal.until(/^Cannot /m);
      await terminal.type("echo code $?");
      await terminal.until(/code 5/);
    } finally {
      await query("alter table conversations_elsewhere rename to conversations");
    }
    expect(await terminal.cursorShown()).toBe(true);
    expect(await terminal.read()).not.toMatch(/[█░]/);
  });

  test("jobs watch shows the same bar of a run elsewhere; Ctrl-C ends the watching and brings the cursor back", async () => {
    await prepare(1_500, 80);
    const env = { ...world.env, SOCIAL_SYNC_DATA_DIR: join(world.folder, "owner") };
    await using owner = await startProgram(["backfill", "--account-id", "shop"], env);
    await until(
      () => world.graph.calls > 20,
      20_000,
      () => owner.output.err,
    );
    const { stdout } = await world.run("jobs", "list", "--json");
    const { id } = JSON.parse(stdout.split("\n")[0] ?? "");
    await using terminal = await open(80);
    await terminal.type(cliCommand(["jobs", "watch", id]));
    await terminal.until(/^shop profiles [█░]+ [\d,]+\/1,500 \d+%$/m);
    expect(await terminal.cursorShown()).toBe(false);
    await terminal.press("C-c");
    await terminal.until(/Stopped watching; run \S+ goes on\./);
    await terminal.type("echo code $?");
    await terminal.until(/code 3/);
    expect(await terminal.cursorShown()).toBe(true);
    owner.signal("SIGTERM");
    expect((await owner.ended).code).toBe(3);
  });

  test("counts down while Instagram's limit is waited for, and Ctrl-C does not wait for its end", async () => {
    await prepare(50, 0);
    world.graph.answer = () => refusal(4, 403);
    await using terminal = await open(60, { SOCIAL_SYNC_RATE_WINDOW_MS: "200000" });
    await terminal.type(backfill);
    const seconds = async () =>
      Number((await terminal.until(/waiting for Instagram: \d+ s/)).match(/Instagram: (\d+) s/)?.[1]);
    const first = await seconds();
    await Bun.sleep(2_100);
    expect(first - (await seconds())).toBeOneOf([1, 2, 3]);
    await terminal.press("C-c");
    await terminal.type("echo code $?");
    await terminal.until(/code 3/, 3_000);
  });

  test("a signal while the token is asked for leaves the terminal as it was", async () => {
    await using terminal = await open(100);
    const args = ["accounts", "add", "--instagram-id", "17841400000000007", "--login", "instagram"];
    await terminal.type(cliCommand(args));
    await terminal.until(/Token \(not shown\):/);
    const pid = await terminal.childPid();
    process.kill(pid, "SIGTERM");
    await terminal.until(/Cannot go on: interrupted/);
    await terminal.type("stty -a");
    expect(await terminal.until(/ -?icanon /)).toMatch(/ icanon /);
  });

  test("accounts add asks for the token without showing it", async () => {
    await world.empty();
    await using terminal = await open(100);
    await terminal.type(cliCommand(["accounts", "add", "--instagram-id", "17841400000000009", "--login", "instagram"]));
    await terminal.until(/Token \(not shown\):/);
    await terminal.type("IGAAtypedByHand123");
    await terminal.until(/Added the account 17841400000000009/);
    expect(await terminal.readAll()).not.toContain("typedByHand");
    await terminal.type(cliCommand(["accounts", "add", "--instagram-id", "17841400000000008", "--login", "instagram"]));
    await terminal.until(/Token \(not shown\):[^:]*Token \(not shown\):\s*$/);
    await terminal.press("C-c");
    await terminal.until(/interrupted\s+[$#]\s*$/); // what is typed before its end belongs to the program
    await terminal.type("echo code $?");
    await terminal.until(/code 3/);
  });
});
