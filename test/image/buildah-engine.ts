/**
 * The image check on a Debian without a Docker engine, as root: buildah builds with chroot isolation, and a container is
 * the built root file system in namespaces of its own, read-only, under the image's own user and environment.
 */
import { spawn } from "node:child_process";
import { chownSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitUntil } from "../support/bounded-wait.ts";
import { canInstallDebianPackages, installDebianPackages } from "../support/debian-packages.ts";
import { createBaseImages } from "./base-images.ts";
import {
  type ImageConfig,
  type ImageEngine,
  imageName,
  mustRun,
  type RunOptions,
  runProgram,
  shells,
  stopTimeoutMs,
} from "./engine.ts";

const buildTimeoutMs = 15 * 60_000; // About 10 s once the base images stand.
const appearTimeoutMs = 10_000; // From the start of the namespaces to the program inside.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Gives up the root's writes and its shell, and becomes the program, process 1 of its namespace; with root its capabilities go. */
const enterScript = `
set -eu
root=$1 data=$2 user=$3 shells=$4; shift 4
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero random urandom; do touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
mount -t proc proc "$root/proc"
mount --bind "$data" "$root/data"
for shell in $shells; do mount --bind /dev/null "$root$shell"; done
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot --userspec="$user" "$root" "$@"
`;

/** Installs buildah and debootstrap where they are missing. Throws where this machine cannot do it. */
export async function openBuildahEngine(root: string): Promise<ImageEngine> {
  const missing = ["buildah", "debootstrap"].filter((name) => Bun.which(name) === null);
  if (process.getuid?.() !== 0 || (missing.length > 0 && !canInstallDebianPackages())) {
    throw new Error(
      "Cannot check the image: this needs a Docker engine, or root on Debian with buildah and debootstrap.",
    );
  }
  if (missing.length > 0) installDebianPackages(missing);
  const cache = join(tmpdir(), "social-sync-image-cache"); // Survives the run: the base images take a minute.
  const storage = ["--root", join(cache, "storage"), "--runroot", join(cache, "run"), "--storage-driver", "vfs"];
  const buildah = ["buildah", ...storage];
  const work = mkdtempSync(join(tmpdir(), "social-sync-image-"));
  const data = join(work, "data");
  let container: string | null = null;
  let mounted = "";
  let config: ImageConfig | null = null;

  const build = async () => {
    await createBaseImages(root, cache, buildah);
    const packages = await mustRun("find Bun's package cache", [process.execPath, "pm", "cache"]);
    await mustRun("fill Bun's package cache", [process.execPath, "install", "--frozen-lockfile"]);
    const flags = ["--isolation", "chroot", "--format", "docker", "--pull-never", "--tag", imageName];
    // The packages come from this machine's own cache: the build stage may reach no registry from inside.
    const volume = ["--volume", `${packages}:/root/.bun/install/cache:rw`];
    await mustRun("build the image", [...buildah, "build", ...flags, ...volume, root], buildTimeoutMs);
    config = readImageConfig(await mustRun("read the image", [...buildah, "inspect", "--type", "image", imageName]));
    container = await mustRun("make a container", [...buildah, "from", "--pull-never", imageName]);
    mounted = await mustRun("open the container's files", [...buildah, "mount", container]);
    // A new named volume starts as a copy of what the image has there, with its owner.
    await mustRun("make the data volume", ["cp", "-a", join(mounted, "data"), data]);
    const { uid, gid } = statSync(join(mounted, "data"));
    chownSync(data, uid, gid);
  };
  const requireConfig = (): ImageConfig => {
    if (config === null) throw new Error("Cannot read the image: it was not built.");
    return config;
  };
  /** The command line of a container, `args` being whole with its program. */
  const enter = (args: readonly string[], { env = {} }: RunOptions) => {
    const { env: imageEnv, user } = requireConfig();
    const fixed = Object.fromEntries(imageEnv.map((line) => [line.split("=")[0] ?? "", line.replace(/^[^=]*=/, "")]));
    const variables: Record<string, string> = { PATH: defaultPath, HOME: "/", ...fixed, ...env };
    return {
      command: [
        "unshare",
        "--mount",
        "--pid",
        "--uts",
        "--ipc",
        "--fork",
        "--kill-child=KILL",
        "sh",
        "-c",
        enterScript,
      ].concat(["sh", mounted, data, user, shells.join(" ")], args),
      env: variables,
    };
  };
  const run = (args: readonly string[], options: RunOptions) => {
    const { command, env } = enter(args, options);
    return runProgram(command, { env });
  };

  return {
    name: "buildah",
    build,
    readConfig: async () => requireConfig(),
    listFiles: async (folder) =>
      (await mustRun("list the image's files", ["find", join(mounted, folder), "-printf", `${folder}/%P\\n`]))
        .split("\n")
        .sort(),
    listData: async () => readdirSync(data).sort(),
    run: (args, options = {}) => run([...requireConfig().entrypoint, ...args], options),
    start: async (args, options = {}) => {
      const { command, env } = enter([...requireConfig().entrypoint, ...args], options);
      const logFile = join(work, `${crypto.randomUUID()}.log`);
      const log = openSync(logFile, "a");
      const [program = "", ...rest] = command;
      const child = spawn(program, rest, { detached: true, env, stdio: ["ignore", log, log] });
      const ended = () => child.exitCode !== null || child.signalCode !== null;
      /** The process that is number 1 inside, as this machine counts. */
      const readPid = (): number | null => {
        try {
          const pid = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim());
          return pid > 0 && readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("social-sync") ? pid : null;
        } catch {
          return null;
        }
      };
      await waitUntil(
        () => ended() || readPid() !== null,
        appearTimeoutMs,
        "Cannot start the container: nothing runs in it",
      );
      return {
        readProcess: async () => {
          const pid = readPid();
          if (pid === null)
            throw new Error(`Cannot look at the process: it has ended.\n${readFileSync(logFile, "utf8")}`);
          const uids = /^Uid:\s+(\d+)\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
          const rootMount = readFileSync(`/proc/${pid}/mounts`, "utf8")
            .split("\n")
            .find((line) => line.split(" ")[1] === "/");
          const rootIsReadOnly = rootMount?.split(" ")[3]?.split(",").includes("ro") ?? false;
          return { uid: Number(uids?.[2]), rootIsReadOnly };
        },
        exec: (args) => run(args, options),
        readOutput: async () => readFileSync(logFile, "utf8"),
        stop: async () => {
          const pid = readPid();
          if (pid !== null) process.kill(pid, "SIGTERM");
          try {
            await waitUntil(ended, stopTimeoutMs, "Cannot stop the container: it has not ended");
          } catch {
            child.kill("SIGKILL");
            return null;
          }
          return child.exitCode;
        },
        [Symbol.asyncDispose]: async () => {
          if (!ended()) child.kill("SIGKILL"); // Takes everything inside with it (--kill-child).
        },
      };
    },
    [Symbol.asyncDispose]: async () => {
      if (container !== null) await runProgram([...buildah, "rm", container]);
      await runProgram([...buildah, "rmi", imageName]);
      await runProgram([...buildah, "rmi", "--prune"]);
      rmSync(work, { recursive: true, force: true });
    },
  };
}

function readImageConfig(text: string): ImageConfig {
  const { config } = (JSON.parse(text) as { Docker: { config: Record<string, unknown> } }).Docker;
  const list = (value: unknown) => (Array.isArray(value) ? value.map(String) : []);
  const healthcheck = config.Healthcheck as { Test?: unknown } | null | undefined;
  return {
    user: String(config.User ?? ""),
    env: list(config.Env),
    entrypoint: list(config.Entrypoint),
    command: list(config.Cmd),
    healthcheck: list(healthcheck?.Test),
    volumes: Object.keys((config.Volumes as Record<string, unknown> | null) ?? {}),
  };
}
