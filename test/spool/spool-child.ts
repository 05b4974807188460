/** A process of its own for the crash tests: `bun spool-child.ts <mode> <folder> [first number]`. Says on stdout what it did. */
import { rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { SyncError } from "../../src/domain/error.ts";
import { drainNumbers, mebibyte, openTestSpool, recordOf } from "./test-spool.ts";

const [mode, folder = "", first = "0"] = process.argv.slice(2);
/** At once and in full: what a killed process had in a buffer would be lost. */
const say = (line: string) => void writeSync(1, `${line}\n`);
const lanes = 8;

/** Appends for ever; says `kept <n>` once record n is acknowledged. */
async function append() {
  const spool = await openTestSpool(folder);
  let next = Number(first);
  const lane = async () => {
    while (true) {
      const n = next++;
      if ((await spool.append(recordOf(n))) === "kept") say(`kept ${n}`);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** Drains in small batches; says `read <n>` before it confirms, and trims after each. */
async function relay() {
  const spool = await openTestSpool(folder);
  while (true) {
    const batch = await spool.read({ records: 20, bytes: mebibyte });
    if (batch === null) break;
    writeSync(1, batch.records.map(({ headers }) => `read ${headers[0]?.[1]}\n`).join(""));
    spool.confirm(batch);
    await spool.trim();
  }
  await spool[Symbol.asyncDispose]();
  say("drained");
}

/** Writes until the disk is full. */
function fillDisk(path: string) {
  const piece = Buffer.alloc(4_096);
  try {
    while (true) writeFileSync(path, piece, { flag: "a" });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
  }
}

/** What a small disk does to a spool; says it all as one JSON line. */
async function smallDisk() {
  const filler = join(folder, "filler");
  const inside = join(folder, "spool");
  const spool = await openTestSpool(inside);
  const receipts = async (numbers: number[], size: number) => {
    const given: string[] = [];
    for (const n of numbers) given.push(await spool.append(recordOf(n, size)));
    return given.join(" ");
  };
  const before = await receipts([1, 2, 3], 20_000);
  fillDisk(filler);
  const onFullDisk = await receipts([4, 5], 20_000);
  const writableOnFullDisk = spool.state().writable;
  const opened = await openTestSpool(inside).then(
    (other) => other[Symbol.asyncDispose]().then(() => "opened"),
    (error) => (error instanceof SyncError ? "SyncError" : String(error)),
  );
  rmSync(filler);
  const afterwards = await receipts([6, 7], 20_000);
  const read = await drainNumbers(spool);
  await spool.trim();
  const emptied = spool.state();

  let kept = 0;
  for (let n = 100; (await spool.append(recordOf(n, 30_000))) === "kept"; n++) kept += 1;
  const readFromFull = (await drainNumbers(spool)).length;
  await spool.trim();
  const again = await receipts([8], 20_000);
  await spool[Symbol.asyncDispose]();
  const reopened = await openTestSpool(inside);
  const left = await drainNumbers(reopened);
  const lines = spool.lines;
  say(
    JSON.stringify({
      before,
      onFullDisk,
      writableOnFullDisk,
      opened,
      afterwards,
      read,
      emptied,
      kept,
      readFromFull,
      again,
      left,
      lines,
    }),
  );
}

async function readOnly() {
  await openTestSpool(join(folder, "spool")).then(
    () => say("opened"),
    (error) => say(error instanceof SyncError ? `${error.code}: ${error.message}` : String(error)),
  );
}

const modes: Record<string, () => Promise<void>> = { append, relay, smallDisk, readOnly };
await modes[mode ?? ""]?.();
