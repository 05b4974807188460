/** A backfill's lines in a pipe whose reader is slow, or goes away. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { unreadMax } from "../../src/cli/backfill-screen.ts";
import { batchStepMax } from "../../src/usecases/profiles-phase.ts";
import { compiledBinary } from "../support/compiled-binary.ts";
import { until } from "../support/program.ts";
import { useCliWorld } from "./cli-world.ts";
import { linesOf } from "./run-cli.ts";

setDefaultTimeout(60_000);
/** Some 3 MB of lines: many times what a pipe holds, and more than may wait for a reader. */
const people = 12_000;

describe("backfill --json in a pipe", async () => {
  const world = await useCliWorld(async (of) => {
    await of.addShop("--account-id", "shop");
    await of.fill(people);
  });

  /** Runs the program with `reader` behind it; ends with the program's exit code on a line of its own. */
  async function startPipe(reader: string) {
    const program = `'${await compiledBinary()}' backfill --account-id shop --json`;
    const child = Bun.spawn(["bash", "-c", `${program} | ${reader}; echo "\${PIPESTATUS[0]}"`], {
      env: { PATH: process.env.PATH ?? "", ...world.env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const ended = Promise.all([child.stdout.text(), child.stderr.text()]).then(([out, err]) => {
      const lines = linesOf(out);
      return { code: Number(lines.pop()), lines, err };
    });
    return { ended };
  }
  const readRun = async () => {
    const rows = await world.repositories.database.query<{ state: string; done: number }>(
      "select state, done::int as done from backfill_runs",
      [],
      "read the run",
    );
    return rows[0] ?? { state: "none", done: 0 };
  };

  test("where nobody reads the run waits, with as much in memory as may wait; later nothing is lost and no line is split", async () => {
    const go = join(world.folder, "go");
    const { ended } = await startPipe(`(while [ ! -e '${go}' ]; do sleep 0.05; done; cat)`);
    let done = 0;
    await until(async () => {
      const before = done;
      await Bun.sleep(1_500); // some hundred times as long as a step takes
      done = (await readRun()).done;
      return done > 0 && done === before;
    }, 40_000);
    expect(done).toBeGreaterThan(unreadMax / 400);
    expect(done).toBeLessThan(people - batchStepMax);
    writeFileSync(go, "");
    const { code, lines } = await ended;
    expect(code).toBe(0);
    const events = lines.map((line) => JSON.parse(line));
    expect(events[0].event).toBe("start");
    expect(events.at(-2)).toMatchObject({ event: "progress", done: people });
    expect(events.at(-1)).toMatchObject({ event: "end", done: people, exitCode: 0 });
    const told = events.filter(({ event }) => event === "person").map(({ participantId }) => participantId);
    expect([told.length, new Set(told).size]).toEqual([people, people]);
  });

  test("a reader that goes away ends nothing: the run comes to its end without a word about it", async () => {
    const { ended } = await startPipe("head -1");
    const { code, lines, err } = await ended;
    expect(lines).toHaveLength(1);
    expect({ code, state: (await readRun()).state }).toEqual({ code: 0, state: "completed" });
    expect(err).not.toMatch(/EPIPE|Cannot|bug/);
    expect(linesOf(err).at(-1)).toMatch(/completed: 12000\/12000 successful, 0 errors/);
  });
});
