/** The image check on a machine with a Docker engine. */
import { type ImageEngine, imageName, mustRun, type RunOptions, runProgram, shells, stopTimeoutMs } from "./engine.ts";

const buildTimeoutMs = 15 * 60_000; // With the base images and packages still to be fetched.

/** Whether a Docker engine answers here. */
export async function hasDocker(): Promise<boolean> {
  if (Bun.which("docker") === null) return false;
  return (await runProgram(["docker", "info"], { timeoutMs: 10_000 })).exitCode === 0;
}

export function createDockerEngine(root: string): ImageEngine {
  const volume = `social-sync-check-${crypto.randomUUID()}`;
  const docker = (action: string, ...args: string[]) => mustRun(action, ["docker", ...args]);
  const flags = ({ env = {} }: RunOptions) => [
    ...["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--volume", `${volume}:/data`],
    ...shells.flatMap((shell) => ["--volume", `/dev/null:${shell}:ro`]),
    ...Object.entries(env).flatMap(([name, value]) => ["--env", `${name}=${value}`]),
  ];

  return {
    name: "docker",
    build: async () => {
      await mustRun("build the image", ["docker", "build", "--tag", imageName, root], buildTimeoutMs);
    },
    readConfig: async () => {
      const text = await docker("read the image", "image", "inspect", "--format", "{{json .Config}}", imageName);
      const config = JSON.parse(text) as Record<string, unknown>;
      const list = (value: unknown) => (Array.isArray(value) ? value.map(String) : []);
      const healthcheck = config.Healthcheck as { Test?: unknown } | undefined;
      return {
        user: String(config.User ?? ""),
        env: list(config.Env),
        entrypoint: list(config.Entrypoint),
        command: list(config.Cmd),
        healthcheck: list(healthcheck?.Test),
        volumes: Object.keys((config.Volumes as Record<string, unknown> | null) ?? {}),
      };
    },
    listFiles: async (folder) => {
      const args = ["run", "--rm", "--user", "0", "--entrypoint", "/usr/bin/find", imageName, folder];
      return (await docker("list the image's files", ...args)).split("\n").sort();
    },
    listData: async () => {
      const args = ["run", "--rm", "--user", "0", "--volume", `${volume}:/data`, "--entrypoint", "/usr/bin/ls"];
      return (await docker("list the volume", ...args, imageName, "-A", "/data")).split("\n").filter(Boolean).sort();
    },
    run: (args, options = {}) => runProgram(["docker", "run", "--rm", ...flags(options), imageName, ...args]),
    start: async (args, options = {}) => {
      const id = await docker("start the container", "run", "--detach", ...flags(options), imageName, ...args);
      return {
        readProcess: async () => {
          const format = "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}}";
          const [user, readOnly] = (await docker("inspect it", "inspect", "--format", format, id)).split(" ");
          return { uid: Number(user?.split(":")[0]), rootIsReadOnly: readOnly === "true" };
        },
        exec: (command) => runProgram(["docker", "exec", id, ...command]),
        readOutput: async () => {
          const { stdout, stderr } = await runProgram(["docker", "logs", id]);
          return stdout + stderr;
        },
        stop: async () => {
          await docker("stop it", "stop", "--time", String(stopTimeoutMs / 1000), id);
          const code = Number(await docker("inspect it", "inspect", "--format", "{{.State.ExitCode}}", id));
          return code === 137 ? null : code;
        },
        [Symbol.asyncDispose]: async () => {
          await runProgram(["docker", "rm", "--force", id]);
        },
      };
    },
    [Symbol.asyncDispose]: async () => {
      await runProgram(["docker", "volume", "rm", "--force", volume]);
    },
  };
}
