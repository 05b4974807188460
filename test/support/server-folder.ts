/**
 * Where a test server lives and dies: a fresh temporary folder, owned by an account that is not root, and a
 * watchdog that ends everything in that folder when this process ends, however it ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { chownSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type Account = { readonly uid: number; readonly gid: number };

/** Postgres refuses to run as root, and Redis has no need to: null where we are not root and may run them ourselves. */
export function findServerAccount(): Account | null {
  if (process.getuid?.() !== 0) return null;
  const lines = readFileSync("/etc/passwd", "utf8").split("\n");
  for (const name of ["nobody", "postgres"]) {
    const [, , uid, gid] = lines.find((line) => line.startsWith(`${name}:`))?.split(":") ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error("Cannot run a server for tests: we are root and this machine has no account nobody or postgres.");
}

/** Makes `<temporary folder>/social-sync-<name>-XXXXXX`, mode 0700, for `account`. */
export function createServerFolder(name: string, account: Account | null, under?: string): string {
  // Root's own TMPDIR may be closed to the account; a socket's path may have 107 bytes only.
  const parent = under ?? (account === null ? tmpdir() : "/tmp");
  const folder = mkdtempSync(join(realpathSync(parent), `social-sync-${name}-`));
  if (account !== null) chownSync(folder, account.uid, account.gid);
  return folder;
}

/** The processes whose working folder is `folder` or lies inside it. Empty where the system has no /proc. */
export function listProcessesIn(folder: string): number[] {
  return readProc().filter((pid) => {
    try {
      return `${readlinkSync(`/proc/${pid}/cwd`)}/`.startsWith(`${folder}/`);
    } catch {
      return false; // Gone meanwhile, or not ours to look at.
    }
  });
}

function readProc(): number[] {
  try {
    return readdirSync("/proc").map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

/**
 * Reads its standard input until the other end closes, which the kernel does when this process ends, even by
 * SIGKILL. Then it ends whatever works in the folder, first politely, after 5 s by force, and removes the folder.
 * It finds its prey by the working folder, never by a remembered pid, so that it can hit nothing else.
 */
const watchdogScript = `
trap '' INT TERM HUP
read -r line
list() {
  if [ -d /proc/self ]; then
    for entry in /proc/[0-9]*; do
      case "$(readlink "$entry/cwd" 2>/dev/null)/" in "$FOLDER"/*) echo "\${entry#/proc/}";; esac
    done
  else
    ps -A -o pid=,args= | grep -F -- "$FOLDER" | while read -r pid rest; do
      case "$rest" in grep*) ;; *) echo "$pid";; esac
    done
  fi
}
all() { for pid in $(list); do kill "-$1" "$pid" 2>/dev/null; done; }
all CONT; all "$SIGNAL"
count=0
while [ -n "$(list)" ] && [ "$count" -lt 50 ]; do sleep 0.1; count=$((count + 1)); done
all KILL
rm -rf -- "$FOLDER"
`;

/** Held here, as the end of a pipe that is collected as garbage is closed, and the watchdog would act. */
const watchdogs = new Set<ChildProcess>();

export type Watchdog = { release: () => Promise<void> };

/** Starts the watchdog of `folder`; it sends `signal` first. `release()` lets it act now and waits for it. */
export function startWatchdog(folder: string, signal: "QUIT" | "TERM"): Watchdog {
  const child = spawn("/bin/sh", ["-c", watchdogScript], {
    cwd: "/",
    detached: true, // A group of its own: what kills ours (Ctrl-C, a time-out) must not kill it.
    env: { PATH: process.env.PATH ?? "/usr/bin:/bin", FOLDER: folder, SIGNAL: signal },
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.unref();
  watchdogs.add(child);
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    release: async () => {
      child.ref();
      child.stdin?.end();
      await exited;
      watchdogs.delete(child);
    },
  };
}
