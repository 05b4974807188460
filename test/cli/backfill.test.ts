import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { refusal, shopId, shopToken, useCliWorld } from "./cli-world.ts";
import { linesOf, runCli, startCli } from "./run-cli.ts";

setDefaultTimeout(60_000);

describe("backfill", async () => {
  const world = await useCliWorld((of) => of.addShop("--account-id", "shop", "--username", "shop.official"));

  test("says so and exits 0 where nothing is to do", async () => {
    const { exitCode, stdout, stderr } = await world.run("backfill", "--account-id", "shop");
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "" });
    expect(stderr).toStartWith("Nothing to do: everybody who wrote to shop has a profile");
    const json = await world.run("backfill", "--account-id", "shop", "--json");
    expect(linesOf(json.stdout).map((line) => JSON.parse(line).event)).toEqual(["start", "end"]);
  });

  test.each(["shop", "17841400000000001", "@Shop.Official"])("takes %s as the account", async (name) => {
    await world.fill(3);
    const { exitCode, stderr } = await world.run("backfill", "--account-id", name);
    expect(exitCode).toBe(0);
    expect(stderr.match(/Backfill job \S+ completed: 3\/3 successful, 0 errors, \d+ms/g)).toHaveLength(1);
  });

  test("an unknown account exits 1 and names the nearest", async () => {
    const { exitCode, stderr } = await world.run("backfill", "--account-id", "shpo");
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: "Cannot find the account 'shpo': did you mean shop?\n",
    });
  });

  test("prints a table by reason on standard output and exits 2 where some have no profile", async () => {
    await world.fill(40);
    world.graph.answer = (id) => (id.endsWith("7") ? refusal(230) : null);
    const { exitCode, stdout } = await world.run("backfill", "--account-id", "shop");
    expect({ exitCode, stdout }).toEqual({
      exitCode: 2,
      stdout:
        "Inbox: 0 usernames of 0 conversations, in 1 call.\n  36  no picture: named; Instagram has no picture of them\n   4  no consent: they appear when the person writes again\n",
    });
  });

  test("the final sentence is seen once whatever the log level is", async () => {
    await world.fill(2);
    const env = { ...world.env, SOCIAL_SYNC_LOG_LEVEL: "error" };
    const { stderr } = await runCli(["backfill", "--account-id", "shop"], { env });
    expect(stderr).toMatch(/^Backfill job \S+ completed: 2\/2 successful, 0 errors, \d+ms\n$/);
  });

  test("--json prints versioned events on standard output only", async () => {
    await world.fill(40);
    const { exitCode, stdout } = await world.run("backfill", "--account-id", "shop", "--json");
    const events = linesOf(stdout).map((line) => JSON.parse(line));
    expect(exitCode).toBe(0);
    expect(events.every(({ v }) => v === 1)).toBe(true);
    expect(events[0]).toMatchObject({ event: "start", accountId: "shop", total: 40, batchSize: 10 });
    expect(events[0].runId).toMatch(/^\d{8}-\d{6}-[a-z2-9]{4}$/);
    expect(events[1]).toMatchObject({ event: "progress", total: 40 });
    expect(events.at(-1)).toMatchObject({ event: "end", done: 40, successful: 40, errors: 0, exitCode: 0 });
  });

  test("reads the inbox first, says what it told, and tells each phase and person as events", async () => {
    await world.fill(120);
    world.graph.inboxSize = 130;
    const env = { ...world.env, SOCIAL_SYNC_INBOX_SPACING_MS: "0" };
    const run = (...more: string[]) => runCli(["backfill", "--account-id", "shop", ...more], { env });
    const names = { calls: 3, listed: 130, named: 130, imported: 0 };
    const { exitCode, stdout } = await run("--json");
    const events = linesOf(stdout).map((line) => JSON.parse(line));
    expect(exitCode).toBe(0);
    expect(events[0]).toMatchObject({ event: "start", phase: "names", total: 120, watching: false });
    expect(events.at(-2)).toMatchObject({ event: "progress", phase: "profiles", done: 120, total: 120, names });
    expect(events.at(-1)).toMatchObject({ event: "end", state: "completed", done: 120, names, exitCode: 0 });
    const people = events.filter(({ event }) => event === "person");
    expect(new Set(people.map(({ conversationId }) => conversationId)).size).toBe(120);
    const person = people.find(({ participantId }) => participantId === "900000000000007");
    const { runId } = events[0];
    expect(person).toEqual({
      ...{
        v: 1,
        event: "person",
        runId,
        conversationId: `${shopId}_900000000000007`,
        participantId: "900000000000007",
      },
      ...{ outcome: "no_picture", username: "user.900000000000007", name: "Person 900000000000007" },
    });
    const again = await run("--names-only");
    expect(again.exitCode).toBe(0);
    expect(again.stdout).toMatch(/^Inbox: \d+ usernames of \d+ conversations, in \d calls?\.\n$/);
    expect(linesOf(again.stderr).at(-1)).toMatch(/Backfill job \S+ completed: 0\/0 successful, 0 errors, \d+ms/);
  });

  test("--import says how many conversations it created; a second run of it none", async () => {
    world.graph.inboxSize = 3;
    const env = { ...world.env, SOCIAL_SYNC_INBOX_SPACING_MS: "0" };
    world.graph.answer = (id) => (id.startsWith("thread-") ? Response.json({ id, messages: { data: [] } }) : null);
    const run = () => runCli(["backfill", "--account-id", "shop", "--import"], { env });
    expect((await run()).stdout).toContain(
      "Inbox: 3 usernames of 3 conversations, in 4 calls, 3 conversations imported.",
    );
    expect((await run()).stdout).toMatch(/^Inbox: 3 usernames of 3 conversations, in 1 call\.\n/);
  });

  test("an inbox that cannot be read keeps nobody from their profile; --names-only then exits 2 with the reason", async () => {
    await world.fill(3);
    world.graph.answerList = () => refusal(100);
    expect((await world.run("backfill", "--account-id", "shop")).exitCode).toBe(0);
    const { exitCode, stderr } = await world.run("backfill", "--account-id", "shop", "--names-only");
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/^The inbox of shop could not be read \([a-z ]+\): /m);
    expect(stderr).not.toContain("Instagram refused the account");
  });

  test("stopped while it reads the inbox, it says how far it came, and goes on from there", async () => {
    await world.fill(200);
    world.graph.inboxSize = 200;
    const gate = Promise.withResolvers<null>();
    world.graph.answerList = (call) => (call < 3 ? null : gate.promise);
    const child = startCli(["backfill", "--account-id", "shop", "--names-only"], { env: world.env });
    while (world.graph.listCalls < 3) await Bun.sleep(10);
    child.kill("SIGTERM");
    const stderr = await child.stderr.text();
    gate.resolve(null);
    expect(await child.exited).toBe(3);
    expect(linesOf(stderr).at(-1)).toBe(
      "Stopped after 100 conversations of the inbox. To go on: social-sync backfill --account-id shop --names-only",
    );
    world.graph.answerList = () => null;
    const next = await world.run("backfill", "--account-id", "shop", "--names-only");
    expect(next.stderr).toMatch(/Going on with run \S+, which has done 100 conversations of the inbox\.\n/);
    expect(next.stdout).toBe("Inbox: 200 usernames of 200 conversations, in 5 calls.\n");
    expect(next.exitCode).toBe(0);
  });

  test("the time to the end goes by the budget, before it has been waited for and then", async () => {
    await world.fill(200);
    const env = { ...world.env, SOCIAL_SYNC_RATE_PER_HOUR: "100" };
    const child = startCli(["backfill", "--account-id", "shop", "--json"], { env });
    let stdout = "";
    const read = (async () => {
      const decoder = new TextDecoder();
      for await (const bytes of child.stdout) {
        stdout += decoder.decode(bytes, { stream: true });
        // The first call of all goes alone, and whoever waits for its answer may say so.
        if (stdout.includes('"event":"pause"') && /"done":[1-9]/.test(stdout)) child.kill("SIGTERM");
      }
    })();
    expect(await child.exited).toBe(3);
    await read;
    const told = linesOf(stdout).map((line) => JSON.parse(line));
    const last = told.findLast(({ event }) => event === "progress");
    expect(last.done).toBeGreaterThan(0);
    expect(last.etaMs).toBeGreaterThan(90 * 60_000); // 200 people at 100 an hour
    expect(last.etaMs).toBeLessThan(150 * 60_000);
  });

  test("a pause of Instagram's is told once as an event", async () => {
    await world.fill(1); // Of several, those who wait for the probe's answer may be held up for longer, which is news.
    let refusals = 1;
    world.graph.answer = () => (refusals-- > 0 ? refusal(4, 403) : null);
    const env = { ...world.env, SOCIAL_SYNC_RATE_WINDOW_MS: "8000" };
    const { exitCode, stdout, stderr } = await runCli(["backfill", "--account-id", "shop", "--json"], { env });
    const pauses = linesOf(stdout)
      .map((line) => JSON.parse(line))
      .filter(({ event }) => event === "pause");
    expect({ exitCode, pauses: pauses.length }, stdout + stderr).toEqual({ exitCode: 0, pauses: 1 });
    expect(pauses[0].pausedForMs).toBeGreaterThan(500);
  });

  test("a refused token exits 4 and says what to do, the first time and from then on", async () => {
    await world.fill(30);
    world.graph.answer = () => refusal(190, 401);
    const first = await world.run("backfill", "--account-id", "shop");
    expect(first.exitCode).toBe(4);
    expect(first.stderr).toContain("Instagram refused the account shop as a whole (token dead): make a new token");
    const again = await world.run("backfill", "--account-id", "shop");
    expect(again.exitCode).toBe(4);
    expect(again.stderr).toStartWith("Cannot look anybody up for shop: Instagram refuses it (token dead)");
    expect(again.stderr.trimEnd()).not.toContain("\n");
  });

  test("SIGTERM finishes the batch in hand, exits 3, and the next run asks only for the rest", async () => {
    await world.fill(600);
    world.graph.latencyMs = 60;
    const child = startCli(["backfill", "--account-id", "shop"], { env: world.env });
    while (world.graph.calls < 20) await Bun.sleep(10);
    child.kill("SIGTERM");
    const stderr = await child.stderr.text();
    expect(await child.exited).toBe(3);
    expect(stderr).toContain("Finishing the batch in hand…");
    expect(stderr).toMatch(/Stopped after \d+ of 600 people\. To go on: social-sync backfill --account-id shop\n$/);
    expect(stderr).not.toContain("completed:");
    world.graph.latencyMs = 0;
    expect((await world.run("backfill", "--account-id", "shop")).exitCode).toBe(0);
    expect(world.graph.calls).toBe(600);
  });

  test("a second signal leaves at once with exit code 3", async () => {
    await world.fill(100);
    world.graph.latencyMs = 8_000;
    const child = startCli(["backfill", "--account-id", "shop"], { env: world.env });
    while (world.graph.calls === 0) await Bun.sleep(10);
    child.kill("SIGINT");
    await Bun.sleep(200);
    const atMs = performance.now();
    child.kill("SIGINT");
    expect(await child.exited).toBe(3);
    expect(performance.now() - atMs).toBeLessThan(1_000);
  });

  test("the token stands in no output and in no process list", async () => {
    await world.fill(60);
    world.graph.latencyMs = 50;
    const env = { ...world.env, SOCIAL_SYNC_LOG_LEVEL: "debug" };
    const child = startCli(["backfill", "--account-id", "shop"], { env });
    while (world.graph.calls === 0) await Bun.sleep(10);
    const commandLine = await Bun.file(`/proc/${child.pid}/cmdline`).text();
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect(commandLine + stdout + stderr).not.toContain(shopToken.slice(0, 12));
    expect(commandLine + stdout + stderr).not.toContain(world.env.SOCIAL_SYNC_ENCRYPTION_KEY);
  });

  test("an unreachable database exits 5 with one sentence", async () => {
    const env = { ...world.env, DATABASE_URL: "postgres://nobody:hunter2hunter2@127.0.0.1:1/none" };
    const { exitCode, stdout, stderr } = await runCli(["accounts", "list"], { env });
    expect({ exitCode, stdout }).toEqual({ exitCode: 5, stdout: "" });
    expect(linesOf(stderr)).toHaveLength(1);
    expect(stderr).not.toContain("hunter2");
  });
});
