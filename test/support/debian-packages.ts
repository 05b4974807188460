/** Installs Debian packages for tests without starting a service or making a database cluster on the way. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

const installTimeoutMs = 600_000; // Lists and 60 MB of packages over a slow line.
const lockTimeoutSeconds = 120; // Another engineer's apt may hold the lock.

const mark = "social-sync tests";
/** Files that keep quiet what a package would start; each is made where there is none and removed afterwards. */
const quietFiles = [
  // Asked by every package's script before it starts a service: 101 means "forbidden".
  { path: "/usr/sbin/policy-rc.d", text: `#!/bin/sh\n# ${mark}\nexit 101\n`, mode: 0o755 },
  {
    path: "/etc/postgresql-common/createcluster.d/social-sync-tests.conf",
    text: `# ${mark}\ncreate_main_cluster = false\n`,
    mode: 0o644,
  },
];

/** Whether `installDebianPackages()` can work here: root on a machine with apt. */
export function canInstallDebianPackages(): boolean {
  return process.getuid?.() === 0 && Bun.which("apt-get") !== null && existsSync("/etc/debian_version");
}

/** Installs `names` with apt. Throws with the end of apt's output where that fails. */
export function installDebianPackages(names: readonly string[]): void {
  const made = quietFiles.filter(({ path }) => !existsSync(path));
  for (const { path, text, mode } of made) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode });
  }
  try {
    const options = ["-o", `DPkg::Lock::Timeout=${lockTimeoutSeconds}`, "-o", "Dpkg::Use-Pty=0", "-q"];
    runApt([...options, "update"]);
    runApt([...options, "install", "-y", "--no-install-recommends", ...names]);
  } finally {
    for (const { path } of made) if (isOurs(path)) rmSync(path);
  }
}

function isOurs(path: string): boolean {
  return existsSync(path) && readFileSync(path, "utf8").includes(mark);
}

function runApt(args: readonly string[]): void {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["apt-get", ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    stdin: "ignore",
    timeout: installTimeoutMs,
  });
  if (exitCode === 0) return;
  const output = `${stdout}${stderr}`.trim().split("\n").slice(-10).join("\n");
  throw new Error(`Cannot install ${args.slice(-1)[0]} with apt-get: it ended with ${exitCode}.\n${output}`);
}
