import { describe, expect, test } from "bun:test";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitUntil, withDeadline } from "./bounded-wait.ts";
import { readTestCounts, runCommand } from "./gate-step.ts";
import { listProcessesIn } from "./server-folder.ts";

const summary = (lines: string) =>
  `a.test.ts:\n(pass) prints 9 pass\n 9 pass\n\n --seed=5\n${lines}\nRan 5 tests across 2 files. [14.00ms]\n`;
const env = { PATH: process.env.PATH ?? "/usr/bin:/bin" };

describe("readTestCounts()", () => {
  test("reads Bun's own summary and nothing that a test printed", () => {
    const lines = " 1200 pass\n 1 skip\n 1 todo\n 2 fail\n 1 error\n 1 expect() calls";
    expect(readTestCounts(summary(lines))).toEqual({ passed: 1200, failed: 2 });
    expect(readTestCounts(summary(" 0 fail\n 1 expect() calls"))).toEqual({ passed: 0, failed: 0 });
    expect(readTestCounts("error: 3 pass")).toEqual({ passed: 0, failed: 0 });
  });
});

describe("runCommand()", () => {
  const run = (script: string, timeoutMs: number, signal = new AbortController().signal) =>
    runCommand(["/bin/sh", "-c", script], { timeoutMs, env, signal });

  test("answers the exit code and what was printed", async () => {
    expect(await run("echo out; echo err >&2; exit 3", 10_000)).toEqual({ exitCode: 3, tail: "out\nerr\n" });
    expect(
      (await runCommand(["/nowhere/program"], { timeoutMs: 1_000, env, signal: AbortSignal.timeout(5_000) })).exitCode,
    ).toBe(127);
  });

  test("hands what was printed to who asks for it", async () => {
    const signal = new AbortController().signal;
    const printed: string[] = [];
    const print = (bytes: Buffer) => printed.push(bytes.toString());
    await runCommand(["/bin/sh", "-c", "echo out"], { timeoutMs: 10_000, env, signal, print });
    expect(printed.join("")).toBe("out\n");
  });

  test("ends the whole group when the time is over, and when the gate is interrupted", async () => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), "social-sync-step-")));
    try {
      const script = `cd ${folder}; sleep 60 & sleep 60`;
      expect(await run(script, 300)).toEqual({ exitCode: null, tail: "" });
      expect(await run(script, 60_000, AbortSignal.timeout(300))).toEqual({ exitCode: null, tail: "" });
      expect(listProcessesIn(folder)).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("takes its step along when the gate itself is killed", async () => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), "social-sync-step-")));
    try {
      const script = `
        import { runCommand } from ${JSON.stringify(`${import.meta.dir}/gate-step.ts`)};
        const options = { timeoutMs: 60_000, env: { ...process.env }, signal: new AbortController().signal };
        await runCommand(["/bin/sh", "-c", "cd ${folder}; echo ready; sleep 60 & sleep 60"], options);`;
      const gate = Bun.spawn([process.execPath, "-e", script], { stdin: "ignore", stdout: "pipe" });
      await withDeadline(gate.stdout.getReader().read(), 20_000, "Cannot see the step start: it prints nothing");
      expect(listProcessesIn(folder).length).toBeGreaterThan(0);
      gate.kill("SIGKILL");
      await waitUntil(() => listProcessesIn(folder).length === 0, 10_000, "Cannot see the step end: it still runs");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("does not wait for a child that outlives its step", async () => {
    expect(await run("sleep 60 & exit 0", 10_000)).toEqual({ exitCode: 0, tail: "" });
  });
});
