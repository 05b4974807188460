/** File calls that are over only when the disk has it. They reject with what the system said (`code`: ENOSPC, EIO, …). */
import { constants } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";

/** Makes what was created, renamed or removed inside `path` outlive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Makes a folder and those above it where they are missing, for its owner alone, and makes the names durable. */
export async function makeFolder(path: string): Promise<void> {
  const highest = await mkdir(path, { recursive: true, mode: 0o700 });
  if (highest === undefined) return;
  for (let made = path; made.length >= highest.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** Writes all of `bytes` at `position`: one call may write less than it was given. */
export async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** Reads from `start` up to `end`, or up to the end of the file where that comes first. */
export async function readSpan(file: FileHandle, start: number, end: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(Math.max(0, end - start));
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, start + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

/** Opens a file for reading. A symlink is refused (ELOOP): the spool makes none. */
export const openToRead = (path: string) => open(path, constants.O_RDONLY | constants.O_NOFOLLOW);

/** Runs `use` on an open file and closes it whatever comes. */
export async function withFile<T>(opening: Promise<FileHandle>, use: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await opening;
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

/** The system's word for what went wrong, for a sentence: the code, else the message. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error ? String(error.code) : error.message;
}

/** The process lacks something just now; the file itself may be whole, so nothing may be concluded about it. */
export const isPassing = (error: unknown) =>
  ["EMFILE", "ENFILE", "ENOMEM", "EAGAIN", "EINTR", "EBUSY"].includes(reasonOf(error));
