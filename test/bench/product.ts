/** The product as a process of its own, as an operator runs it: the compiled binary, else Bun on the sources. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SandboxAccount } from "../../src/sandbox/world.ts";
import { waitUntil } from "../support/bounded-wait.ts";
import { readMemoryBytes } from "./process-usage.ts";

const root = join(import.meta.dir, "../..");
const builtBinary = join(root, "dist/social-sync");
const startTimeoutMs = 30_000; // About 0.1 s; a first start migrates, and two cores may be busy.
const stopTimeoutMs = 26_000; // `serve` ends within 25 s of a SIGTERM.
const lookAtMemoryEveryMs = 25;
const commandTimeoutMs = 120_000; // The longest is the backfill of 5,000 people: seconds.

export const appSecret = "bench_app_secret";

export type Program = { readonly command: readonly string[]; readonly describe: string };

/** The binary of SOCIAL_SYNC_BINARY, else the built one where no source is newer, else `bun bin/social-sync.ts`. */
export function findProgram(): Program {
  const named = process.env.SOCIAL_SYNC_BINARY;
  if (named) return { command: [named], describe: "compiled binary of SOCIAL_SYNC_BINARY" };
  const builtMs = statSync(builtBinary, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const newestMs = Math.max(...["src", "bin", "sql"].map((folder) => newestIn(join(root, folder))));
  if (builtMs > newestMs) return { command: [builtBinary], describe: "compiled binary dist/social-sync" };
  const why = builtMs === 0 ? "not built" : "older than the sources";
  return {
    command: [process.execPath, join(root, "bin/social-sync.ts")],
    describe: `bun bin/social-sync.ts (dist/social-sync is ${why}: bun run build)`,
  };
}

function newestIn(folder: string): number {
  const times = readdirSync(folder, { recursive: true, encoding: "utf8" }).map(
    (name) => statSync(join(folder, name)).mtimeMs,
  );
  return Math.max(0, ...times);
}

export type ProductOptions = {
  readonly databaseUrl: string;
  readonly graphUrls: Readonly<Record<string, string>>;
  readonly settings?: Readonly<Record<string, string>>;
};

type RunOptions = { readonly timeoutMs?: number; readonly onSpawn?: (pid: number) => void };

/** One installation of the product: a data folder, settings and a database. Disposing removes the folder. */
export function openProduct(program: Program, { databaseUrl, graphUrls, settings = {} }: ProductOptions) {
  const folder = mkdtempSync(join(tmpdir(), "social-sync-bench-"));
  const env: Record<string, string> = {
    PATH: process.env.PATH ?? "",
    DATABASE_URL: databaseUrl,
    SOCIAL_SYNC_DATA_DIR: join(folder, "data"),
    META_APP_SECRET: appSecret,
    META_VERIFY_TOKEN: "bench_verify_token",
    ...graphUrls,
    ...settings,
  };

  /** Runs a command to its end. Throws where it does not end with 0. */
  const run = async (
    args: readonly string[],
    stdin = "",
    { timeoutMs = commandTimeoutMs, onSpawn }: RunOptions = {},
  ) => {
    const startedMs = performance.now();
    const child = Bun.spawn([...program.command, ...args], {
      cwd: folder,
      env,
      stdin: new Blob([stdin]),
      stdout: "ignore",
      stderr: Bun.file(join(folder, "command.log")),
      timeout: timeoutMs,
    });
    onSpawn?.(child.pid);
    // Not what the system tells of an ended child: that counts in what its parent held when it was started.
    let peakBytes = Number.NaN;
    const timer = setInterval(() => {
      try {
        peakBytes = readMemoryBytes(child.pid).peak || peakBytes; // one that is just ending tells none
      } catch {
        // It has ended since.
      }
    }, lookAtMemoryEveryMs);
    const exitCode = await child.exited;
    const wallMs = performance.now() - startedMs;
    clearInterval(timer);
    if (exitCode !== 0)
      throw new Error(`Cannot measure: social-sync ${args[0]} ended with ${exitCode}.\n${tailOf("command.log")}`);
    return { wallMs, usage: child.resourceUsage(), peakBytes };
  };

  const tailOf = (name: string) => readFileSync(join(folder, name), "utf8").slice(-2_000);

  /** Adds the sandbox's account by the product's own command. */
  const addAccount = ({ instagramId, login, pageId, token }: SandboxAccount) => {
    const page = pageId === null ? [] : ["--page-id", pageId];
    const args = ["accounts", "add", "--instagram-id", instagramId, "--login", login, ...page, "--token-file", "-"];
    return run(args, `${token}\n`);
  };

  /** Starts `serve`; its log goes to a file, as a service manager would take it. */
  const spawnServe = (port: number) =>
    Bun.spawn([...program.command, "serve", "--port", String(port)], {
      cwd: folder,
      env,
      stdin: "ignore",
      stdout: "ignore",
      stderr: Bun.file(join(folder, "serve.log")),
    });

  const startServe = async () => {
    const child = spawnServe(0);
    let port = 0;
    const isListening = () => {
      if (child.exitCode !== null) throw new Error(`Cannot measure: serve ended.\n${tailOf("serve.log")}`);
      port = Number(/listens on http:\/\/[^:]+:(\d+)/.exec(readFileSync(join(folder, "serve.log"), "utf8"))?.[1] ?? 0);
      return port !== 0;
    };
    try {
      await waitUntil(isListening, startTimeoutMs, "Cannot measure: serve does not listen");
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
    return { pid: child.pid, port, [Symbol.asyncDispose]: () => endChild(child) };
  };

  return {
    folder,
    run,
    addAccount,
    spawnServe,
    startServe,
    /** Lines of the daemon's log that hold `words`, so far. */
    countLogLines: (words: string) => readFileSync(join(folder, "serve.log"), "utf8").split(words).length - 1,
    [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Ends a process of ours as a service manager does. */
export async function endChild(child: Bun.Subprocess): Promise<void> {
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs);
  await child.exited;
  clearTimeout(timer);
}
