/** Taking over what a process left behind, one segment in memory at a time. */
import { open, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "../lib/log.ts";
import type { DamageDesk } from "./damage-desk.ts";
import { isPassing, openToRead, readSpan, reasonOf, withFile } from "./durable-files.ts";
import { claimHome, type Home, listHomes, listSegments } from "./home.ts";
import { type Segment, segmentBytesMax } from "./segment.ts";
import { readSegmentHead, type Stretch, scanRecords, segmentHead } from "./segment-format.ts";

/** `leftBytes`: of files that can neither be read nor moved out of the way. They stay until the next start tries again. */
export type Adopted = { readonly home: Home; readonly segments: readonly Segment[]; readonly leftBytes: number };

/**
 * Claims every folder of `folder` whose owner is gone, but for those in `taken`, and recovers their segments. Oldest
 * owner first. What cannot be opened for want of files or memory is let go again, for the next time.
 */
export async function adoptHomes(
  { folder, taken }: { folder: string; taken: ReadonlySet<string> },
  desk: DamageDesk,
  log: Log,
): Promise<Adopted[]> {
  const adopted: Adopted[] = [];
  for (const name of await listHomes(folder)) {
    if (taken.has(name)) continue;
    const home = await claimHome(folder, name);
    if (home === null) continue;
    try {
      adopted.push({ home, ...(await recoverSegments(home, desk)) });
    } catch (error) {
      home.lock.close();
      log.warn(`Cannot take over a spool folder yet: ${reasonOf(error)}`, "Spool", { path: home.path });
    }
  }
  const oldest = ({ segments }: Adopted) => segments[0]?.oldestMs ?? Number.POSITIVE_INFINITY;
  return adopted.sort((a, b) => (oldest(a) === oldest(b) ? 0 : oldest(a) - oldest(b)));
}

async function recoverSegments(home: Home, desk: DamageDesk): Promise<Omit<Adopted, "home">> {
  const segments: Segment[] = [];
  let leftBytes = 0;
  for (const name of await listSegments(home)) {
    const path = join(home.path, name);
    const segment = await recoverSegment({ home, name, path }, desk);
    if (segment !== null) segments.push(segment);
    else leftBytes += await sizeOf(path);
  }
  return { segments, leftBytes };
}

/** 0 where it is gone. */
const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  );

type Place = Pick<Segment, "home" | "name" | "path">;

/** Null: nothing in it can be read; then it is gone from its place, unless the disk refuses that. */
async function recoverSegment(place: Place, desk: DamageDesk): Promise<Segment | null> {
  let bytes: Uint8Array;
  try {
    // One byte more than a segment may have: a longer file is none of ours, and is not read in full.
    bytes = await withFile(openToRead(place.path), (file) => readSpan(file, 0, segmentBytesMax + 1));
  } catch (error) {
    if (isPassing(error)) throw error;
    await desk.setAside(place, reasonOf(error), 1);
    return null;
  }
  const head = readSegmentHead(bytes);
  if (head === "short") {
    if (bytes.length > 0) desk.noteCut(place.path, bytes.length);
    await unlink(place.path).catch(() => {});
    return null;
  }
  const stretches = [...summarise(bytes, head === "ours" ? segmentHead.length : 0)];
  const records = stretches.filter(({ kind }) => kind === "record");
  const why = refuse(head, bytes.length, records.length);
  if (why !== null) {
    await desk.setAside(place, why, 1);
    return null;
  }
  const torn = stretches.find(({ kind }) => kind === "torn");
  const segment: Segment = {
    ...place,
    end: torn?.start ?? bytes.length,
    position: head === "ours" ? segmentHead.length : 0,
    total: records.length,
    passed: 0,
    oldestMs: records[0]?.receivedAtMs ?? null,
    damage: new Set(),
    unsaved: [],
    handle: null,
  };
  for (const span of stretches.filter(({ kind }) => kind === "damaged"))
    await desk.report(segment, span, bytes.subarray(span.start, span.end));
  if (torn !== undefined) {
    await cut(segment);
    desk.noteCut(segment.path, torn.end - torn.start);
  }
  return segment;
}

function refuse(head: ReturnType<typeof readSegmentHead>, bytes: number, records: number): string | null {
  if (bytes > segmentBytesMax) return `longer than ${segmentBytesMax} bytes`;
  if (head === "newer") return "written by a newer version";
  // A damaged head alone proves nothing against records whose checksums are right.
  return head === "foreign" && records === 0 ? "not a spool file" : null;
}

/** Stretches without their bodies, so that a scan keeps no more than it must. */
function* summarise(bytes: Uint8Array, from: number) {
  for (const stretch of scanRecords(bytes, from)) {
    const { kind, start, end }: Stretch = stretch;
    yield { kind, start, end, receivedAtMs: stretch.kind === "record" ? stretch.record.receivedAtMs : null };
  }
}

/** Housekeeping only: `end` already keeps readers from what is cut, so a disk that refuses it stops nothing. */
async function cut({ path, end }: Segment): Promise<void> {
  await withFile(open(path, "r+"), async (file) => {
    await file.truncate(end);
    await file.sync();
  }).catch(() => {});
}
