/**
 * Stand-ins for the images that the Dockerfile names, for machines that reach Debian's packages but no image registry:
 * a minimal Debian by debootstrap, and the same with the Bun that runs us. Made once and kept in the cache folder.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { mustRun } from "./engine.ts";

const debootstrapTimeoutMs = 15 * 60_000; // About 30 s; minutes over a slow line.
const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Makes every image that `FROM` lines of the Dockerfile name, under exactly that name, unless it is there already. */
export async function createBaseImages(root: string, cache: string, buildah: readonly string[]): Promise<void> {
  const dockerfile = readFileSync(join(root, "Dockerfile"), "utf8");
  const names = new Set([...dockerfile.matchAll(/^FROM\s+(\S+)/gm)].map(([, name]) => name ?? ""));
  for (const name of names) {
    const has = Bun.spawnSync([...buildah, "inspect", "--type", "image", name]).exitCode === 0;
    if (!has) await createBaseImage(name, cache, buildah);
  }
}

async function createBaseImage(name: string, cache: string, buildah: readonly string[]): Promise<void> {
  const debian = /^debian:(\w+)-slim$/.exec(name);
  const bun = /^oven\/bun:([\d.]+)$/.exec(name);
  if (debian === null && bun === null)
    throw new Error(`Cannot stand in for the image ${name}: only Debian and Bun are known.`);
  if (bun !== null && bun[1] !== Bun.version) {
    throw new Error(
      `Cannot stand in for the image ${name}: this is Bun ${Bun.version}; run it as npx --yes bun@${bun[1]}.`,
    );
  }
  const rootFolder = await createDebianFolder(debian?.[1] ?? "bookworm", cache);
  const run = (...args: string[]) =>
    mustRun(`make a stand-in for ${name}`, [...buildah, ...args], debootstrapTimeoutMs);
  const container = await run("from", "scratch");
  try {
    await run("copy", container, rootFolder, "/");
    if (bun !== null) {
      await run("copy", "--chmod", "0755", container, process.execPath, "/usr/local/bin/bun");
    }
    await run("config", "--env", path, container);
    await run("commit", "--format", "docker", container, fullName(name));
  } finally {
    await run("rm", container);
  }
}

/** The name under which an engine would have pulled it. */
export function fullName(name: string): string {
  return `docker.io/${name.includes("/") ? name : `library/${name}`}`;
}

async function createDebianFolder(suite: string, cache: string): Promise<string> {
  const folder = join(cache, `debian-${suite}`);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  const command = ["debootstrap", "--variant=minbase", suite, unfinished];
  await mustRun(`make a minimal Debian ${suite}`, command, debootstrapTimeoutMs);
  for (const dropped of ["var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"]) {
    rmSync(join(unfinished, dropped), { recursive: true, force: true });
  }
  if (existsSync("/etc/resolv.conf")) copyFileSync("/etc/resolv.conf", join(unfinished, "etc/resolv.conf"));
  renameSync(unfinished, folder);
  return folder;
}
