import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { startDaemon, startProgram, until } from "../support/program.ts";
import { refusal, useCliWorld } from "./cli-world.ts";
import { linesOf, runCli, startCli } from "./run-cli.ts";

setDefaultTimeout(90_000);

describe("jobs", async () => {
  const world = await useCliWorld((of) => of.addShop("--account-id", "shop"));

  const elsewhere = (name: string) => ({ ...world.env, SOCIAL_SYNC_DATA_DIR: join(world.folder, name) });
  const daemonEnv = (name: string) => ({ ...elsewhere(name), META_APP_SECRET: "a-secret-of-the-test" });
  const detach = (...more: string[]) => world.run("backfill", "--account-id", "shop", "--detach", ...more);
  const jobs = async () => {
    const { stdout } = await world.run("jobs", "list", "--json");
    return linesOf(stdout).map((line) => JSON.parse(line));
  };

  /** Gives a run to a daemon, which dies in the middle of it. Answers the job's id. */
  const killAtWork = async (name: string): Promise<string> => {
    await using daemon = await startDaemon([], daemonEnv(name));
    const id = (await detach()).stdout.trim();
    await until(
      () => world.graph.calls > 60,
      20_000,
      () => daemon.output.err,
    );
    daemon.signal("SIGKILL");
    await daemon.ended;
    return id;
  };

  test("a detached run waits for a daemon, says so, and is worked on by the first that starts", async () => {
    await world.fill(60);
    world.graph.inboxSize = 70;
    world.graph.answer = (id) => (id.endsWith("7") ? refusal(230) : null);
    const { exitCode, stdout, stderr } = await detach();
    const id = stdout.trim();
    expect(exitCode).toBe(0);
    expect(id).toMatch(/^\d{8}-\d{6}-[a-z2-9]{4}$/);
    expect(linesOf(stderr)).toEqual([
      "No daemon is running: the job waits until one is started (social-sync serve).",
      `To see how it goes: social-sync jobs watch ${id}`,
    ]);
    expect((await detach()).stdout.trim()).toBe(id);
    expect(await jobs()).toMatchObject([
      {
        ...{ kind: "backfill", id, accountId: "shop", state: "queued", phase: "names", done: 0, detached: true },
        ...{ names: { calls: 0, listed: 0, named: 0, imported: 0 } },
        asked: { bulk: true, profiles: true, importMissing: false },
      },
      { kind: "lookups", due: 0, later: 0, underWay: 0, daemons: 0 },
    ]);
    const watching = startCli(["jobs", "watch", id, "--exit-status"], { env: elsewhere("watcher") });
    const plain = startCli(["jobs", "watch", id, "--json"], { env: elsewhere("watcher") });
    await using _daemon = await startDaemon([], daemonEnv("daemon"));
    expect(await watching.exited).toBe(2);
    expect(await watching.stdout.text()).toStartWith(
      "Inbox: 70 usernames of 70 conversations, in 2 calls.\n  54  no picture",
    );
    expect(await watching.stderr.text()).toMatch(
      new RegExp(`Backfill job ${id} completed: 54/60 successful, 6 errors`),
    );
    expect(await plain.exited).toBe(0); // how it ended is asked for with --exit-status alone
    const events = linesOf(await plain.stdout.text()).map((line) => JSON.parse(line));
    expect([events[0].event, events.at(-1).event]).toEqual(["start", "end"]);
    const names = { calls: 2, listed: 70, named: 70, imported: 0 };
    expect(events[0]).toMatchObject({ runId: id, phase: "names", watching: true });
    expect(events.at(-1)).toMatchObject({ runId: id, done: 60, errors: 6, exitCode: 2, state: "completed", names });
    expect(await jobs()).toMatchObject([{ id, state: "completed", done: 60, names }, { daemons: 1 }]);
    const table = (await world.run("jobs", "list")).stdout;
    expect(table).toMatch(/^JOB +ACCOUNT +STATE +NAMES +DONE +ERRORS +STARTED\n/);
    expect(table).toMatch(new RegExp(`^${id} +shop +completed +70 +60/60 +6 +\\d+ s ago$`, "m"));
    expect(table).toEndWith("Lookups: 0 due, 0 under way, 0 later; daemons running: 1\n");
  });

  test("a daemon that dies leaves its run to another, which repeats nobody", async () => {
    await world.fill(400);
    world.graph.latencyMs = 60;
    const asked = new Map<string, number>();
    world.graph.answer = (id) => {
      asked.set(id, (asked.get(id) ?? 0) + 1);
      return null;
    };
    const id = await killAtWork("first");
    await Bun.sleep(200);
    await world.repositories.database.query(
      "update backfill_runs set heartbeat_at = heartbeat_at - interval '61 s'",
      [],
      "let time pass",
    );
    const [{ state, done }] = await jobs();
    expect([state, done > 0]).toEqual(["abandoned", true]);
    world.graph.latencyMs = 0;
    await using _second = await startDaemon([], daemonEnv("second"));
    expect((await world.run("jobs", "watch", id, "--exit-status")).exitCode).toBe(0);
    expect(await jobs()).toMatchObject([{ id, state: "completed", done: 400, successful: 400 }, {}]);
    const twice = [...asked.values()].filter((times) => times > 1).length;
    expect(twice).toBeLessThanOrEqual(80); // what was in hand at the kill: eight requests of ten
  });

  test("a daemon that was killed goes on at its next start, without the minute's wait", async () => {
    await world.fill(300);
    world.graph.latencyMs = 60;
    const id = await killAtWork("again");
    world.graph.latencyMs = 0;
    await using _second = await startDaemon([], daemonEnv("again"));
    const startedMs = performance.now();
    expect((await world.run("jobs", "watch", id, "--exit-status")).exitCode).toBe(0);
    expect(performance.now() - startedMs).toBeLessThan(30_000);
    expect(await jobs()).toMatchObject([{ id, state: "completed", done: 300, successful: 300 }, {}]);
  });

  test("a daemon that is stopped gives its run back at once", async () => {
    await world.fill(400);
    world.graph.latencyMs = 50;
    await using daemon = await startDaemon([], daemonEnv("stopped"));
    await detach();
    await until(
      () => world.graph.calls > 40,
      20_000,
      () => daemon.output.err,
    );
    daemon.signal("SIGTERM");
    expect((await daemon.ended).code).toBe(0);
    const [job] = await jobs();
    expect(job).toMatchObject({ state: "queued", owner: null });
    expect(job.done).toBeGreaterThan(0);
  });

  test("cancel ends a run of any machine after what it has in hand, retry goes on where it stood", async () => {
    await world.fill(3_000);
    world.graph.latencyMs = 200;
    await using owner = await startProgram(["backfill", "--account-id", "shop"], elsewhere("owner"));
    await until(
      () => world.graph.calls > 40,
      20_000,
      () => owner.output.err,
    );
    const [{ id }] = await jobs();
    const watcher = startCli(["jobs", "watch", id, "--exit-status"], { env: world.env });
    const cancelled = await world.run("jobs", "cancel", id);
    expect(cancelled.stderr).toMatch(/^Job \S+ ends after what \S+:\d+ has in hand\.\n$/);
    const ended = await owner.ended;
    expect(ended.code).toBe(3);
    expect(ended.err).toMatch(
      /Cancelled after \d+ of 3,000 people\. To go on: social-sync backfill --account-id shop\n$/,
    );
    expect(await watcher.exited).toBe(3);
    const [{ state, done }] = await jobs();
    expect(state).toBe("cancelled");
    expect((await world.run("jobs", "cancel", id)).stderr).toBe(
      `Nothing to do: job ${id} has ended already (cancelled).\n`,
    );
    expect((await world.run("jobs", "retry", id)).stdout).toBe(`${id}\n`);
    expect(await jobs()).toMatchObject([{ id, state: "queued", done }, {}]);
    expect((await world.run("jobs", "cancel", id)).stderr).toBe(`Cancelled job ${id}.\n`);
  });

  test("retry of a run that came to its end is another run, and none beside an open one", async () => {
    await world.fill(20);
    world.graph.answer = (id) => (id.endsWith("7") ? refusal(230) : null);
    await world.run("backfill", "--account-id", "shop", "--retry-failed");
    const [{ id }] = await jobs();
    const again = await world.run("jobs", "retry", id);
    expect(again.stdout.trim()).not.toBe(id);
    expect(again.stderr).toStartWith("No daemon is running");
    const refused = await world.run("jobs", "retry", id);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toBe(`Cannot retry ${id}: run ${again.stdout.trim()} of the same account is queued\n`);
  });

  test("list shows the phase and how many names were told; retry asks for the same phases anew", async () => {
    await world.fill(60);
    world.graph.inboxSize = 120;
    const gate = Promise.withResolvers<null>();
    world.graph.answerList = (call) => (call < 2 ? null : gate.promise.then(() => Response.json({ data: [] })));
    await using owner = await startProgram(["backfill", "--account-id", "shop", "--names-only"], elsewhere("owner"));
    await until(
      () => world.graph.listCalls === 2,
      20_000,
      () => owner.output.err,
    );
    const table = (await world.run("jobs", "list")).stdout;
    expect(table).toMatch(/^JOB +ACCOUNT +STATE +PHASE +NAMES +DONE +STARTED +AT\n/);
    expect(table).toMatch(/^\S+ +shop +running +names +50 +0\/0 +\d+ s ago +\S+:\d+$/m);
    gate.resolve(null);
    expect((await owner.ended).code).toBe(0);
    const [{ id }] = await jobs();
    const again = (await world.run("jobs", "retry", id)).stdout.trim();
    expect(again).not.toBe(id);
    expect(await jobs()).toMatchObject([
      { id: again, state: "queued", phase: "names", asked: { profiles: false } },
      { id, state: "completed", names: { listed: 50 } },
      {},
    ]);
  });

  test("an unknown job exits 1 with the nearest; Ctrl-C ends a watching with 3", async () => {
    await world.fill(2);
    const id = (await detach()).stdout.trim();
    const typed = `${id.slice(0, -1)}${id.endsWith("a") ? "b" : "a"}`;
    for (const command of ["watch", "cancel", "retry"]) {
      const { exitCode, stderr } = await world.run("jobs", command, typed);
      expect({ exitCode, stderr }).toEqual({
        exitCode: 1,
        stderr: `Cannot find the job '${typed}': did you mean ${id}?\n`,
      });
    }
    const watcher = await startProgram(["jobs", "watch", id], world.env);
    await Bun.sleep(1_000);
    watcher.signal("SIGINT");
    const { code, err } = await watcher.ended;
    expect({ code, err }).toMatchObject({ code: 3 });
    expect(err).toEndWith(`Stopped watching; run ${id} goes on.\n`);
    expect((await runCli(["jobs", "list"], { env: world.env })).stdout).toContain("queued");
  });
});
