import { describe, expect, test } from "bun:test";
import { readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SyncError } from "../../src/domain/error.ts";
import { segmentBytesMax } from "../../src/spool/segment.ts";
import { openSpool } from "../../src/spool/spool.ts";
import { waitUntil } from "../support/bounded-wait.ts";
import { watchFileCalls } from "./file-faults.ts";
import {
  clock,
  drain,
  drainNumbers,
  inFolder,
  isSame,
  mebibyte,
  numberOf,
  openTestSpool,
  recordOf,
} from "./test-spool.ts";

const everything = { records: 1_000_000, bytes: 1_024 * mebibyte };
const filesIn = (folder: string) => readdirSync(folder, { recursive: true }).map(String).sort();
const segmentsIn = (folder: string) => filesIn(folder).filter((path) => path.endsWith(".spool"));

describe("Spool.append() and Spool.read()", () => {
  test("give back every record as it came, in order, whatever stands in it", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      const odd = [
        { receivedAtMs: 1, headers: [], body: new Uint8Array(0) },
        { receivedAtMs: 2.5, headers: [["x-a", ""]] as const, body: Buffer.from("\u0000{}") },
        {
          receivedAtMs: 3,
          headers: [
            ["ключ", '"\\\r\n\u0000\ud800한글'],
            ["__proto__", "x"],
            ["a", "1"],
            ["a", "2"],
          ] as const,
          body: recordOf(3, 4 * mebibyte).body,
        },
        {
          receivedAtMs: 4,
          headers: [["x", "y".repeat(70_000)]] as const,
          body: Buffer.from([0xfb, 0x53, 0x52, 0xfe, 0xff]),
        },
      ];
      for (const record of odd) expect(await spool.append(record)).toBe("kept");
      const found = await drain(spool);
      expect(found.length).toBe(odd.length);
      for (const [n, record] of odd.entries()) expect(isSame(found[n] ?? recordOf(0), record)).toBe(true);
      expect(await spool.read(everything)).toBeNull();
    }));

  test("keep folders and files for their owner alone", () =>
    inFolder(async (parent) => {
      const folder = join(parent, "a/b/spool");
      await using spool = await openTestSpool(folder);
      await spool.append(recordOf(1));
      const modes = ["", ...filesIn(folder)].map((path) => statSync(join(folder, path)));
      expect(modes.filter((stat) => stat.isDirectory()).every(({ mode }) => (mode & 0o777) === 0o700)).toBe(true);
      expect(modes.filter((stat) => stat.isFile()).every(({ mode }) => (mode & 0o777) === 0o600)).toBe(true);
    }));

  test("make the names of all folders they had to make durable", () =>
    inFolder(async (parent) => {
      using calls = await watchFileCalls();
      await using spool = await openTestSpool(join(parent, "a/b/spool"));
      expect(calls.counts.sync).toBe(5); // a, b, spool, the process's own, and its final name
      expect(spool.state().writable).toBe(true);
    }));

  test("share one write and one fsync among the appends that wait", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      await spool.append(recordOf(0)); // the file is there
      using calls = await watchFileCalls();
      let rounds = 0;
      spool.onAppended(() => {
        rounds += 1;
      });
      const receipts = await Promise.all(Array.from({ length: 500 }, (_, n) => spool.append(recordOf(n + 1))));
      expect(new Set(receipts)).toEqual(new Set(["kept"]));
      expect(calls.counts.datasync).toBeLessThanOrEqual(3);
      expect(calls.counts.write).toBe(calls.counts.datasync);
      expect(rounds).toBe(calls.counts.datasync);
      expect(await drainNumbers(spool)).toEqual(Array.from({ length: 501 }, (_, n) => n));
    }));

  test("answer only after the bytes, the file's name and the folder's are synced", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      using calls = await watchFileCalls();
      expect(await spool.append(recordOf(1))).toBe("kept");
      expect(calls.counts).toMatchObject({ sync: 2, datasync: 0 }); // the new file, and its folder
      expect(await spool.append(recordOf(2))).toBe("kept");
      expect(calls.counts).toMatchObject({ sync: 2, datasync: 1 });
    }));

  test("go on in a new file when one is full, and a batch never spans two", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      for (let n = 0; n < 10; n++) expect(await spool.append(recordOf(n, 3 * mebibyte))).toBe("kept");
      expect(segmentsIn(folder).length).toBe(5);
      for (const path of segmentsIn(folder))
        expect(statSync(join(folder, path)).size).toBeLessThanOrEqual(segmentBytesMax);
      const sizes: number[] = [];
      const numbers: number[] = [];
      for (let batch = await spool.read(everything); batch !== null; batch = await spool.read(everything)) {
        sizes.push(batch.records.length);
        numbers.push(...batch.records.map(numberOf));
        spool.confirm(batch);
      }
      expect(sizes).toEqual([2, 2, 2, 2, 2]);
      expect(numbers).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      await spool.trim();
      expect(segmentsIn(folder)).toEqual([]);
    }));

  test("keep records that fill a file to its last byte, and refuse one that fits into none", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      const overhead = 8 + 16 + 12 + 2; // the file's head, the record's header, the fixed payload, "[]"
      const fitting = { receivedAtMs: 1, headers: [], body: new Uint8Array(segmentBytesMax - overhead) };
      expect(await spool.append({ ...fitting, body: new Uint8Array(segmentBytesMax - overhead + 1) })).toBe("full");
      expect(await spool.append(fitting)).toBe("kept");
      expect(await spool.append(recordOf(1))).toBe("kept");
      expect(spool.state().records).toBe(2);
      expect((await drain(spool)).map(({ body }) => body.length)).toEqual([
        fitting.body.length,
        recordOf(1).body.length,
      ]);
    }));

  test("count records and bytes, and give one record where none would fit the limit", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      for (let n = 0; n < 5; n++) await spool.append(recordOf(n, 1_000));
      expect((await spool.read({ records: 3, bytes: mebibyte }))?.records.map(numberOf)).toEqual([0, 1, 2]);
      expect((await spool.read({ records: 100, bytes: 2_500 }))?.records.map(numberOf)).toEqual([0, 1]);
      expect((await spool.read({ records: 100, bytes: 1 }))?.records.map(numberOf)).toEqual([0]);
      expect((await spool.read({ records: 0, bytes: 0 }))?.records.map(numberOf)).toEqual([0]);
    }));

  test("meet at any moment: a reader sees each record once, in order, while others are written", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      const count = 3_000;
      const appending = (async () => {
        for (let n = 0; n < count; n += 10)
          await Promise.all(Array.from({ length: 10 }, (_, k) => spool.append(recordOf(n + k, 5_000))));
      })();
      const seen: number[] = [];
      await waitUntil(
        async () => {
          seen.push(...(await drainNumbers(spool)));
          await spool.trim();
          return seen.length >= count;
        },
        50_000,
        "The reader did not see every record",
        1,
      );
      await appending;
      expect(seen).toEqual(Array.from({ length: count }, (_, n) => n));
      await spool.trim();
      expect(segmentsIn(folder)).toEqual([]);
      expect(spool.state()).toMatchObject({ records: 0, bytes: 0, oldestReceivedAtMs: null });
    }));

  test("take 10,000 appends (printed, not judged)", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      const lanes = 32;
      let next = 0;
      const startMs = clock.monotonicMs();
      const lane = async () => {
        for (let n = next++; n < 10_000; n = next++) expect(await spool.append(recordOf(n))).toBe("kept");
      };
      await Promise.all(Array.from({ length: lanes }, lane));
      const writtenMs = clock.monotonicMs() - startMs;
      const found = await drain(spool);
      const readMs = clock.monotonicMs() - startMs - writtenMs;
      console.log(`10,000 appends from ${lanes} lanes in ${writtenMs.toFixed(0)} ms, read in ${readMs.toFixed(0)} ms`);
      expect(found.length).toBe(10_000);
    }));
});

describe("Spool.confirm()", () => {
  test("moves reading on; without it the same records come again", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      for (let n = 0; n < 6; n++) await spool.append(recordOf(n));
      const limit = { records: 2, bytes: mebibyte };
      expect((await spool.read(limit))?.records.map(numberOf)).toEqual([0, 1]);
      const again = await spool.read(limit);
      expect(again?.records.map(numberOf)).toEqual([0, 1]);
      if (again !== null) spool.confirm(again);
      expect((await spool.read(limit))?.records.map(numberOf)).toEqual([2, 3]);
    }));

  test("counts a record once, whatever batches overlap, come twice, late or from elsewhere", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      for (let n = 0; n < 6; n++) await spool.append(recordOf(n));
      const small = await spool.read({ records: 1, bytes: mebibyte });
      const large = await spool.read({ records: 4, bytes: mebibyte });
      if (small === null || large === null) throw new Error("nothing was read");
      spool.confirm(small);
      expect(spool.state()).toMatchObject({ records: 5, oldestReceivedAtMs: recordOf(1).receivedAtMs });
      spool.confirm(large);
      expect(spool.state()).toMatchObject({ records: 2, oldestReceivedAtMs: recordOf(4).receivedAtMs });
      spool.confirm(small);
      spool.confirm(large);
      spool.confirm({ records: [recordOf(5)] });
      expect(spool.state()).toMatchObject({ records: 2, oldestReceivedAtMs: recordOf(4).receivedAtMs });
      expect(await drainNumbers(spool)).toEqual([4, 5]);
      await spool.trim();
      spool.confirm(large);
      expect(spool.state()).toMatchObject({ records: 0, bytes: 0 });
    }));

  test("knows the oldest that waits, also of those appended behind a batch that was read", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      await spool.append(recordOf(1));
      const first = await spool.read(everything);
      await spool.append(recordOf(2));
      if (first !== null) spool.confirm(first);
      expect(spool.state().records).toBe(1);
      expect(spool.state().oldestReceivedAtMs).toBeLessThanOrEqual(recordOf(2).receivedAtMs);
      const second = await spool.read(everything);
      expect(spool.state().oldestReceivedAtMs).toBe(recordOf(2).receivedAtMs);
      if (second !== null) spool.confirm(second);
      expect(spool.state().oldestReceivedAtMs).toBeNull();
      await spool.append(recordOf(3));
      expect(spool.state().oldestReceivedAtMs).toBe(recordOf(3).receivedAtMs);
    }));
});

describe("Spool.trim()", () => {
  test("removes files whose records are all confirmed, the one being written too, and no other", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      for (let n = 0; n < 4; n++) await spool.append(recordOf(n, 3 * mebibyte));
      expect(segmentsIn(folder).length).toBe(2);
      await spool.trim();
      expect(segmentsIn(folder).length).toBe(2);
      const first = await spool.read({ records: 2, bytes: everything.bytes });
      if (first !== null) spool.confirm(first);
      await spool.trim();
      expect(segmentsIn(folder).length).toBe(1);
      expect(await drainNumbers(spool)).toEqual([2, 3]);
      await spool.trim();
      expect(segmentsIn(folder)).toEqual([]);
      expect(await spool.append(recordOf(5))).toBe("kept");
      expect(await drainNumbers(spool)).toEqual([5]);
    }));
});

describe("a spool that cannot keep more", () => {
  test("says full at its bound without a write, and keeps again after a trim", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder, mebibyte);
      const record = recordOf(1, 100_000);
      for (let n = 0; n < 10; n++) expect(await spool.append(record)).toBe("kept");
      {
        using calls = await watchFileCalls();
        expect(await spool.append(record)).toBe("full");
        expect(calls.counts).toEqual({ write: 0, datasync: 0, sync: 0, truncate: 0 });
      }
      expect(spool.state()).toMatchObject({ records: 10, bytesMax: mebibyte, writable: true });
      const onDisk = segmentsIn(folder).reduce((sum, path) => sum + statSync(join(folder, path)).size, 0);
      expect(spool.state().bytes).toBe(onDisk);
      expect(onDisk).toBeLessThanOrEqual(mebibyte);
      await drain(spool);
      expect(await spool.append(record)).toBe("full");
      await spool.trim();
      expect(await spool.append(record)).toBe("kept");
    }));

  test("counts what waits for the disk: a burst never grows beyond the bound", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder, mebibyte);
      const receipts = await Promise.all(Array.from({ length: 50 }, (_, n) => spool.append(recordOf(n, 100_000))));
      expect(receipts.filter((receipt) => receipt === "kept").length).toBe(10);
      expect(receipts.slice(10)).toEqual(Array.from({ length: 40 }, () => "full"));
      expect(spool.state().bytes).toBeLessThanOrEqual(mebibyte);
    }));

  test("cuts a write that failed half-way, says unwritable once in the log, and recovers by itself", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      await spool.append(recordOf(1));
      {
        using calls = await watchFileCalls();
        calls.failNext("write", "ENOSPC", { times: 3 });
        for (let n = 0; n < 3; n++) expect(await spool.append(recordOf(9))).toBe("unwritable");
        expect(spool.state().writable).toBe(false);
        expect(await spool.append(recordOf(2))).toBe("kept");
        expect(spool.state().writable).toBe(true);
      }
      expect(spool.lines).toEqual(["warn Cannot write the spool: ENOSPC", "warn The spool can be written again"]);
      expect(segmentsIn(folder).length).toBe(1);
      expect(statSync(join(folder, segmentsIn(folder)[0] ?? "")).size).toBe(spool.state().bytes);
      expect(await drainNumbers(spool)).toEqual([1, 2]);
    }));

  test("answers all that shared a failed round alike", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      await spool.append(recordOf(0));
      using calls = await watchFileCalls();
      calls.failNext("write", "EIO");
      const receipts = await Promise.all([1, 2, 3].map((n) => spool.append(recordOf(n))));
      expect(receipts).toEqual(["unwritable", "unwritable", "unwritable"]);
      expect(await drainNumbers(spool)).toEqual([0]);
    }));

  test.each([
    ["a failed fsync", [["datasync", "EIO"]]],
    [
      "a failed write that cannot be cut",
      [
        ["write", "EIO"],
        ["truncate", "EIO"],
      ],
    ],
  ] as const)("never writes on behind %s: the next append starts a new file", (_, faults) =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      await spool.append(recordOf(1));
      {
        using calls = await watchFileCalls();
        for (const [call, code] of faults) calls.failNext(call, code, { times: 2 });
        expect(await spool.append(recordOf(9))).toBe("unwritable");
      }
      expect(await spool.append(recordOf(2))).toBe("kept");
      expect(segmentsIn(folder).length).toBe(2);
      expect(await drainNumbers(spool)).toEqual([1, 2]);
      await spool.trim();
      expect(filesIn(folder).filter((path) => path.endsWith(".spool"))).toEqual([]);
    }),
  );

  test("leaves no file behind where not even the first record of it came through", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      {
        using calls = await watchFileCalls();
        calls.failNext("sync", "EIO", { times: 2 });
        expect(await spool.append(recordOf(9))).toBe("unwritable");
        calls.failNext("sync", "EIO", { letThrough: 1 }); // the folder's
        expect(await spool.append(recordOf(9))).toBe("unwritable");
      }
      expect(segmentsIn(folder)).toEqual([]);
      expect(spool.state()).toMatchObject({ records: 0, bytes: 0 });
      expect(await spool.append(recordOf(2))).toBe("kept");
      expect(await drainNumbers(spool)).toEqual([2]);
    }));

  test("notices that its folder was removed, makes another, and still reads what was acknowledged", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      expect(await spool.append(recordOf(1))).toBe("kept");
      rmSync(folder, { recursive: true });
      expect(await spool.append(recordOf(9))).toBe("unwritable");
      expect(await spool.append(recordOf(2))).toBe("kept");
      expect(await drainNumbers(spool)).toEqual([1, 2]);
      await spool.trim();
      expect(spool.state()).toMatchObject({ records: 0, bytes: 0, damaged: 0 });
    }));

  test("a listener that throws costs a line, not a record", () =>
    inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      spool.onAppended(() => {
        throw new Error("no");
      });
      expect(await spool.append(recordOf(1))).toBe("kept");
      expect(await spool.append(recordOf(2))).toBe("kept");
      expect(spool.lines[0]).toBe("error A listener of the spool failed: no");
    }));
});

describe("openSpool()", () => {
  test("throws a sentence where the folder cannot be one", () =>
    inFolder(async (parent) => {
      writeFileSync(join(parent, "file"), "");
      const folder = join(parent, "file/spool");
      const lines = { error: () => {}, warn: () => {}, log: () => {}, debug: () => {} };
      const refused = await openSpool({ folder, bytesMax: mebibyte, clock, log: lines }).catch((error) => error);
      expect(refused).toBeInstanceOf(SyncError);
      expect(refused).toMatchObject({ code: "folder_unusable", message: `Cannot use the spool ${folder}: ENOTDIR` });
    }));
});

describe("Spool[Symbol.asyncDispose]()", () => {
  test("answers the appends in flight first, takes no more, and can be called twice", () =>
    inFolder(async (folder) => {
      const spool = await openTestSpool(folder);
      const flying = Promise.all([1, 2, 3].map((n) => spool.append(recordOf(n))));
      await spool[Symbol.asyncDispose]();
      expect(await flying).toEqual(["kept", "kept", "kept"]);
      expect(await spool.append(recordOf(4))).toBe("unwritable");
      await spool[Symbol.asyncDispose]();
      await using next = await openTestSpool(folder);
      expect(await drainNumbers(next)).toEqual([1, 2, 3]);
    }));

  test("leaves nothing of an empty spool, and everything of one that waits", () =>
    inFolder(async (folder) => {
      const spool = await openTestSpool(folder);
      await spool.append(recordOf(1));
      await drain(spool);
      await spool.trim();
      await spool[Symbol.asyncDispose]();
      expect(filesIn(folder)).toEqual([]);
      const other = await openTestSpool(folder);
      await other.append(recordOf(2));
      await other[Symbol.asyncDispose]();
      expect(segmentsIn(folder).length).toBe(1);
    }));
});
