import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "../support/bounded-wait.ts";
import { drain, drainNumbers, inFolder, isSame, mebibyte, numberOf, openTestSpool, recordOf } from "./test-spool.ts";

const program = join(import.meta.dir, "spool-child.ts");
const seed = Number(process.env.PROPERTY_SEED ?? Math.floor(Math.random() * 2 ** 31));
let chanceState = seed || 1;
const chance = (max: number) => {
  chanceState = (chanceState * 48_271) % 2_147_483_647;
  return chanceState % max;
};

/** Starts a child; its whole lines so far are in `lines`. */
function startChild(...given: string[]) {
  const child = Bun.spawn([process.execPath, program, ...given], { stdout: "pipe", stderr: "inherit" });
  const lines: string[] = [];
  const reading = (async () => {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const part of child.stdout) {
      const pieces = (rest + decoder.decode(part, { stream: true })).split("\n");
      rest = pieces.pop() ?? "";
      lines.push(...pieces);
    }
  })();
  /** Resolves when it is dead and all it said has been read. */
  const kill = async () => {
    child.kill("SIGKILL");
    await child.exited;
    await reading;
  };
  const numbers = (word: string) =>
    lines.filter((line) => line.startsWith(word)).map((line) => Number(line.slice(word.length)));
  return {
    lines,
    numbers,
    reaches: (count: number) =>
      waitUntil(() => lines.length >= count, 30_000, `The child did not say ${count} lines`, 1),
    kill,
    async ends() {
      await child.exited;
      await reading;
    },
    [Symbol.asyncDispose]: kill,
  };
}

/** Runs a child on a disk of its own, mounted where nobody else sees it. Answers its lines. */
async function onSmallDisk(mode: string, prepare: string): Promise<string[]> {
  const lines: string[] = [];
  await inFolder(async (folder) => {
    const script = `mount -t tmpfs -o size=3m,mode=700 tmpfs "$1" && ${prepare} && echo mounted && exec "$2" "$3" "$4" "$1"`;
    const child = Bun.spawn(["unshare", "-rm", "sh", "-c", script, "sh", folder, process.execPath, program, mode], {
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    await child.exited;
    lines.push(...out.split("\n"));
    if (lines[0] !== "mounted")
      throw new Error(
        `Cannot mount a small disk for this test: ${err}. It takes unshare(1) with user namespaces, or root.`,
      );
    if (err !== "") throw new Error(err);
  });
  return lines.slice(1);
}

describe(`kill -9 (again with PROPERTY_SEED=${seed})`, () => {
  test(
    "in the middle of appends loses none that was acknowledged, byte for byte and in order, time after time",
    () =>
      inFolder(async (folder) => {
        for (let round = 0; round < 6; round++) {
          await using child = startChild("append", folder, String(round * 1_000_000));
          await child.reaches(1 + chance(2_000));
          await child.kill();
          const spool = await openTestSpool(folder);
          const found = await drain(spool);
          const numbers = found.map(numberOf);
          expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
          expect(new Set(numbers).size).toBe(numbers.length);
          const missing = child.numbers("kept ").filter((n) => !numbers.includes(n));
          expect(missing).toEqual([]);
          expect(found.every((record) => isSame(record, recordOf(numberOf(record))))).toBe(true);
          expect(spool.state()).toMatchObject({ records: 0, damaged: 0 });
          await spool.trim();
          await spool[Symbol.asyncDispose]();
          expect(readdirSync(folder)).toEqual([]);
        }
      }),
    120_000,
  );

  test(
    "of each that took over from the last loses nothing of any",
    () =>
      inFolder(async (folder) => {
        const kept: number[] = [];
        for (let round = 0; round < 5; round++) {
          await using child = startChild("append", folder, String(round * 1_000_000));
          await child.reaches(1 + chance(300));
          await child.kill();
          kept.push(...child.numbers("kept "));
        }
        await using spool = await openTestSpool(folder);
        const numbers = new Set(await drainNumbers(spool));
        expect(kept.filter((n) => !numbers.has(n))).toEqual([]);
        expect(spool.state().damaged).toBe(0);
      }),
    120_000,
  );

  test(
    "in the middle of draining and trimming leaves every record read by somebody",
    () =>
      inFolder(async (folder) => {
        const count = 4_000;
        const writing = await openTestSpool(folder);
        for (let n = 0; n < count; n += 100)
          await Promise.all(Array.from({ length: 100 }, (_, k) => writing.append(recordOf(n + k, 5_000))));
        await writing[Symbol.asyncDispose]();
        const seen = new Set<number>();
        for (let round = 0; round < 4; round++) {
          await using child = startChild("relay", folder);
          await child.reaches(200 + chance(900));
          await child.kill();
          for (const n of child.numbers("read ")) seen.add(n);
        }
        await using last = startChild("relay", folder);
        await last.ends();
        expect(last.lines.at(-1)).toBe("drained");
        for (const n of last.numbers("read ")) seen.add(n);
        expect(seen.size).toBe(count);
        expect(readdirSync(folder)).toEqual([]);
      }),
    120_000,
  );
});

describe("two processes in one folder", () => {
  test(
    "leave each other's records alone while both live; the one that stays takes over from the one that died",
    () =>
      inFolder(async (folder) => {
        await using spool = await openTestSpool(folder);
        await using child = startChild("append", folder, "1000");
        await child.reaches(50);
        expect(await spool.append(recordOf(1))).toBe("kept");
        expect(await spool.adopt()).toBe(0);
        expect(await drainNumbers(spool)).toEqual([1]);
        await child.kill();
        const came = await spool.adopt();
        const numbers = await drainNumbers(spool);
        expect(numbers.length).toBe(came);
        expect(child.numbers("kept ").filter((n) => !numbers.includes(n))).toEqual([]);
        await spool.trim();
        expect(readdirSync(folder).length).toBe(1);
      }),
    60_000,
  );
});

describe("a full disk", () => {
  test("refuses and never says kept for what is not there; reading goes on; it recovers with the first free byte", async () => {
    const [line = ""] = await onSmallDisk("smallDisk", "true");
    const seen = JSON.parse(line);
    expect(seen).toMatchObject({
      before: "kept kept kept",
      onFullDisk: "unwritable unwritable",
      writableOnFullDisk: false,
      afterwards: "kept kept",
      read: [1, 2, 3, 6, 7],
      emptied: { records: 0, bytes: 0, writable: true, damaged: 0 },
      again: "kept",
      left: [8],
    });
    expect(["opened", "SyncError"]).toContain(seen.opened);
    expect(seen.kept).toBeGreaterThan(50);
    expect(seen.kept * 30_000).toBeLessThan(3 * mebibyte);
    expect(seen.readFromFull).toBe(seen.kept);
    expect(seen.lines).toEqual([
      "warn Cannot write the spool: ENOSPC",
      "warn The spool can be written again",
      "warn Cannot write the spool: ENOSPC",
      "warn The spool can be written again",
    ]);
  }, 60_000);

  test("that is read-only is refused at the start with a sentence", async () => {
    const [line] = await onSmallDisk("readOnly", 'mount -o remount,ro "$1"');
    expect(line).toMatch(/^folder_unusable: Cannot use the spool \/.*\/spool: EROFS$/);
  }, 60_000);
});
