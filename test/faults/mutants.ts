/**
 * `bun run mutants [--only NN[,NN]] [--types] [--write]`: deliberate mistakes, each kept as a patch in mutants/ that names
 * the test or the scenario that must catch it. Every catcher first has to pass on the tree as it is; then each patch is
 * put into a copy of the tree, and its catcher has to fail there. Exit code 1 where a mistake survives.
 * `--types` checks the types of each mutated copy and runs nothing. `--write` keeps the result in mutants.json.
 *
 * A patch is a unified diff under a header of two lines:
 *
 *   # mistake: <a sentence>
 *   # caught by: bun test --timeout <ms> <file> [-t "<pattern>"]     or: bun run faults --only <scenario>
 */
import { spawn } from "node:child_process";
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { openPostgres, openRedis } from "../support/services.ts";
import { openTestDatabase } from "../support/test-services.ts";
import { readCommit } from "./reliability.ts";

const usage = "bun run mutants [--only NN[,NN]] [--types] [--write]";
const root = join(import.meta.dir, "../..");
const patchFolder = join(import.meta.dir, "mutants");
const recordPath = join(import.meta.dir, "mutants.json");
/** What a copy of the tree leaves out: what was made from it, and what is nobody's source. */
const leftOut = [".git", "node_modules", "dist", ".social-sync", ".env"];
const testMsMax = 120_000; // Most take a second or two.
const scenarioMsMax = 180_000; // With the build; a broken daemon is waited for within a scenario's own limits.
const outputCharactersMax = 200_000;
const examplesMax = 1;
/** An end like these says that the copy is broken, not that a mistake was seen. */
const notALaw = /ReferenceError|SyntaxError|Cannot find (module|package)|Cannot build the binary/;

/** The test or the scenario that has to fail. */
export type Catcher =
  | { readonly kind: "test"; readonly file: string; readonly pattern: string | null; readonly timeoutMs: number }
  | { readonly kind: "scenario"; readonly name: string };
/** A part of a file: where `before` stands, `after` is put. Both are whole lines. */
type Hunk = { readonly path: string; readonly before: string; readonly after: string };
export type Mutant = {
  /** The patch's file name without its ending; it begins with the number. */
  readonly name: string;
  readonly path: string;
  readonly mistake: string;
  /** The catcher as the patch has it. */
  readonly command: string;
  readonly catcher: Catcher;
  readonly hunks: readonly Hunk[];
};
/** `evidence`: the test or law that failed; where nothing was caught, why. */
export type Verdict = { readonly kind: "caught" | "survived" | "broken"; readonly evidence: string };

/** Reads every patch, in the order of their numbers. Throws a sentence where one cannot be read. */
export function readMutants(): Mutant[] {
  return readdirSync(patchFolder)
    .filter((name) => name.endsWith(".patch"))
    .sort()
    .map((name) => parseMutant(name.slice(0, -".patch".length), readFileSync(join(patchFolder, name), "utf8")));
}

/** Pure. Throws a sentence where `text` is no mutant. */
export function parseMutant(name: string, text: string): Mutant {
  const fail = (why: string): never => {
    throw new Error(`Cannot read the mutant ${name}: ${why}`);
  };
  const mistake = /^# mistake: (\S.+)$/m.exec(text)?.[1] ?? fail("no line '# mistake: …'");
  const command = /^# caught by: (\S.+)$/m.exec(text)?.[1] ?? fail("no line '# caught by: …'");
  const catcher = parseCatcher(command) ?? fail(`'${command}' is neither a test nor a scenario`);
  const hunks = parseHunks(text);
  if (!/^\d{2}-[a-z0-9-]+$/.test(name)) fail("its name is not NN-words");
  if (hunks.length === 0) fail("it changes nothing");
  if (hunks.some(({ path }) => path.startsWith("test/"))) fail("it changes a test");
  return { name, path: join(patchFolder, `${name}.patch`), mistake, command, catcher, hunks };
}

function parseCatcher(command: string): Catcher | null {
  const scenario = /^bun run faults --only ([a-z0-9-]+)$/.exec(command)?.[1];
  if (scenario !== undefined) return { kind: "scenario", name: scenario };
  const [, timeoutMs, file, pattern = null] =
    /^bun test --timeout (\d+) (test\/\S+\.test\.ts)(?: -t "([^"]+)")?$/.exec(command) ?? [];
  return file === undefined ? null : { kind: "test", file, pattern, timeoutMs: Number(timeoutMs) };
}

function parseHunks(text: string): Hunk[] {
  const hunks: { path: string; before: string[]; after: string[] }[] = [];
  let path = "";
  for (const line of text.split("\n")) {
    const target = /^\+\+\+ b\/(\S+)/.exec(line)?.[1];
    if (target !== undefined) path = target;
    else if (line.startsWith("@@ ")) hunks.push({ path, before: [], after: [] });
    else if (path !== "" && /^[ +-]/.test(line) && !line.startsWith("--- a/")) {
      const hunk = hunks.at(-1);
      if (!line.startsWith("+")) hunk?.before.push(line.slice(1));
      if (!line.startsWith("-")) hunk?.after.push(line.slice(1));
    }
  }
  return hunks.map((hunk) => ({
    path: hunk.path,
    before: `${hunk.before.join("\n")}\n`,
    after: `${hunk.after.join("\n")}\n`,
  }));
}

/**
 * The mutated files by their paths. A hunk finds its place by its lines, wherever they stand by now. Throws a sentence
 * where they stand nowhere, or in two places.
 */
export function applyMutant({ name, hunks }: Mutant, folder: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const { path, before, after } of hunks) {
    const text = files.get(path) ?? `\n${readFileSync(join(folder, path), "utf8")}`;
    const places = text.split(`\n${before}`).length - 1;
    if (places !== 1)
      throw new Error(`Cannot apply the mutant ${name}: its lines stand in ${places} places of ${path}`);
    files.set(
      path,
      text.replace(`\n${before}`, () => `\n${after}`),
    );
  }
  return new Map([...files].map(([path, text]) => [path, text.slice(1)]));
}

/** A temporary copy of `from`, with the packages of this tree. Goes with its owner. */
export function openCopy(from = root): Disposable & { readonly path: string } {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "social-sync-mutant-")));
  const drop = () => rmSync(path, { recursive: true, force: true });
  try {
    for (const name of readdirSync(from))
      if (!leftOut.includes(name)) cpSync(join(from, name), join(path, name), { recursive: true });
    symlinkSync(realpathSync(join(root, "node_modules")), join(path, "node_modules"));
  } catch (error) {
    drop();
    throw error;
  }
  return { path, [Symbol.dispose]: drop };
}

/** What a run has open for all mutants. `sql`: a database with the schema, to prepare statements in. */
export type Workshop = {
  /** The tree that is mutated: a copy, so that nobody edits it meanwhile. */
  readonly tree: string;
  readonly env: Readonly<Record<string, string>>;
  readonly sql: postgres.Sql | null;
  readonly signal: AbortSignal;
};

/** Puts one mistake into a copy and runs its catcher there. */
export async function tryMutant(mutant: Mutant, workshop: Workshop): Promise<Verdict> {
  let files: Map<string, string>;
  try {
    files = applyMutant(mutant, workshop.tree);
  } catch (error) {
    return { kind: "broken", evidence: error instanceof Error ? error.message : String(error) };
  }
  const flaw = await findFlaw(files, workshop.sql);
  if (flaw !== null) return { kind: "broken", evidence: flaw };
  using copy = openCopy(workshop.tree);
  for (const [path, text] of files) writeFileSync(join(copy.path, path), text);
  return judge(mutant.catcher, await runCatcher(mutant.catcher, copy.path, workshop));
}

/** Why a mutated file is none that could run at all; null where it may. */
async function findFlaw(files: ReadonlyMap<string, string>, sql: postgres.Sql | null): Promise<string | null> {
  for (const [path, text] of files) {
    try {
      if (path.endsWith(".ts")) new Bun.Transpiler({ loader: "ts" }).transformSync(text);
      else if (path.startsWith("sql/queries/") && sql !== null) {
        await sql.unsafe(`prepare mutant as ${text}`);
        await sql.unsafe("deallocate mutant");
      }
    } catch (error) {
      return `${path}: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return null;
}

type Ended = { readonly code: number | null; readonly output: string };

/** Runs a catcher in `folder`, in a process group of its own that ends with it. `code` null: it took too long. */
async function runCatcher(catcher: Catcher, folder: string, { env, signal }: Workshop): Promise<Ended> {
  const args =
    catcher.kind === "scenario"
      ? ["test/faults/run.ts", "--only", catcher.name]
      : [
          "test",
          "--timeout",
          String(catcher.timeoutMs),
          `./${catcher.file}`,
          ...(catcher.pattern === null ? [] : ["-t", catcher.pattern]),
        ];
  return await runBounded(args, folder, env, {
    msMax: catcher.kind === "scenario" ? scenarioMsMax : testMsMax,
    signal,
  });
}

async function runBounded(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
  { msMax, signal }: { readonly msMax: number; readonly signal: AbortSignal },
): Promise<Ended> {
  const child = spawn(process.execPath, args, { cwd, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (bytes: Buffer) => {
      output = (output + bytes.toString()).slice(-outputCharactersMax);
    });
  const endGroup = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // Nobody is left in the group.
    }
  };
  let stopped = false;
  const stop = () => {
    stopped = true;
    endGroup();
  };
  const timer = setTimeout(stop, msMax);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    child.once("error", reject).once("exit", resolve);
    const code = await promise;
    endGroup();
    return { code: stopped ? null : code, output: Bun.stripANSI(output) };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

/** What the end of a catcher says: only a failed test or a broken law is a catch. Pure. */
export function judge(catcher: Catcher, { code, output }: Ended): Verdict {
  if (code === null) return { kind: "survived", evidence: "the catcher was stopped: it took too long" };
  if (code === 0) return { kind: "survived", evidence: "the catcher passed" };
  const pattern = catcher.kind === "test" ? /^\(fail\) (.+?)(?: \[[\d.]+ms\])?$/gm : /^ +! (.+)$/gm;
  const found = [...output.matchAll(pattern)].map((match) => match[1] ?? "").filter((what) => what !== "(unnamed)");
  const broken = notALaw.exec(output)?.[0];
  if (broken !== undefined) return { kind: "broken", evidence: `the catcher met '${broken}'` };
  if (found.length === 0) return { kind: "broken", evidence: `exit code ${code}, and no test or law failed` };
  return { kind: "caught", evidence: found.slice(0, examplesMax).join("; ").slice(0, 160) };
}

async function main(args: readonly string[]): Promise<number> {
  const asked = readArguments(args, readMutants());
  if (asked === null) {
    process.stderr.write(`Cannot read the arguments: the accepted form is ${usage}\n`);
    return 1;
  }
  const interrupted = new AbortController();
  process.on("SIGINT", () => interrupted.abort()).on("SIGTERM", () => interrupted.abort());
  using tree = openCopy();
  if (asked.types) return await checkTypes(asked.chosen, tree.path, interrupted.signal);
  await using owned = new AsyncDisposableStack();
  const { SOCIAL_SYNC_BINARY: _, ...env } = process.env; // The binary is to be built from the copy.
  process.env.TEST_DATABASE_URL ??= owned.use(await openPostgres()).url;
  process.env.TEST_REDIS_URL ??= owned.use(await openRedis()).url;
  const { TEST_DATABASE_URL, TEST_REDIS_URL } = process.env;
  const workshop: Workshop = {
    tree: tree.path,
    env: { ...(env as Record<string, string>), TEST_DATABASE_URL, TEST_REDIS_URL, NO_COLOR: "1" },
    sql: await openSchema(tree.path, owned),
    signal: interrupted.signal,
  };
  const verdicts = await tryAll(asked.chosen, workshop);
  const caught = [...verdicts.values()].filter(({ kind }) => kind === "caught").length;
  const of = asked.chosen.length;
  if (asked.write && !interrupted.signal.aborted) writeRecord(caught, of);
  for (const { name, mistake } of asked.chosen)
    if (verdicts.get(name)?.kind !== "caught") process.stdout.write(`not caught: ${name}: ${mistake}\n`);
  process.stdout.write(`${caught} caught, ${of - caught} survived\n`);
  return caught === of ? 0 : 1;
}

type Asked = { readonly chosen: readonly Mutant[]; readonly types: boolean; readonly write: boolean };

function readArguments(args: readonly string[], mutants: readonly Mutant[]): Asked | null {
  const asked = { chosen: mutants, types: false, write: false };
  for (let at = 0; at < args.length; at += 1) {
    if (args[at] === "--types") asked.types = true;
    else if (args[at] === "--write") asked.write = true;
    else if (args[at] === "--only") {
      const numbers = (args[++at] ?? "").split(",");
      asked.chosen = mutants.filter(({ name }) => numbers.includes(name.slice(0, 2)));
      if (asked.chosen.length !== new Set(numbers).size) return null;
    } else return null;
  }
  // A part of them is no result to keep.
  return asked.write && asked.chosen.length < mutants.length ? null : asked;
}

/** One after the other: scenarios measure time. A catcher runs on the tree as it is before its first mutant. */
async function tryAll(mutants: readonly Mutant[], workshop: Workshop): Promise<Map<string, Verdict>> {
  const verdicts = new Map<string, Verdict>();
  const passing = new Map<string, boolean>();
  const timed = async <T>(work: () => Promise<T>, describe: (result: T) => string): Promise<T> => {
    const startMs = performance.now();
    const result = await work();
    process.stdout.write(`${describe(result)}, ${((performance.now() - startMs) / 1000).toFixed(1)} s\n`);
    return result;
  };
  using unmutated = openCopy(workshop.tree);
  /** Whether a mutant's catcher passes without it; all of one file's tests are asked at once. */
  const passesWithout = async ({ catcher }: Mutant): Promise<boolean> => {
    const place = placeOf(catcher);
    const known = passing.get(place);
    if (known !== undefined) return known;
    const all = mutants.map((one) => one.catcher).filter((one) => placeOf(one) === place);
    const { code, output } = await timed(
      () => runCatcher(joinCatchers(catcher, all), unmutated.path, workshop),
      (end) => `${end.code === 0 ? "passes  " : "FAILS   "} ${place} without a mistake`,
    );
    if (code !== 0) process.stdout.write(`${output.slice(-3_000)}\n`);
    passing.set(place, code === 0);
    return code === 0;
  };
  for (const mutant of mutants) {
    if (workshop.signal.aborted) break;
    const { name } = mutant;
    if (!(await passesWithout(mutant))) {
      verdicts.set(name, { kind: "broken", evidence: "its catcher fails without it" });
      continue;
    }
    const verdict = await timed(
      () => tryMutant(mutant, workshop),
      ({ kind, evidence }) => `${kind === "caught" ? "caught  " : kind.toUpperCase().padEnd(8)} ${name}: ${evidence}`,
    );
    verdicts.set(name, verdict);
  }
  return verdicts;
}

const placeOf = (catcher: Catcher) => (catcher.kind === "test" ? catcher.file : catcher.name);

/** One catcher that runs what each of `all` runs; they are of one place. */
function joinCatchers(first: Catcher, all: readonly Catcher[]): Catcher {
  if (first.kind === "scenario") return first;
  const patterns = all.map((one) => (one.kind === "test" ? one.pattern : null));
  return { ...first, pattern: patterns.includes(null) ? null : patterns.join("|"), timeoutMs: testMsMax };
}

/** A database with the tree's schema: a statement that fits no table can be prepared in none. */
async function openSchema(tree: string, owned: AsyncDisposableStack): Promise<postgres.Sql> {
  const { url } = owned.use(await openTestDatabase());
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  owned.defer(() => sql.end({ timeout: 1 }));
  const folder = join(tree, "sql/migrations");
  for (const name of readdirSync(folder).sort()) await sql.unsafe(readFileSync(join(folder, name), "utf8")).simple();
  return sql;
}

/** Whether the compiler has nothing to say of a mutated tree that it does not say of the tree as it is. */
async function checkTypes(mutants: readonly Mutant[], tree: string, signal: AbortSignal): Promise<number> {
  const check = async (): Promise<Set<string>> => {
    const args = [join(root, "node_modules/typescript/bin/tsc"), "--noEmit"];
    const { output } = await runBounded(args, tree, process.env as Record<string, string>, {
      msMax: testMsMax,
      signal,
    });
    // Without places: a mutant moves the lines.
    return new Set(
      [...output.matchAll(/^(\S+?)\(\d+,\d+\): (error .+)$/gm)].map((match) => `${match[1]}: ${match[2]}`),
    );
  };
  const known = await check();
  let broken = 0;
  for (const mutant of mutants) {
    const files = applyMutant(mutant, tree);
    const originals = [...files.keys()].map((path) => [path, readFileSync(join(tree, path), "utf8")] as const);
    for (const [path, text] of files) writeFileSync(join(tree, path), text);
    const said = [...(await check())].filter((line) => !known.has(line));
    for (const [path, text] of originals) writeFileSync(join(tree, path), text);
    if (said.length > 0) broken += 1;
    process.stdout.write(
      `${said.length === 0 ? "ok      " : "BROKEN  "} ${[mutant.name, ...said].join("\n         ")}\n`,
    );
  }
  return broken === 0 ? 0 : 1;
}

function writeRecord(caught: number, of: number): void {
  const mutants = { caught, of, commit: readCommit(), date: new Date().toISOString().slice(0, 10) };
  writeFileSync(recordPath, `${JSON.stringify({ mutants }, null, 2)}\n`);
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
