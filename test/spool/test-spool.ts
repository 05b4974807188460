/** A spool on real files, records that can be told apart, and a way to read everything. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLog } from "../../src/lib/log.ts";
import { openSpool, type Spool, type SpoolRecord } from "../../src/spool/spool.ts";

export const clock = createSystemClock();
export const mebibyte = 1_048_576;

/** Record `n` of a kind that can be rebuilt from its number: `size` bytes that follow from it. */
export function recordOf(n: number, size = 40 + ((n * 37) % 400)): SpoolRecord {
  const body = Buffer.alloc(size);
  for (let at = 0; at < size; at++) body[at] = (n * 131 + at * 7 + (at >> 8)) & 0xff;
  return {
    receivedAtMs: 1_763_000_000_000 + n,
    headers: [
      ["x-number", String(n)],
      ["x-hub-signature-256", "sha256=abc"],
    ],
    body,
  };
}

export const numberOf = (record: SpoolRecord) => Number(record.headers[0]?.[1]);

/** Two records are the same, byte for byte. */
export const isSame = (a: SpoolRecord, b: SpoolRecord) =>
  a.receivedAtMs === b.receivedAtMs &&
  JSON.stringify(a.headers) === JSON.stringify(b.headers) &&
  Buffer.from(a.body).equals(b.body);

export async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "social-sync-spool-"));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export async function openTestSpool(folder: string, bytesMax = 1_024 * mebibyte) {
  const lines: string[] = [];
  const log = createLog("debug", (level, message) => lines.push(`${level} ${message}`));
  const spool = await openSpool({ folder, bytesMax, clock, log });
  return Object.assign(spool, { lines });
}

/** Reads, confirms and copies everything that waits. */
export async function drain(spool: Spool, limit = { records: 100, bytes: mebibyte }): Promise<SpoolRecord[]> {
  const all: SpoolRecord[] = [];
  for (let batch = await spool.read(limit); batch !== null; batch = await spool.read(limit)) {
    all.push(...batch.records);
    spool.confirm(batch);
  }
  return all;
}

export const drainNumbers = async (spool: Spool) => (await drain(spool)).map(numberOf);
