import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** bunqueue keeps one manager a process and shuts it down for good, so each test drives a process of its own. */
async function runQueue(folder: string, script: string): Promise<string> {
  const program = `
    import { openLookupQueue } from ${JSON.stringify(join(import.meta.dir, "../../src/queue/lookup-queue.ts"))};
    import { createSystemClock } from ${JSON.stringify(join(import.meta.dir, "../../src/lib/clock.ts"))};
    import { createLog } from ${JSON.stringify(join(import.meta.dir, "../../src/lib/log.ts"))};
    const lines = [];
    const log = createLog("debug", (level, message) => lines.push(message));
    const say = (value) => console.log(JSON.stringify(value));
    const ids = (count) => Array.from({ length: count }, (_, n) => "17841400000000001_" + (1000 + n));
    const queue = await openLookupQueue(${JSON.stringify(folder)}, { clock: createSystemClock(), log });
    ${script}
  `;
  const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  if (err.includes("error:")) throw new Error(err);
  return out;
}

async function inFolder(work: (folder: string) => Promise<void>) {
  const folder = mkdtempSync(join(tmpdir(), "social-sync-queue-"));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("openLookupQueue()", () => {
  test(
    "hands every person to the worker once, at most 50 in a job, and ends its process when closed",
    () =>
      inFolder(async (folder) => {
        const out = await runQueue(
          folder,
          `const seen = [];
        queue.work(async (part, lane) => { if (lane === "live") seen.push(part.length); });
        await queue.addLookups(ids(120), 0, "live");
        while (seen.reduce((a, b) => a + b, 0) < 120) await Bun.sleep(5);
        await queue[Symbol.asyncDispose]();
        say(seen.sort((a, b) => b - a));`,
        );
        expect(JSON.parse(out)).toEqual([50, 50, 20]);
      }),
    20_000,
  );

  test(
    "waits out the pause before it hands a job over",
    () =>
      inFolder(async (folder) => {
        const out = await runQueue(
          folder,
          `const start = performance.now(); let at = 0;
        queue.work(async () => { at = performance.now() - start; });
        await queue.addLookups(ids(1), 600, "live");
        while (at === 0) await Bun.sleep(5);
        await queue[Symbol.asyncDispose]();
        say(at);`,
        );
        expect(Number(out)).toBeGreaterThanOrEqual(590);
      }),
    20_000,
  );

  test(
    "keeps jobs over kill -9 and hands them over after the restart",
    () =>
      inFolder(async (folder) => {
        await runQueue(folder, `await queue.addLookups(ids(70), 0, "live"); process.kill(process.pid, "SIGKILL");`);
        const out = await runQueue(
          folder,
          `const seen = new Set();
        queue.work(async (part) => { for (const id of part) seen.add(id); });
        const start = performance.now();
        while (seen.size < 70 && performance.now() - start < 10_000) await Bun.sleep(5);
        await queue[Symbol.asyncDispose]();
        say(seen.size);`,
        );
        expect(JSON.parse(out)).toBe(70);
      }),
    40_000,
  );

  test(
    "a job whose work throws costs a line and does not come back: Postgres knows who is due",
    () =>
      inFolder(async (folder) => {
        const out = await runQueue(
          folder,
          `let calls = 0;
        queue.work(async () => { calls += 1; throw new Error("database away"); });
        await queue.addLookups(ids(1), 0, "live");
        await Bun.sleep(500);
        const depth = await queue.depth();
        await queue[Symbol.asyncDispose]();
        say({ calls, depth, lines });`,
        );
        expect(JSON.parse(out)).toEqual({ calls: 1, depth: 0, lines: ["Lookup job put off: database away"] });
      }),
    20_000,
  );

  test(
    "a job that hangs does not hold the stop beyond its bound",
    () =>
      inFolder(async (folder) => {
        const out = await runQueue(
          folder,
          `queue.work(() => new Promise(() => {}));
        await queue.addLookups(ids(1), 0, "live");
        await Bun.sleep(200);
        const start = performance.now();
        await queue[Symbol.asyncDispose]();
        say(performance.now() - start);
        process.exit(0);`,
        );
        expect(Number(out)).toBeLessThan(6_000);
      }),
    20_000,
  );
});
