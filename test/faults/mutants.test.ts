/** The deliberate mistakes can be run, and two of them are: `bun run mutants` runs them all, in minutes. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { applyMutant, judge, openCopy, parseMutant, readMutants, tryMutant } from "./mutants.ts";
import { scenarios } from "./scenario-list.ts";

const root = join(import.meta.dir, "../..");
const mutantsMin = 30;
/** Their catchers need no server and no binary. */
const cheap = ["first-secret-only", "picture-host-by-ending"];
const mutants = readMutants();

describe("the deliberate mistakes", () => {
  test(`are ${mutantsMin} or more, each with a number and a sentence of its own`, () => {
    expect(mutants.length).toBeGreaterThanOrEqual(mutantsMin);
    for (const part of [mutants.map(({ name }) => name.slice(0, 2)), mutants.map(({ mistake }) => mistake)])
      expect(new Set(part).size).toBe(mutants.length);
    expect(mutants.filter(({ mistake }) => !/^[A-Z].*\.$/.test(mistake))).toEqual([]);
  });

  test.each(mutants.map((mutant) => [mutant.name, mutant] as const))("%s fits the tree as it is", (_, mutant) => {
    const files = applyMutant(mutant, root);
    for (const [path, text] of files) expect(text).not.toBe(readFileSync(join(root, path), "utf8"));
    // Where the tree is a clone, git agrees.
    if (Bun.which("git") === null || !existsSync(join(root, ".git"))) return;
    const { exitCode, stderr } = Bun.spawnSync(["git", "apply", "--check", mutant.path], { cwd: root });
    expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  });

  test("name tests and scenarios that are there", () => {
    const isThere = ({ catcher }: (typeof mutants)[number]) => {
      if (catcher.kind === "scenario") return scenarios.some(({ name }) => name === catcher.name);
      const path = join(root, catcher.file);
      return existsSync(path);
    };
    expect(mutants.filter((mutant) => !isThere(mutant)).map(({ name, command }) => `${name}: ${command}`)).toEqual([]);
  });

  test(`are caught: ${cheap.join(", ")}`, async () => {
    using tree = openCopy();
    const workshop = {
      tree: tree.path,
      env: { PATH: process.env.PATH ?? "" },
      sql: null,
      signal: new AbortController().signal,
    };
    for (const name of cheap) {
      const mutant = mutants.find((one) => one.name.endsWith(name));
      expect(mutant).toBeDefined();
      if (mutant !== undefined) expect([name, (await tryMutant(mutant, workshop)).kind]).toEqual([name, "caught"]);
    }
  }, 30_000);
});

describe("parseMutant()", () => {
  const header = "# mistake: It forgets.\n# caught by: bun run faults --only kill-9\n";
  const change = "--- a/src/x.ts\n+++ b/src/x.ts\n@@ -1,2 +1,2 @@\n keep\n-old\n+new\n";

  test("reads the header and the hunks", () => {
    const mutant = parseMutant("07-it-forgets", header + change);
    expect(mutant.catcher).toEqual({ kind: "scenario", name: "kill-9" });
    expect(mutant.hunks).toEqual([{ path: "src/x.ts", before: "keep\nold\n", after: "keep\nnew\n" }]);
  });

  test.each([
    ["07-x", change, "no line '# mistake: …'"],
    ["07-x", header.replace("faults", "bench") + change, "is neither a test nor a scenario"],
    ["07-x", header, "it changes nothing"],
    ["7-x", header + change, "its name is not NN-words"],
    ["07-x", header + change.replaceAll("src/x.ts", "test/x.ts"), "it changes a test"],
  ])("refuses %s with %j", (name, text, why) => {
    expect(() => parseMutant(name, text)).toThrow(why);
  });
});

describe("judge()", () => {
  const test1 = { kind: "test", file: "test/x.test.ts", pattern: null, timeoutMs: 1 } as const;

  test.each([
    [0, "(pass) a > b [1.00ms]", "survived"],
    [1, "(fail) a > b [1.00ms]\n 1 fail", "caught"],
    [1, "(fail) (unnamed)\n 1 fail", "broken"],
    [1, 'error: regex "x" matched 0 tests', "broken"],
    [1, "ReferenceError: x is not defined\n(fail) a > b [1.00ms]", "broken"],
    [null, "(fail) a > b [1.00ms]", "survived"],
  ])("takes exit code %p and %j for %s", (code, output, kind) => {
    expect(judge(test1, { code, output }).kind).toBe(kind as never);
  });

  test("takes a broken law for a catch, and a build that failed for none", () => {
    const scenario = { kind: "scenario", name: "kill-9" } as const;
    const law = "BROKEN kill-9, 3.0 s\n       ! what was acknowledged is stored: broken 3 times";
    expect(judge(scenario, { code: 1, output: law })).toEqual({
      kind: "caught",
      evidence: "what was acknowledged is stored: broken 3 times",
    });
    const built = "       ! It did not get to its end: Error: Cannot build the binary: …";
    expect(judge(scenario, { code: 1, output: built }).kind).toBe("broken");
  });
});
