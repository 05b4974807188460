import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert } from "../../src/lib/assert.ts";
import { chunk } from "../../src/lib/chunk.ts";
import { createSystemClock, endsWithin, wait } from "../../src/lib/clock.ts";
import { lockFile } from "../../src/lib/lock-file.ts";
import { createLog } from "../../src/lib/log.ts";
import { repeat } from "../../src/lib/repeat.ts";

const clock = createSystemClock();

async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1_000 && !isSo(); turn++) await Promise.resolve();
  expect(isSo()).toBe(true);
}

describe("chunk()", () => {
  test("cuts in order, the last one shorter, nothing into nothing", () => {
    expect(chunk([1, 2, 3, 4, 5], 2)).toEqual([[1, 2], [3, 4], [5]]);
    expect(chunk([], 3)).toEqual([]);
    expect(() => chunk([1], 0)).toThrow("Bug");
  });
});

describe("assert()", () => {
  test("throws what is a bug, and nothing else", () => {
    expect(() => assert(false, "it broke")).toThrow("Bug: it broke");
    expect(() => assert(true, "it broke")).not.toThrow();
  });
});

describe("wait()", () => {
  test("answers whether the whole time passed", async () => {
    const stop = new AbortController();
    expect(await wait(clock, 5)).toBe(true);
    const waiting = wait(clock, 60_000, stop.signal);
    stop.abort();
    expect(await waiting).toBe(false);
    expect(await wait(clock, 60_000, stop.signal)).toBe(false);
  });
});

describe("endsWithin()", () => {
  test("answers whether the work ended in time, passes its failure on, and leaves no timer behind", async () => {
    let timers = 0;
    const counting = {
      after: (delayMs: number, run: () => void) => {
        timers += 1;
        const cancel = clock.after(delayMs, run);
        return () => {
          timers -= 1;
          cancel();
        };
      },
    };
    expect(await endsWithin(counting, Promise.resolve(), 60_000)).toBe(true);
    expect(timers).toBe(0);
    expect(await endsWithin(clock, new Promise(() => {}), 5)).toBe(false);
    expect(endsWithin(clock, Promise.reject(new Error("no")), 60_000)).rejects.toThrow("no");
  });
});

describe("repeat()", () => {
  test("goes on after a throw, a while after each end, and not once it was stopped", async () => {
    const stop = new AbortController();
    const waiting: (() => void)[] = [];
    const after = (_: number, run: () => void) => {
      waiting.push(run);
      return () => {
        waiting.length = 0;
      };
    };
    const seen: string[] = [];
    const work = async () => {
      seen.push("work");
      if (seen.length === 1) throw new Error("the first fails");
    };
    const turns = repeat({ clock: { after }, stop: stop.signal, everyMs: 5 }, work, (error) =>
      seen.push(String(error)),
    );
    turns.start();
    await until(() => waiting.length === 1);
    expect(seen).toEqual(["work", "Error: the first fails"]);
    waiting.shift()?.();
    await until(() => waiting.length === 1);
    expect(seen).toHaveLength(3);
    stop.abort();
    await turns.settle();
    expect(waiting).toEqual([]);
    turns.start();
    await turns.settle();
    expect(seen).toHaveLength(3);
  });
});

describe("lockFile()", () => {
  test("is held by one process, and is free again when that one is killed", async () => {
    const folder = mkdtempSync(join(tmpdir(), "social-sync-lock-"));
    const path = join(folder, "lock.db");
    const program = `
      import { lockFile } from ${JSON.stringify(join(import.meta.dir, "../../src/lib/lock-file.ts"))};
      const lock = lockFile(${JSON.stringify(path)});
      console.log(lock === null ? "taken" : "held");
      setTimeout(() => lock?.close(), 60_000);`;
    const spawn = () => Bun.spawn([process.execPath, "-e", program], { stdout: "pipe" });
    const say = async (child: ReturnType<typeof spawn>) =>
      new TextDecoder().decode((await child.stdout.getReader().read()).value).trim();
    const first = spawn();
    try {
      expect(await say(first)).toBe("held");
      expect(lockFile(path)).toBeNull();
      first.kill("SIGKILL");
      await first.exited;
      const again = lockFile(path);
      expect(again).not.toBeNull();
      again?.close();
    } finally {
      first.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("createLog()", () => {
  test("hands over what is loud enough", () => {
    const lines: string[] = [];
    const log = createLog("warn", (level, message, context) => lines.push(`${level} ${context} ${message}`));
    log.error("a", "Room");
    log.warn("b", "Room");
    log.log("c", "Room");
    log.debug("d", "Room");
    expect(lines).toEqual(["error Room a", "warn Room b"]);
  });
});
