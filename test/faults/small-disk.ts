/**
 * A small file system to fill up.
 *
 *   await using disk = openSmallDisk("spool", 4);      // MB; disk.path is its root, open to every account
 *   disk.fill(); …; disk.empty();                        // a ballast file that takes all that is left, and its removal
 */
import { closeSync, mkdtempSync, openSync, readFileSync, rmdirSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const commandMsMax = 10_000;
const umountTries = 50; // Processes that end let go of their files a moment later.
const umountPauseMs = 100;
const ballastName = "ballast";
/** Steps of the ballast, the last ones small: what a page or a record needs must not be left. */
const ballastSteps = [1024 * 1024, 64 * 1024, 4096, 1];
const prefix = "social-sync-disk-";

export type SmallDisk = ReturnType<typeof openSmallDisk>;

/** Mounts a tmpfs of `megabytes`. Throws where this account may not mount. Disposing unmounts it. */
export function openSmallDisk(name: string, megabytes: number) {
  removeLeftovers();
  // The harness's own process stands in the name, so that a later run can tell what a killed one left behind.
  const path = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-${name}-`));
  const said = run(["mount", "-t", "tmpfs", "-o", `size=${megabytes}m,mode=1777`, "tmpfs", path]);
  if (said !== null) {
    rmdirSync(path);
    throw new Error(
      `Cannot mount a small disk for the fault harness: ${said}. Run it as root, or in a container that may mount.`,
    );
  }
  const ballast = join(path, ballastName);
  return {
    path,
    /** Takes all that is left. */
    fill: (): void => {
      const file = openSync(ballast, "a", 0o600);
      try {
        for (const bytes of ballastSteps) while (append(file, Buffer.alloc(bytes, 1)));
      } finally {
        closeSync(file);
      }
    },
    empty: (): void => rmSync(ballast, { force: true }),
    [Symbol.asyncDispose]: async (): Promise<void> => {
      for (let tries = 1; run(["umount", path]) !== null; tries += 1) {
        if (tries === umountTries) {
          run(["umount", "-l", path]);
          break;
        }
        await Bun.sleep(umountPauseMs);
      }
      rmdirSync(path);
    },
  };
}

/** Answers whether all of it found room. */
function append(file: number, bytes: Uint8Array): boolean {
  try {
    return writeSync(file, bytes) === bytes.length;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOSPC") return false;
    throw error;
  }
}

/** Runs a command; null where it went well, else what it said. */
export function run(command: readonly string[]): string | null {
  const { exitCode, stderr } = Bun.spawnSync([...command], { stdin: "ignore", timeout: commandMsMax });
  return exitCode === 0 ? null : stderr.toString().trim() || `${command[0]} ended with ${exitCode}`;
}

/** Unmounts the disks of harness processes that are gone. */
function removeLeftovers(): void {
  for (const [, path = "", pid = ""] of readFileSync("/proc/mounts", "utf8").matchAll(leftover)) {
    if (isAlive(Number(pid)) || run(["umount", "-l", path]) !== null) continue;
    rmdirSync(path);
  }
}

const leftover = new RegExp(`^tmpfs (\\S+/${prefix}(\\d+)-\\S+) `, "gm");

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
