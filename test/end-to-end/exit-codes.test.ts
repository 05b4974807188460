/** What a shell or cron sees of a backfill: each exit code of README's table, from the compiled program. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { refusal, useCliWorld } from "../cli/cli-world.ts";
import { runProgram, startDaemon, startProgram, until } from "../support/program.ts";

setDefaultTimeout(60_000);

describe("the exit code of a backfill", async () => {
  const world = await useCliWorld(async (of) => {
    await of.addShop("--account-id", "shop");
    await of.fill(40);
  });

  const args = ["backfill", "--account-id", "shop"];
  const run = (...more: string[]) => runProgram([...args, ...more], world.env);
  const lastLine = (text: string) => text.trimEnd().split("\n").at(-1);

  test("0: everybody has a profile, and also where nothing is left to do", async () => {
    expect(await run()).toMatchObject({ code: 0, err: expect.stringContaining("completed: 40/40 successful") });
    expect(await run()).toMatchObject({ code: 0, out: "", err: expect.stringContaining("Nothing to do") });
    expect(await run("--dry-run")).toMatchObject({ code: 0 });
    expect(await run("--names-only")).toMatchObject({ code: 0 });
  });

  test("1: an unknown account, with the nearest names, and a value that is none; nothing is asked", async () => {
    const unknown = await runProgram(["backfill", "--account-id", "sjop"], world.env);
    expect(unknown).toEqual({ code: 1, out: "", err: "Cannot find the account 'sjop': did you mean shop?\n" });
    for (const size of ["0", "-1", "1.5", "abc", "10abc", ""]) {
      const { code, out, err } = await run("--batch-size", size);
      expect({ size, code, out, lines: err.match(/\n/g)?.length }).toEqual({ size, code: 1, out: "", lines: 1 });
      expect(err).toContain("--batch-size");
    }
    expect([world.graph.calls, world.graph.listCalls]).toEqual([0, 0]);
  });

  test("2: some have no profile, and the table says why", async () => {
    world.graph.answer = (id) => (id.endsWith("7") ? refusal(230) : null);
    const { code, out, err } = await run();
    expect(code).toBe(2);
    expect(out).toContain("   4  no consent: they appear when the person writes again\n");
    expect(lastLine(err)).toMatch(/Backfill job \S+ completed: 36\/40 successful, 4 errors, \d+ms/);
  });

  test("3: a signal, and the same command goes on; a second signal leaves at once", async () => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      world.graph.latencyMs = 100;
      const before = world.graph.calls;
      await using program = await startProgram([...args, "--batch-size", "1", "--force"], world.env);
      await until(
        () => world.graph.calls > before,
        20_000,
        () => program.output.err,
      );
      program.signal(signal);
      const { code, err } = await program.ended;
      expect(code).toBe(3);
      expect(lastLine(err)).toMatch(
        /^Stopped after \d+ of 40 people\. To go on: social-sync backfill --account-id shop --force$/,
      );
    }
    world.graph.latencyMs = 0;
    expect(await run("--force")).toMatchObject({ code: 0, err: expect.stringContaining("Going on with run ") });

    world.graph.latencyMs = 30_000;
    const asked = world.graph.calls;
    await using hurried = await startProgram([...args, "--force"], world.env);
    await until(
      () => world.graph.calls > asked,
      20_000,
      () => hurried.output.err,
    );
    hurried.signal("SIGINT");
    await until(
      () => hurried.output.err.includes("Finishing the batch in hand"),
      10_000,
      () => hurried.output.err,
    );
    await Bun.sleep(200); // within 50 ms a second signal is taken for a wrapper's echo of the first
    hurried.signal("SIGINT");
    expect((await hurried.ended).code).toBe(3);
  });

  test("4: Instagram refuses the account, the first time and from then on", async () => {
    world.graph.answer = () => refusal(190, 401);
    world.graph.answerList = () => refusal(190, 401);
    const first = await run();
    expect(first.code).toBe(4);
    expect(first.err).toContain("Instagram refused the account shop as a whole (token dead): make a new token");
    expect(await run()).toMatchObject({ code: 4, out: "" });
  });

  test("5: no database, at the start", async () => {
    const env = { ...world.env, DATABASE_URL: "postgres://nobody@127.0.0.1:1/none" };
    const { code, out, err } = await runProgram(args, env);
    expect({ code, out }).toEqual({ code: 5, out: "" });
    expect(err.trimEnd()).not.toContain("\n");
  });

  test("5: the data folder is another process's", async () => {
    const { DATABASE_URL: _, ...embedded } = world.env;
    const env = { ...embedded, SOCIAL_SYNC_DATA_DIR: join(world.folder, "embedded"), META_APP_SECRET: "a-secret" };
    await using _daemon = await startDaemon([], env);
    const { code, err } = await runProgram(args, env);
    expect(code).toBe(5);
    expect(err).toContain("another social-sync holds it");
  });

  test("is what jobs watch --exit-status exits with, however the run was started", async () => {
    const watch = async (id: string) => (await runProgram(["jobs", "watch", id, "--exit-status"], world.env)).code;
    const ids = async () => {
      const { out } = await runProgram(["jobs", "list", "--json"], world.env);
      return out.split("\n").flatMap((line) => (line.includes('"backfill"') ? [JSON.parse(line).id as string] : []));
    };
    await run("--limit", "10");
    const [whole = ""] = await ids();
    world.graph.answer = (id) => (id.endsWith("7") ? refusal(230) : null);
    await run();
    const [partly = ""] = await ids();
    world.graph.answer = () => refusal(190, 401);
    await run("--force");
    const [refused = ""] = await ids();
    expect(await Promise.all([whole, partly, refused].map(watch))).toEqual([0, 2, 4]);
    expect((await runProgram(["jobs", "watch", partly], world.env)).code).toBe(0);
    expect(await watch("20200101-000000-none")).toBe(1);
  });
});
