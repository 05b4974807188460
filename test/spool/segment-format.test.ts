import { describe, expect, test } from "bun:test";
import {
  encodeRecord,
  readSegmentHead,
  type SpoolRecord,
  type Stretch,
  scanRecords,
  segmentHead,
} from "../../src/spool/segment-format.ts";
import { isSame, numberOf, recordOf } from "./test-spool.ts";

const seed = Number(process.env.PROPERTY_SEED ?? Math.floor(Math.random() * 2 ** 31));

function createChance(from: number) {
  let state = from || 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

const bytesOf = (records: readonly SpoolRecord[]) =>
  Buffer.concat(records.flatMap((record) => [encodeRecord(record).head, record.body]));
const scan = (bytes: Uint8Array) => [...scanRecords(bytes, 0)];
const recordsIn = (stretches: readonly Stretch[]) =>
  stretches.flatMap((stretch) => (stretch.kind === "record" ? [stretch.record] : []));
/** Whatever the bytes: the stretches follow each other and leave nothing out. */
function expectWhole(stretches: readonly Stretch[], length: number) {
  let at = 0;
  for (const { start, end } of stretches) {
    expect(start).toBe(at);
    expect(end).toBeGreaterThan(start);
    at = end;
  }
  expect(at).toBe(length);
}

function oddRecord(chance: () => number): SpoolRecord {
  const text = () =>
    ["", "é", "\u0000", "\ud800", "\r\n", "__proto__", '"', "x".repeat(300), "한글", "\u2028"][
      Math.floor(chance() * 10)
    ] ?? "";
  const body = Buffer.from(Array.from({ length: Math.floor(chance() * 200) }, () => Math.floor(chance() * 256)));
  return {
    receivedAtMs: Math.floor(chance() * 2 ** 45) - (chance() < 0.1 ? 2 ** 44 : 0),
    headers: Array.from({ length: Math.floor(chance() * 5) }, () => [text(), text()] as const),
    body,
  };
}

describe(`scanRecords() (again with PROPERTY_SEED=${seed})`, () => {
  test("gives back what encodeRecord() was given, whatever it was", () => {
    const chance = createChance(seed);
    for (let round = 0; round < 500; round++) {
      const records = Array.from({ length: Math.floor(chance() * 8) }, () => oddRecord(chance));
      const found = recordsIn(scan(bytesOf(records)));
      expect(found.length).toBe(records.length);
      for (const [n, record] of records.entries()) expect(isSame(found[n] ?? recordOf(0), record)).toBe(true);
    }
  });

  test("finds every whole record before a cut, at any byte, and calls the rest torn", () => {
    const records = [recordOf(1), recordOf(2), recordOf(3)];
    const bytes = bytesOf(records);
    const ends = records.map((_, n) => bytesOf(records.slice(0, n + 1)).length);
    for (let length = 0; length <= bytes.length; length++) {
      const stretches = scan(bytes.subarray(0, length));
      expectWhole(stretches, length);
      expect(recordsIn(stretches).map(numberOf)).toEqual(
        [1, 2, 3].slice(0, ends.filter((end) => end <= length).length),
      );
      const torn = length > 0 && !ends.includes(length);
      expect(stretches.at(-1)?.kind ?? "record").toBe(torn ? "torn" : "record");
    }
  });

  test("loses at most the record in which a byte is flipped, and never calls that one torn", () => {
    const bytes = bytesOf([recordOf(1), recordOf(2), recordOf(3)]);
    const sizes = [1, 2, 3].map((n) => encodeRecord(recordOf(n)).bytes);
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      const hit = at < (sizes[0] ?? 0) ? 1 : at < (sizes[0] ?? 0) + (sizes[1] ?? 0) ? 2 : 3;
      const stretches = scan(flipped);
      expectWhole(stretches, bytes.length);
      expect(recordsIn(stretches).map(numberOf)).toEqual([1, 2, 3].filter((n) => n !== hit));
      expect(stretches.filter(({ kind }) => kind !== "record").map(({ kind }) => kind)).toEqual(["damaged"]);
    }
  });

  test("finds the records between any garbage, and takes no stray bytes for one", () => {
    const chance = createChance(seed + 1);
    for (let round = 0; round < 300; round++) {
      const parts: Uint8Array[] = [];
      const numbers: number[] = [];
      for (let n = 1; n <= 5; n++) {
        if (chance() < 0.6) {
          const garbage = Array.from({ length: Math.floor(chance() * 60) }, () => Math.floor(chance() * 256));
          // Bytes that begin like a record are the hardest to tell.
          parts.push(Buffer.from(garbage), chance() < 0.5 ? bytesOf([recordOf(99)]).subarray(0, 15) : Buffer.alloc(0));
        }
        parts.push(bytesOf([recordOf(n)]));
        numbers.push(n);
      }
      const bytes = Buffer.concat(parts);
      const stretches = scan(bytes);
      expectWhole(stretches, bytes.length);
      expect(recordsIn(stretches).map(numberOf)).toEqual(numbers);
    }
  });

  test("takes zeros at the end for a write that was cut short, and zeros before a record for damage", () => {
    const zeros = Buffer.alloc(100);
    expect(scan(Buffer.concat([bytesOf([recordOf(1)]), zeros])).map(({ kind }) => kind)).toEqual(["record", "torn"]);
    expect(scan(Buffer.concat([zeros, bytesOf([recordOf(1)])])).map(({ kind }) => kind)).toEqual(["damaged", "record"]);
  });

  test("calls a payload damaged whose checksum is right and whose headers are not pairs of texts", () => {
    for (const headers of [{}, [["a"]], [["a", 1]], "a", null, [["a", "b", "c"]]]) {
      // What another program could have written: encoded as ours are, but for the shape.
      const odd = encodeRecord({ ...recordOf(1), headers: headers as unknown as SpoolRecord["headers"] });
      const bytes = Buffer.concat([odd.head, odd.body, bytesOf([recordOf(2)])]);
      expect(scan(bytes).map(({ kind }) => kind)).toEqual(["damaged", "record"]);
    }
  });
});

describe("readSegmentHead()", () => {
  test("knows its own, a newer one, an unfinished one, and no other", () => {
    expect(readSegmentHead(Buffer.concat([segmentHead, bytesOf([recordOf(1)])]))).toBe("ours");
    const newer = Buffer.from(segmentHead);
    newer[5] = 2;
    newer[6] = 2 ^ 0xff;
    expect(readSegmentHead(newer)).toBe("newer");
    for (let length = 0; length < segmentHead.length; length++)
      expect(readSegmentHead(segmentHead.subarray(0, length))).toBe("short");
    expect(readSegmentHead(Buffer.alloc(20))).toBe("short");
    expect(readSegmentHead(Buffer.from("SQLite format 3\0"))).toBe("foreign");
    for (let bit = 0; bit < 64; bit++) {
      const flipped = Buffer.from(segmentHead);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(readSegmentHead(flipped)).toBe("foreign");
    }
  });
});
