import { describe, expect, test } from "bun:test";
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { lockFile } from "../../src/lib/lock-file.ts";
import { damagedBytesMax } from "../../src/spool/damage-desk.ts";
import { segmentBytesMax } from "../../src/spool/segment.ts";
import { encodeRecord, segmentHead } from "../../src/spool/segment-format.ts";
import { watchFileCalls } from "./file-faults.ts";
import { drain, drainNumbers, inFolder, isSame, mebibyte, numberOf, openTestSpool, recordOf } from "./test-spool.ts";

const filesIn = (folder: string) => readdirSync(folder, { recursive: true }).map(String).sort();
const segmentsIn = (folder: string) => filesIn(folder).filter((path) => path.endsWith(".spool"));
const damagedIn = (folder: string) => filesIn(folder).filter((path) => path.startsWith("damaged/"));
const sizeOf = (n: number) => encodeRecord(recordOf(n)).bytes;

/** A folder as a process that died leaves it, its file's bytes given. */
function leaveBehind(folder: string, bytes: Uint8Array, owner = "0123456789abcdef0123456789abcdef", sequence = 1) {
  const path = join(folder, owner, `${String(sequence).padStart(12, "0")}.spool`);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(join(dirname(path), "lock.db"), "");
  writeFileSync(path, bytes);
  return path;
}

const bytesOf = (...numbers: number[]) =>
  Buffer.concat([segmentHead, ...numbers.flatMap((n) => [encodeRecord(recordOf(n)).head, recordOf(n).body])]);

describe("a file that a crash cut short", () => {
  test("is cut at its last whole record, wherever in the last one the write ended", async () => {
    const whole = bytesOf(1, 2, 3);
    const boundary = bytesOf(1, 2).length;
    for (let length = boundary; length < whole.length; length++) {
      await inFolder(async (folder) => {
        const path = leaveBehind(folder, whole.subarray(0, length));
        await using spool = await openTestSpool(folder);
        expect(spool.state()).toMatchObject({ records: 2, bytes: boundary, damaged: 0, cutBytes: length - boundary });
        expect(statSync(path).size).toBe(boundary);
        expect(spool.lines.filter((line) => line.startsWith("warn")).length).toBe(length === boundary ? 0 : 1);
        expect(await drainNumbers(spool)).toEqual([1, 2]);
      });
    }
  }, 60_000);

  test("and in which no record was finished goes without a word beyond its bytes", async () => {
    for (const length of [0, 3, 8, 9, 20]) {
      await inFolder(async (folder) => {
        leaveBehind(folder, bytesOf(1).subarray(0, length));
        const spool = await openTestSpool(folder);
        expect(spool.state()).toMatchObject({ records: 0, damaged: 0, oldestReceivedAtMs: null });
        expect(await drainNumbers(spool)).toEqual([]);
        await spool.trim();
        await spool[Symbol.asyncDispose]();
        expect(filesIn(folder)).toEqual([]);
      });
    }
  });
});

describe("a damaged file", () => {
  test("loses at most the record in which a byte is flipped, keeps a copy of that one, and never throws", async () => {
    const whole = bytesOf(1, 2, 3);
    const starts = [1, 2, 3].map((n) => bytesOf(...[1, 2].slice(0, n - 1)).length);
    for (let at = 0; at < whole.length; at += at < 60 ? 1 : 3) {
      await inFolder(async (folder) => {
        const flipped = Buffer.from(whole);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
        leaveBehind(folder, flipped);
        const hit = starts.filter((start) => start <= at).length; // 0: the file's head
        const left = [1, 2, 3].filter((n) => n !== hit);
        await using spool = await openTestSpool(folder);
        expect(spool.state()).toMatchObject({ records: left.length, damaged: 1, cutBytes: 0 });
        expect(await drainNumbers(spool)).toEqual(left);
        expect(spool.state()).toMatchObject({ records: 0, damaged: 1 });
        expect(spool.lines.filter((line) => line.startsWith("error")).length).toBe(1);
        const copies = damagedIn(folder);
        expect(copies.length).toBe(1);
        const start = hit === 0 ? 0 : (starts[hit - 1] ?? 0);
        const end = hit === 0 ? segmentHead.length : start + sizeOf(hit);
        expect(readFileSync(join(folder, copies[0] ?? "")).equals(flipped.subarray(start, end))).toBe(true);
        await spool.trim();
        expect(segmentsIn(folder)).toEqual([]);
      });
    }
  }, 60_000);

  test.each([
    ["of another program", Buffer.concat([Buffer.from("SQLite format 3\0"), Buffer.alloc(100, 7)])],
    [
      "of a newer version",
      Buffer.concat([Buffer.from([0x53, 0x50, 0x4f, 0x4f, 0x4c, 2, 0xfd, 0x0a]), Buffer.alloc(50, 1)]),
    ],
    ["that is too long", Buffer.alloc(segmentBytesMax + 100, 1)],
  ])("%s moves out of the way whole, and the next one is read", (_, bytes) =>
    inFolder(async (folder) => {
      leaveBehind(folder, bytes);
      leaveBehind(folder, bytesOf(7), undefined, 2);
      await using spool = await openTestSpool(folder);
      expect(spool.state()).toMatchObject({ records: 1, damaged: 1 });
      expect(await drainNumbers(spool)).toEqual([7]);
      const moved = damagedIn(folder);
      expect(moved.length).toBe(1);
      expect(readFileSync(join(folder, moved[0] ?? "")).equals(bytes)).toBe(true);
      await spool.trim();
      expect(segmentsIn(folder)).toEqual([join("damaged", "0123456789abcdef0123456789abcdef-000000000001.spool")]);
    }),
  );

  test("stays until its damaged part could be copied, and holds nothing else up", () =>
    inFolder(async (folder) => {
      const flipped = Buffer.from(bytesOf(1, 2));
      flipped[40] = (flipped[40] ?? 0) ^ 1;
      leaveBehind(folder, flipped);
      writeFileSync(join(folder, "damaged"), "in the way");
      await using spool = await openTestSpool(folder);
      expect(await drainNumbers(spool)).toEqual([2]);
      await spool.trim();
      expect(segmentsIn(folder).length).toBe(1);
      rmSync(join(folder, "damaged"));
      await spool.trim();
      expect(segmentsIn(folder)).toEqual([]);
      expect(damagedIn(folder).length).toBe(1);
    }));

  test("stays while damaged/ holds all that it may", () =>
    inFolder(async (folder) => {
      const flipped = Buffer.from(bytesOf(1, 2));
      flipped[40] = (flipped[40] ?? 0) ^ 1;
      leaveBehind(folder, flipped);
      const earlier = join(folder, "damaged", "earlier");
      mkdirSync(dirname(earlier));
      writeFileSync(earlier, "");
      truncateSync(earlier, damagedBytesMax); // takes no room on the disk
      await using spool = await openTestSpool(folder);
      expect(await drainNumbers(spool)).toEqual([2]);
      await spool.trim();
      expect([segmentsIn(folder).length, damagedIn(folder)]).toEqual([1, ["damaged/earlier"]]);
      rmSync(earlier);
      await spool.trim();
      expect([segmentsIn(folder).length, damagedIn(folder).length]).toEqual([0, 1]);
    }));

  test("that no move takes out of the way stands within the spool's bound, and the next start moves it", () =>
    inFolder(async (folder) => {
      const unreadable = Buffer.alloc(mebibyte, "no spool file ");
      leaveBehind(folder, unreadable);
      leaveBehind(folder, bytesOf(7), undefined, 2);
      writeFileSync(join(folder, "damaged"), "in the way");
      const fits = mebibyte + 10_000;
      const spool = await openTestSpool(folder, fits);
      expect(spool.state()).toMatchObject({ records: 1, bytes: mebibyte + bytesOf(7).length });
      expect(await spool.append(recordOf(8, 20_000))).toBe("full");
      expect(await spool.append(recordOf(9, 100))).toBe("kept");
      expect(await drainNumbers(spool)).toEqual([7, 9]);
      await spool.trim();
      expect(spool.state().bytes).toBe(mebibyte);
      await spool[Symbol.asyncDispose]();
      rmSync(join(folder, "damaged"));
      await using next = await openTestSpool(folder, fits);
      expect([next.state().bytes, damagedIn(folder).length]).toEqual([0, 1]);
    }));

  test("that was whole when it was taken over is read as far as it still goes", () =>
    inFolder(async (folder) => {
      const path = leaveBehind(folder, bytesOf(1, 2, 3));
      leaveBehind(folder, bytesOf(4), undefined, 2);
      await using spool = await openTestSpool(folder);
      truncateSync(path, bytesOf(1, 2).length + 10);
      expect(await drainNumbers(spool)).toEqual([1, 2, 4]);
      expect(spool.state().records).toBe(0);
      expect(spool.state().damaged).toBeGreaterThan(0);
    }));

  test("that is gone when it is to be read is counted, and the next one is read", () =>
    inFolder(async (folder) => {
      const path = leaveBehind(folder, bytesOf(1, 2, 3));
      leaveBehind(folder, bytesOf(4), undefined, 2);
      await using spool = await openTestSpool(folder);
      rmSync(path);
      expect(await drainNumbers(spool)).toEqual([4]);
      expect(spool.state()).toMatchObject({ records: 0, damaged: 3 });
      await spool.trim();
      expect(segmentsIn(folder)).toEqual([]);
    }));

  test("and still being written is skipped over as well", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      for (const n of [1, 2, 3]) await spool.append(recordOf(n));
      const path = join(folder, segmentsIn(folder)[0] ?? "");
      const bytes = readFileSync(path);
      bytes[bytesOf(1).length + 2] = 0;
      writeFileSync(path, bytes);
      expect(await drainNumbers(spool)).toEqual([1, 3]);
      expect(await spool.append(recordOf(4))).toBe("kept");
      expect(await drainNumbers(spool)).toEqual([4]);
      expect(spool.state()).toMatchObject({ records: 0, damaged: 1 });
    }));
});

describe("Spool.adopt()", () => {
  test("at the start takes over what a closed spool left, oldest owner first, before its own", () =>
    inFolder(async (folder) => {
      const owners = ["ffffffffffffffffffffffffffffffff", "00000000000000000000000000000000"];
      leaveBehind(folder, bytesOf(1, 2), owners[0], 1);
      leaveBehind(folder, bytesOf(3), owners[0], 2);
      leaveBehind(folder, bytesOf(5, 6), owners[1], 10);
      await using spool = await openTestSpool(folder);
      expect(spool.state()).toMatchObject({ records: 5, oldestReceivedAtMs: recordOf(1).receivedAtMs });
      expect(spool.state().bytes).toBe(bytesOf(1, 2).length + bytesOf(3).length + bytesOf(5, 6).length);
      await spool.append(recordOf(7));
      expect(await drainNumbers(spool)).toEqual([1, 2, 3, 5, 6, 7]);
      await spool.trim();
      expect(readdirSync(folder).length).toBe(1); // its own
      expect(spool.state().bytes).toBe(0);
    }));

  test("later takes over a spool that was closed meanwhile, and answers how much came with it", () =>
    inFolder(async (folder) => {
      await using living = await openTestSpool(folder);
      const leaving = await openTestSpool(folder);
      expect(readdirSync(folder).length).toBe(2);
      await living.append(recordOf(3));
      for (const n of [1, 2]) await leaving.append(recordOf(n));
      expect(await living.adopt()).toBe(0);
      expect(await leaving.adopt()).toBe(0);
      await leaving[Symbol.asyncDispose]();
      expect(await living.adopt()).toBe(2);
      expect(await living.adopt()).toBe(0);
      expect(await drainNumbers(living)).toEqual([1, 2, 3]);
      await living.trim();
      expect(readdirSync(folder).length).toBe(1);
    }));

  test("gives what it did not drain to the next, what it confirmed and did not trim too", () =>
    inFolder(async (folder) => {
      leaveBehind(folder, bytesOf(1, 2, 3));
      const first = await openTestSpool(folder);
      const batch = await first.read({ records: 2, bytes: mebibyte });
      if (batch !== null) first.confirm(batch);
      await first.trim();
      await first[Symbol.asyncDispose]();
      await using second = await openTestSpool(folder);
      expect(await drainNumbers(second)).toEqual([1, 2, 3]);
    }));

  test("by many at once gives each folder to one of them", () =>
    inFolder(async (folder) => {
      const owners = Array.from({ length: 12 }, (_, n) => String(n).padStart(32, "0"));
      const spools = await Promise.all(Array.from({ length: 4 }, () => openTestSpool(folder)));
      for (const [n, owner] of owners.entries()) leaveBehind(folder, bytesOf(n), owner);
      const counts = await Promise.all(spools.flatMap((spool) => [spool.adopt(), spool.adopt()]));
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(owners.length);
      const all = (await Promise.all(spools.map(drainNumbers))).flat();
      expect(all.sort((a, b) => a - b)).toEqual(owners.map((_, n) => n));
      for (const spool of spools) {
        await spool.trim();
        await spool[Symbol.asyncDispose]();
      }
      expect(readdirSync(folder)).toEqual([]);
    }));

  test("leaves alone symlinks, names that are not ours, and what it cannot empty", () =>
    inFolder(async (folder) => {
      await inFolder(async (elsewhere) => {
        const foreign = leaveBehind(elsewhere, bytesOf(9));
        const path = leaveBehind(folder, bytesOf(1));
        symlinkSync(dirname(foreign), join(folder, "ffffffffffffffffffffffffffffffff"));
        symlinkSync(foreign, join(dirname(path), "000000000002.spool"));
        copyFileSync(foreign, join(dirname(path), "2.spool"));
        mkdirSync(join(folder, "notes"));
        writeFileSync(join(folder, "README"), "");
        const spool = await openTestSpool(folder);
        expect(await drainNumbers(spool)).toEqual([1]);
        await spool.trim();
        await spool.trim();
        expect(await spool.adopt()).toBe(0);
        await spool[Symbol.asyncDispose]();
        expect(readFileSync(foreign).equals(bytesOf(9))).toBe(true);
        expect(
          readdirSync(dirname(path))
            .filter((name) => name.endsWith(".spool"))
            .sort(),
        ).toEqual(["000000000002.spool", "2.spool"]);
        expect(readdirSync(folder)).toContain("README");
      });
    }));

  test("at the second look removes folders whose makers died before they had a name, and no others", () =>
    inFolder(async (folder) => {
      const unborn = (digit: string) => `.new-${digit.repeat(32)}`;
      const files = { a: [], b: ["lock.db"], c: ["lock.db", "lock.db-journal"], d: ["lock.db"], e: ["notes"] };
      for (const [digit, names] of Object.entries(files)) {
        mkdirSync(join(folder, unborn(digit)));
        for (const name of names) writeFileSync(join(folder, unborn(digit), name), "");
      }
      const living = lockFile(join(folder, unborn("d"), "lock.db"));
      symlinkSync(join(folder, unborn("a")), join(folder, unborn("f")));
      mkdirSync(join(folder, ".new-house"));
      const others = [unborn("d"), unborn("e"), unborn("f"), ".new-house"];
      const listUnborn = () =>
        readdirSync(folder)
          .filter((name) => name.startsWith(".new-"))
          .sort();
      await using spool = await openTestSpool(folder);
      // One that is made just now has no lock yet: it takes a second look to tell it from one that is left.
      expect(readdirSync(folder)).toContain(unborn("a"));
      await spool.adopt();
      expect(listUnborn()).toEqual(others);
      living?.close();
      await spool.adopt();
      expect(listUnborn()).toEqual(others.slice(1));
      expect(readdirSync(join(folder, unborn("e")))).toEqual(["notes"]);
      expect(await spool.append(recordOf(1))).toBe("kept");
      expect(await drainNumbers(spool)).toEqual([1]);
    }));

  test("finds nothing, says so, and goes on where the folder is gone", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      rmSync(folder, { recursive: true });
      expect(await spool.adopt()).toBe(0);
      expect(spool.lines).toEqual(["warn Cannot look for spools left behind: ENOENT"]);
      expect(await spool.append(recordOf(1))).toBe("kept");
    }));

  test("reads a long spool file by file: 40 MB come back byte for byte", () =>
    inFolder(async (folder) => {
      const writing = await openTestSpool(folder);
      for (let n = 0; n < 400; n += 20)
        await Promise.all(Array.from({ length: 20 }, (_, k) => writing.append(recordOf(n + k, 100_000))));
      await writing[Symbol.asyncDispose]();
      await using spool = await openTestSpool(folder);
      expect(spool.state().records).toBe(400);
      const found = await drain(spool);
      expect(found.map(numberOf)).toEqual(Array.from({ length: 400 }, (_, n) => n));
      expect(found.every((record, n) => isSame(record, recordOf(n, 100_000)))).toBe(true);
    }));

  test("a disk that refuses the cut of a torn end does not refuse its records", () =>
    inFolder(async (folder) => {
      leaveBehind(folder, bytesOf(1, 2, 3).subarray(0, bytesOf(1, 2).length + 5));
      using calls = await watchFileCalls();
      calls.failNext("truncate", "EROFS");
      await using spool = await openTestSpool(folder);
      expect(await drainNumbers(spool)).toEqual([1, 2]);
    }));
});
