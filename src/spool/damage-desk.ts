/** Where damage goes: counted, said once, and kept as evidence in `<spool folder>/damaged/`. It never stops anything. */
import { constants } from "node:fs";
import { open, readdir, rename, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Log } from "../lib/log.ts";
import { makeFolder, reasonOf, syncFolder, withFile, writeAll } from "./durable-files.ts";
import type { Segment } from "./segment.ts";

export type DamageDesk = ReturnType<typeof createDamageDesk>;
type Span = { readonly start: number; readonly end: number };
type File = Pick<Segment, "home" | "name" | "path">;
const { O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } = constants;

/**
 * Bytes that `damaged/` holds at most. Beyond that damage stays where it is, in the spool's own files and so within the
 * spool's own bound, until an operator has looked and made room.
 */
export const damagedBytesMax = 256 * 1_048_576;

export function createDamageDesk(folder: string, log: Log) {
  const damagedFolder = join(folder, "damaged");
  let damaged = 0;
  let cutBytes = 0;

  /** Throws where `more` bytes would be too many. */
  async function requireRoom(more: number): Promise<void> {
    await makeFolder(damagedFolder);
    let held = more;
    for (const name of await readdir(damagedFolder)) held += (await stat(join(damagedFolder, name))).size;
    if (held > damagedBytesMax) throw new Error("the folder holds all that it may: look at it and make room");
  }

  /** Copies a stretch. The name follows from the place, so that a second look at the same damage makes no second copy. */
  async function save({ home, name }: File, { start }: Span, bytes: Uint8Array): Promise<boolean> {
    try {
      await requireRoom(bytes.length);
      const path = join(damagedFolder, `${home.name}-${name}-${start}`);
      await withFile(open(path, O_CREAT | O_TRUNC | O_WRONLY | O_NOFOLLOW, 0o600), async (copy) => {
        await writeAll(copy, bytes, 0);
        await copy.sync();
      });
      await syncFolder(damagedFolder);
      return true;
    } catch {
      return false;
    }
  }

  return {
    counts: () => ({ damaged, cutBytes }),
    save,

    /** A stretch of a segment cannot be read as records; `bytes` is what stands there. Said once a place. */
    async report(segment: Segment, span: Span, bytes: Uint8Array): Promise<void> {
      if (segment.damage.has(span.start)) return;
      segment.damage.add(span.start);
      damaged += 1;
      const saved = await save(segment, span, bytes);
      if (!saved) segment.unsaved.push({ start: span.start, end: span.end });
      log.error(`Spool record damaged: ${saved ? "copied to" : "cannot be copied yet to"} ${damagedFolder}`, "Spool", {
        path: segment.path,
        ...span,
      });
    },

    /** A whole file cannot be read: it moves out of the way, `records` with it. Answers whether it could be moved. */
    async setAside(file: File, why: string, records: number): Promise<boolean> {
      damaged += records;
      let failure: string | null = null;
      try {
        await requireRoom((await stat(file.path)).size);
        await rename(file.path, join(damagedFolder, `${file.home.name}-${file.name}`));
        await syncFolder(damagedFolder);
        await syncFolder(dirname(file.path));
      } catch (error) {
        failure = reasonOf(error);
      }
      const where = failure === null ? `moved to ${damagedFolder}` : `cannot be moved: ${failure}`;
      log.error(`Spool file unreadable (${why}): ${where}`, "Spool", { path: file.path, records });
      return failure === null;
    },

    /** A crash cut a write short; what was cut had not been acknowledged. */
    noteCut(path: string, bytes: number): void {
      cutBytes += bytes;
      log.warn(`Spool file cut at its last whole record: ${bytes} bytes of an unfinished write`, "Spool", {
        path,
        bytes,
      });
    },
  };
}
