/**
 * The gate's short form of the fault harness: every scenario, few cycles; together four minutes on 2 cores, to stay under
 * five. `bun run faults --long` is the full one.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { hash } from "./chance.ts";
import { buildTable, readReliability, readTable } from "./reliability.ts";
import type { Scenario } from "./scenario.ts";
import { coveredElsewhere, scenarios } from "./scenario-list.ts";

const root = join(import.meta.dir, "../..");
const rowsOfTheMatrix = 52;
const given = process.env.FAULTS_SEED;
const seed = given !== undefined && /^\d{1,10}$/.test(given) ? Number(given) : hash(Date.now()) % 2 ** 31;

const keepsEveryLaw = ({ name, fault, cycles, timeoutMs, run }: Scenario) =>
  test(
    `keeps every law: ${fault} (${name})`,
    async () => {
      const bound = AbortSignal.timeout(timeoutMs);
      const result = await run({ cycles: cycles.short, long: false, seed, signal: bound, say: () => {} }).catch(
        (error: unknown) => {
          throw new Error(`Again with: bun run faults --only ${name} --seed ${seed}`, { cause: error });
        },
      );
      const again = `bun run faults --only ${name} --seed ${seed}`;
      expect({ again, broken: result.broken }).toEqual({ again, broken: [] });
      expect({ lost: result.lost, doubled: result.doubled }).toEqual({ lost: 0, doubled: 0 });
      // A scenario goes on for a few more where its faults have hit too little.
      expect(result.cycles).toBeGreaterThanOrEqual(cycles.short);
      expect(result.acknowledged).toBeGreaterThan(0);
    },
    timeoutMs,
  );

describe("the compiled binary", () => {
  for (const scenario of scenarios) if (!scenario.waits) keepsEveryLaw(scenario);
});

describe.concurrent("the compiled binary, beside others that wait", () => {
  for (const scenario of scenarios) if (scenario.waits) keepsEveryLaw(scenario);
});

describe("the fault matrix", () => {
  test("has a scenario, or a named test elsewhere, for every row", () => {
    const covered = new Set([...scenarios.flatMap(({ rows }) => rows), ...coveredElsewhere.map(({ row }) => row)]);
    const missing = Array.from({ length: rowsOfTheMatrix }, (_, at) => at + 1).filter((row) => !covered.has(row));
    expect(missing).toEqual([]);
    expect([...covered].filter((row) => row < 1 || row > rowsOfTheMatrix)).toEqual([]);
  });

  test("names only tests that are there", () => {
    const isThere = ({ file, test: title }: (typeof coveredElsewhere)[number]) =>
      existsSync(join(root, file)) && readFileSync(join(root, file), "utf8").includes(title);
    expect(coveredElsewhere.filter((one) => !isThere(one))).toEqual([]);
  });

  test("scenario names are their files' names, each once", () => {
    const names = scenarios.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => !existsSync(join(import.meta.dir, "scenarios", `${name}.ts`)))).toEqual([]);
  });
});

describe("the README's reliability table", () => {
  test("is what the last written runs came to", () => {
    const entries = readReliability();
    expect(readTable(readFileSync(join(root, "README.md"), "utf8"))).toBe(buildTable(entries));
    expect(entries.filter(({ lost, doubled }) => lost + doubled > 0)).toEqual([]);
    const names = scenarios.map(({ name }) => name);
    expect(entries.map(({ name }) => name).filter((name) => !names.includes(name))).toEqual([]);
  });
});
