/**
 * `bun run faults [--long] [--only name[,name]] [--seed N] [--write]`: breaks the compiled binary in every way of the
 * scenario list, one after the other, and says what held. Exit code 1 where any law broke.
 * `--write` keeps the results in reliability.json and writes the README's table from it.
 */
import { hash } from "./chance.ts";
import { describeMachine, readCommit, writeReliability } from "./reliability.ts";
import type { Scenario, ScenarioResult } from "./scenario.ts";
import { scenarios } from "./scenario-list.ts";

const usage = "bun run faults [--long] [--only name[,name]] [--seed <whole number>] [--write]";
const seedMax = 2 ** 31;
const errorCharactersMax = 6_000;

type Asked = {
  readonly long: boolean;
  readonly chosen: readonly Scenario[];
  readonly seed: number;
  readonly write: boolean;
};

/** Null where the arguments are not understood. */
function readArguments(args: readonly string[]): Asked | null {
  const asked = { long: false, chosen: scenarios, seed: hash(Date.now()) % seedMax, write: false };
  for (let at = 0; at < args.length; at += 1) {
    const [word, value = ""] = [args[at], args[at + 1]];
    if (word === "--long") asked.long = true;
    else if (word === "--write") asked.write = true;
    else if (word === "--seed" && /^\d{1,10}$/.test(value) && Number(value) < seedMax) asked.seed = Number(args[++at]);
    else if (word === "--only" && value !== "") {
      const names = (args[++at] ?? "").split(",");
      asked.chosen = scenarios.filter(({ name }) => names.includes(name));
      if (asked.chosen.length !== new Set(names).size) return null;
    } else return null;
  }
  return asked;
}

/** Runs one scenario; what it throws is a broken law too. */
async function runOne(scenario: Scenario, { long, seed }: Asked, signal: AbortSignal): Promise<ScenarioResult> {
  const cycles = long ? scenario.cycles.long : scenario.cycles.short;
  const say = (text: string) => process.stderr.write(`  ${scenario.name}: ${text}\n`);
  try {
    return await scenario.run({ cycles, long, seed, signal, say });
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const broken = [`It did not get to its end: ${text.slice(0, errorCharactersMax)}`];
    return { cycles: 0, acknowledged: 0, lost: 0, doubled: 0, notes: {}, broken };
  }
}

async function main(args: readonly string[]): Promise<number> {
  const asked = readArguments(args);
  if (asked === null) {
    process.stderr.write(`Cannot read the arguments: the accepted form is ${usage}\n`);
    process.stderr.write(`The names are ${scenarios.map(({ name }) => name).join(", ")}.\n`);
    return 1;
  }
  const interrupted = new AbortController();
  process.on("SIGINT", () => interrupted.abort()).on("SIGTERM", () => interrupted.abort());
  process.stdout.write(`${describeMachine()}, commit ${readCommit()}, seed ${asked.seed}\n\n`);
  const results: { scenario: Scenario; result: ScenarioResult }[] = [];
  for (const scenario of asked.chosen) {
    if (interrupted.signal.aborted) break;
    const startedMs = performance.now();
    const result = await runOne(scenario, asked, interrupted.signal);
    results.push({ scenario, result });
    // At once: a run of an hour that is interrupted keeps what it has found.
    if (asked.write && !interrupted.signal.aborted) writeReliability([{ scenario, result }], { seed: asked.seed });
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    process.stdout.write(`${result.broken.length === 0 ? "held  " : "BROKEN"} ${scenario.name}, ${seconds} s\n`);
    for (const [name, value] of Object.entries(result.notes)) process.stdout.write(`         ${name}: ${value}\n`);
    for (const law of result.broken) process.stdout.write(`       ! ${law}\n`);
    if (result.broken.length > 0) {
      const form = asked.long ? " --long" : "";
      process.stdout.write(`         again: bun run faults${form} --only ${scenario.name} --seed ${asked.seed}\n`);
    }
  }
  printTable(results);
  return interrupted.signal.aborted || results.some(({ result }) => result.broken.length > 0) ? 1 : 0;
}

function printTable(results: readonly { scenario: Scenario; result: ScenarioResult }[]): void {
  const headings = ["scenario", "cycles", "acknowledged", "lost", "doubled", ""];
  const rows = results.map(({ scenario: { name }, result: { cycles, acknowledged, lost, doubled, broken } }) => [
    ...[name, cycles, acknowledged, lost, doubled].map(String),
    broken.length === 0 ? "held" : "BROKEN",
  ]);
  const widths = headings.map((_, column) => Math.max(...[headings, ...rows].map((row) => row[column]?.length ?? 0)));
  const lines = [headings, ...rows].map((row) =>
    row
      .map((cell, at) => (at === 0 || at === 5 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join("  "),
  );
  process.stdout.write(`\n${lines.map((line) => line.trimEnd()).join("\n")}\n`);
}

process.exitCode = await main(process.argv.slice(2));
