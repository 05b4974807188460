/**
 * The gate, the same at the desk and in CI: `bun run check [--seed N]`. Installs, checks types, lint and format, starts
 * a real Postgres and Redis, compiles the binary, runs every test in random order. The last line is
 * `N passed, N failed`: tests, and each failed step as one more failure. Exit code 0 only where nothing failed.
 *
 * It runs before anything is installed, so it imports what needs packages only after the install.
 */
import { existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { type CommandOptions, readTestCounts, runCommand } from "./gate-step.ts";

// It takes some 14 minutes on two cores, and is to stay under 20. The bound is against a hang: a shared machine can be half as fast.
const gateTimeoutMs = 40 * 60_000;
const installTimeoutMs = 5 * 60_000; // 150 MB of packages over a slow line.
const typesTimeoutMs = 3 * 60_000; // About 3 s; a cold disk and a second gate beside it take longer.
const lintTimeoutMs = 2 * 60_000; // About 1 s.
const servicesTimeoutMs = 10 * 60_000; // About 2 s; minutes where Debian's packages must be fetched first.
const buildTimeoutMs = 3 * 60_000; // About 2 s.
const startTimeoutMs = 30_000; // The binary says its version: about 20 ms.
const testsTimeoutMs = 2_320_000; // What the others, a minute at most, leave of the gate's own limit.

const root = resolve(import.meta.dir, "../..");
const binary = join(root, "dist/social-sync");
const testTimeoutMs = 30_000; // One test, unless it names its own. Bun reads no such setting from bunfig.toml.
const seedMax = 2 ** 31; // Bun takes 32 bits.

async function main(args: readonly string[]): Promise<number> {
  const seed = readSeed(args);
  if (seed === null) {
    process.stderr.write("Cannot read the arguments: the accepted form is `bun run check [--seed <whole number>]`.\n");
    return 1;
  }
  process.chdir(root);
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  const folder = mkdtempSync(join(tmpdir(), "social-sync-check-"));
  try {
    return await runGate({ seed, folder, signal: interrupted.signal });
  } finally {
    rmSync(folder, { recursive: true, force: true });
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}

type Gate = { readonly seed: number; readonly folder: string; readonly signal: AbortSignal };

async function runGate({ seed, folder, signal }: Gate): Promise<number> {
  const startedMs = performance.now();
  const failures: string[] = [];
  const env = { ...process.env, ...findBunOnPath(folder) } as Record<string, string>;

  /** Runs one step under its bound and the gate's own; answers what it gave. Null is one more failure. */
  const step = async <T>(title: string, timeoutMs: number, run: (timeoutMs: number) => Promise<T | null>) => {
    const stepStartedMs = performance.now();
    process.stdout.write(`\n== ${title}\n`);
    const leftMs = Math.max(1, gateTimeoutMs - (stepStartedMs - startedMs));
    let result: T | null = null;
    try {
      if (!signal.aborted) result = await run(Math.min(timeoutMs, leftMs));
    } catch (error) {
      process.stdout.write(`${error instanceof Error ? error.message : error}\n`);
    }
    const seconds = ((performance.now() - stepStartedMs) / 1000).toFixed(1);
    if (result === null) failures.push(title);
    process.stdout.write(`== ${title}: ${result === null || result === false ? "FAILED" : "ok"} after ${seconds} s\n`);
    return result;
  };
  const command = (title: string, timeoutMs: number, line: readonly [string, ...string[]]) =>
    step(title, timeoutMs, async (ms) => {
      // Biome colours its words wherever CI is set.
      const { exitCode } = await runCommand(line, { timeoutMs: ms, env: { ...env, NO_COLOR: "1" }, signal });
      if (exitCode === null) process.stdout.write(`Cannot finish ${title}: it was stopped, its limit is ${ms} ms.\n`);
      return exitCode === 0 ? true : null;
    });

  let counts = { passed: 0, failed: 0 };
  if (await command("install", installTimeoutMs, [process.execPath, "install", "--frozen-lockfile"])) {
    await command("types", typesTimeoutMs, [process.execPath, "run", "types"]);
    await command("lint and format", lintTimeoutMs, [process.execPath, "run", "lint"]);
    await using cleanup = new AsyncDisposableStack();
    const urls = await step("services", servicesTimeoutMs, async (ms) => {
      const { withDeadline } = await import("./bounded-wait.ts");
      return await withDeadline(openServices(cleanup), ms, "Cannot start Postgres and Redis: they are not ready");
    });
    rmSync(binary, { force: true }); // A failed build may leave a broken one behind.
    const built =
      (await command("build", buildTimeoutMs, [process.execPath, "run", "build"])) &&
      (await command("binary starts", startTimeoutMs, [binary, "version"]));
    if (urls !== null) {
      Object.assign(env, urls, built ? { SOCIAL_SYNC_BINARY: binary } : {});
      await step(`tests (again with: bun run check --seed ${seed})`, testsTimeoutMs, async (timeoutMs) => {
        const tests = await runTests({ seed, timeoutMs, env, signal });
        counts = tests.counts;
        if (tests.allPassed) return true;
        return counts.failed > 0 ? false : null; // One more failure only where no test says why.
      });
    }
  }

  const failed = counts.failed + failures.length;
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
  process.stdout.write(`\n${seconds} s, seed ${seed}`);
  process.stdout.write(failures.length > 0 ? `; failed steps: ${failures.join(", ")}\n` : "\n");
  process.stdout.write(`${counts.passed} passed, ${failed} failed\n`);
  return failed === 0 && counts.passed > 0 ? 0 : 1;
}

/**
 * Runs every test file, in two halves side by side: the fault scenarios wait most of their time, and take about as long as
 * all others together. What the scenarios print comes when both have ended.
 */
async function runTests({ seed, ...options }: Omit<CommandOptions, "print"> & { readonly seed: number }) {
  const scenarios = "./test/faults/faults.test.ts";
  const files = [...new Bun.Glob("test/**/*.test.{ts,tsx}").scanSync(root)].map((path) => `./${path}`);
  const line = [process.execPath, "test", "--randomize", "--seed", `${seed}`, "--timeout", `${testTimeoutMs}`] as const;
  const held: Buffer[] = [];
  const halves = await Promise.all([
    runCommand([...line, ...files.filter((path) => path !== scenarios)], options),
    runCommand([...line, scenarios], { ...options, print: (bytes) => held.push(bytes) }),
  ]);
  process.stdout.write(Buffer.concat(held));
  const counted = halves.map(({ tail }) => readTestCounts(tail));
  const isIdle = counted.some(({ passed, failed }) => passed + failed === 0);
  if (halves.some(({ exitCode }) => exitCode === null))
    process.stdout.write(`Cannot finish the tests: they were stopped after ${options.timeoutMs} ms.\n`);
  if (isIdle) process.stdout.write("Cannot call this a pass: of one half of the tests none ran.\n");
  const sum = (of: "passed" | "failed") => counted.reduce((total, counts) => total + counts[of], 0);
  const allPassed = halves.every(({ exitCode }) => exitCode === 0) && !isIdle;
  return { counts: { passed: sum("passed"), failed: sum("failed") }, allPassed };
}

/** The servers that the caller named, or our own for this run. */
async function openServices(cleanup: AsyncDisposableStack): Promise<Record<string, string>> {
  const { openPostgres, openRedis } = await import("./services.ts");
  const { namedPostgres, namedRedis } = await import("./test-services.ts");
  const databaseUrl = (await namedPostgres()) ?? cleanup.use(await openPostgres()).url;
  const redisUrl = (await namedRedis()) ?? cleanup.use(await openRedis()).url;
  return { TEST_DATABASE_URL: databaseUrl, TEST_REDIS_URL: redisUrl };
}

/** Scripts and tests say `bun`; where PATH has none (or npx named it otherwise) they get the one that runs us. */
function findBunOnPath(folder: string): { PATH: string } {
  const path = process.env.PATH ?? "";
  if (Bun.which("bun") !== null) return { PATH: path };
  symlinkSync(process.execPath, join(folder, "bun"));
  return { PATH: `${folder}${delimiter}${path}` };
}

/** The seed given, or one of our own making; null where the arguments are not understood. */
function readSeed(args: readonly string[]): number | null {
  if (args.length === 0) return Math.floor(Math.random() * seedMax);
  const [flag, value, ...rest] = args;
  const text = flag?.startsWith("--seed=") && value === undefined ? flag.slice("--seed=".length) : value;
  if (rest.length > 0 || text === undefined || !flag?.startsWith("--seed") || !/^\d{1,10}$/.test(text)) return null;
  return Number(text) < seedMax ? Number(text) : null;
}

if (!existsSync(join(root, "package.json"))) throw new Error("Cannot find the project: no package.json above test/.");
process.exitCode = await main(process.argv.slice(2));
