/**
 * A folder with the segments of one process, `<spool folder>/<id>/`. Its lock tells the living from the dead: whoever
 * holds it may touch what is inside, and nobody else.
 */
import { randomBytes } from "node:crypto";
import { access, open, readdir, rename, rm, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { lockFile } from "../lib/lock-file.ts";
import { makeFolder, reasonOf, syncFolder } from "./durable-files.ts";

export type Home = {
  readonly name: string;
  readonly path: string;
  readonly own: boolean;
  readonly lock: { close(): void };
};

const lockName = "lock.db";
/** SQLite's companion of an open transaction; its death leaves it behind, empty. */
const lockNames = [lockName, `${lockName}-journal`];
const homeName = /^[0-9a-f]{32}$/;
/** A home that has no name yet: its maker gives it one within some ms, or has died. */
const unbornPrefix = ".new-";
const isUnborn = (name: string) => name.startsWith(unbornPrefix) && homeName.test(name.slice(unbornPrefix.length));
const segmentName = /^[0-9]{12}\.spool$/;

/**
 * Makes and locks a folder for this process, and makes `folder` too where it is missing. It gets its name only once it
 * is locked, so no other process finds it unlocked. Rejects with the system's error, and then leaves nothing behind.
 */
export async function makeHome(folder: string): Promise<Home> {
  await makeFolder(folder);
  const name = randomBytes(16).toString("hex");
  const unborn = join(folder, `${unbornPrefix}${name}`);
  const path = join(folder, name);
  await makeFolder(unborn);
  let lock: Home["lock"] | null = null;
  try {
    await (await open(join(unborn, lockName), "wx", 0o600)).close();
    lock = lockFile(join(unborn, lockName));
    if (lock === null) throw new Error("another process took the new folder's lock");
    await rename(unborn, path);
    await syncFolder(folder);
    return { name, path, own: true, lock };
  } catch (error) {
    for (const made of [unborn, path]) await rm(made, { recursive: true, force: true }).catch(() => {});
    lock?.close();
    throw error;
  }
}

/** Names of the folders of all processes, living and dead. Anything else in `folder`, symlinks too, is not ours. */
export async function listHomes(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory() && homeName.test(entry.name)).map(({ name }) => name);
}

/**
 * Removes what makers left behind who died before their home had a name. `before` is what the look before this one
 * answered, some time ago: of what is new since then nobody can tell yet whether its maker lives. Answers what is left.
 */
export async function removeUnborn(folder: string, before: ReadonlySet<string>): Promise<ReadonlySet<string>> {
  const entries = await readdir(folder, { withFileTypes: true });
  const left = new Set<string>();
  for (const name of entries.filter((entry) => entry.isDirectory() && isUnborn(entry.name)).map((entry) => entry.name))
    if (!before.has(name) || !(await removeLeft(folder, name))) left.add(name);
  return left;
}

async function removeLeft(folder: string, name: string): Promise<boolean> {
  const inside = await readdir(join(folder, name)).catch(() => null);
  if (inside === null || !inside.every((one) => lockNames.includes(one))) return false;
  const home = await claimHome(folder, name);
  if (home === null) return false;
  if (await removeHome(home)) return true;
  home.lock.close();
  return false;
}

/** Takes the folder of a process that is gone. Null: its owner lives, another was faster, or it cannot be locked. */
export async function claimHome(folder: string, name: string): Promise<Home | null> {
  const path = join(folder, name);
  let lock: Home["lock"] | null;
  try {
    lock = lockFile(join(path, lockName));
  } catch {
    return null; // removed by another, or not ours to open
  }
  if (lock === null) return null;
  // Another may have emptied and removed it between our look and our lock: then ours is on a file without a name.
  const stands = await access(join(path, lockName)).then(
    () => true,
    () => false,
  );
  if (stands) return { name, path, own: false, lock };
  lock.close();
  return null;
}

/** Names of a home's segments, oldest first. Symlinks and names that are not ours are left out. */
export async function listSegments(home: Home): Promise<string[]> {
  const entries = await readdir(home.path, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && segmentName.test(entry.name))
    .map(({ name }) => name)
    .sort();
}

export const nameSegment = (sequence: number) => `${String(sequence).padStart(12, "0")}.spool`;

/** Removes a home that holds nothing but its lock, and frees the lock. Answers false where something is left in it. */
export async function removeHome(home: Home): Promise<boolean> {
  try {
    const names = await readdir(home.path);
    if (!names.every((name) => lockNames.includes(name))) return false;
    for (const name of names) await unlink(join(home.path, name));
    await rmdir(home.path);
  } catch (error) {
    if (reasonOf(error) !== "ENOENT") return false;
  }
  home.lock.close();
  return true;
}
