/** What the check needs of a container engine; docker-engine.ts and buildah-engine.ts are the two we have. */

export type ImageConfig = {
  readonly user: string;
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
  readonly volumes: readonly string[];
};

export type RunEnd = { readonly exitCode: number | null; readonly stdout: string; readonly stderr: string };

export type RunningContainer = AsyncDisposable & {
  /** The numeric user and whether the root file system refuses writes, as the kernel sees the running process. */
  readProcess: () => Promise<{ readonly uid: number; readonly rootIsReadOnly: boolean }>;
  /** Runs a command inside, such as the health check. */
  exec: (command: readonly string[]) => Promise<RunEnd>;
  /** What it has printed so far. */
  readOutput: () => Promise<string>;
  /** SIGTERM, then its exit code; null where it did not end in time and was killed. */
  stop: () => Promise<number | null>;
};

export type RunOptions = { readonly env?: Readonly<Record<string, string>> };

/** Containers run read-only, without privileges, without a shell that works, over one data volume. */
export type ImageEngine = AsyncDisposable & {
  readonly name: string;
  build: () => Promise<void>;
  readConfig: () => Promise<ImageConfig>;
  /** Every path of the image under `folder`, sorted. */
  listFiles: (folder: string) => Promise<readonly string[]>;
  /** What lies in the data volume, sorted, one level deep. */
  listData: () => Promise<readonly string[]>;
  run: (args: readonly string[], options?: RunOptions) => Promise<RunEnd>;
  start: (args: readonly string[], options?: RunOptions) => Promise<RunningContainer>;
};

export const imageName = "social-sync:check";
export const stopTimeoutMs = 30_000; // The grace that compose.yaml gives.
export const shells = ["/usr/bin/dash", "/usr/bin/bash"]; // Covered with /dev/null while a container runs.
const commandTimeoutMs = 120_000; // A container's short command; PGlite's first start is the longest at about 5 s.

/** Runs a program of this machine and answers how it ended; never throws for its exit code. */
export async function runProgram(
  command: readonly string[],
  options: { readonly timeoutMs?: number; readonly env?: Record<string, string | undefined> } = {},
): Promise<RunEnd> {
  const child = Bun.spawn([...command], {
    env: options.env ?? process.env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: options.timeoutMs ?? commandTimeoutMs,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  return { exitCode: child.exitCode, stdout, stderr };
}

/** As `runProgram()`, but throws a sentence with the end of the output where it fails; answers its trimmed output. */
export async function mustRun(action: string, command: readonly string[], timeoutMs?: number): Promise<string> {
  const { exitCode, stdout, stderr } = await runProgram(command, timeoutMs === undefined ? {} : { timeoutMs });
  if (exitCode === 0) return stdout.trim();
  const end = `${stdout}\n${stderr}`.trim().split("\n").slice(-25).join("\n");
  throw new Error(`Cannot ${action}: ${command[0]} ended with ${exitCode}.\n${end}`);
}
