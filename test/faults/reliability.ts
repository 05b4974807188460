/** What the last written runs came to: reliability.json, and the README's table that is made from it. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import type { Scenario, ScenarioResult } from "./scenario.ts";

const root = join(import.meta.dir, "../..");
const recordPath = join(import.meta.dir, "reliability.json");
const readmePath = join(root, "README.md");
const marks = { start: "<!-- reliability -->", end: "<!-- /reliability -->" } as const;

/** One scenario's last written run. Only runs in which every law held are written. */
export type ReliabilityEntry = {
  readonly name: string;
  readonly fault: string;
  readonly rows: readonly number[];
  readonly cycles: number;
  readonly acknowledged: number;
  readonly lost: number;
  readonly doubled: number;
  readonly notes: Readonly<Record<string, number | string>>;
  readonly seed: number;
  readonly commit: string;
  readonly date: string;
  readonly machine: string;
};

/** The machine without its name. */
export function describeMachine(): string {
  return `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${release().split("-")[0]}, Bun ${Bun.version}`;
}

/** The commit under test; "+changes" where files differ from it. */
export function readCommit(): string {
  const git = (...args: string[]) =>
    Bun.spawnSync(["git", ...args], { cwd: root })
      .stdout.toString()
      .trim();
  const commit = git("rev-parse", "--short", "HEAD") || "unknown";
  return git("status", "--porcelain", "--", "src", "bin", "sql", "package.json", "bun.lock") === ""
    ? commit
    : `${commit}+changes`;
}

export function readReliability(): ReliabilityEntry[] {
  if (!existsSync(recordPath)) return [];
  return JSON.parse(readFileSync(recordPath, "utf8")) as ReliabilityEntry[];
}

/** Keeps the results beside those of other scenarios, and writes the README's table. */
export function writeReliability(
  results: readonly { readonly scenario: Scenario; readonly result: ScenarioResult }[],
  { seed }: { readonly seed: number },
): void {
  const entries = new Map(readReliability().map((entry) => [entry.name, entry]));
  const about = { seed, commit: readCommit(), date: new Date().toISOString().slice(0, 10), machine: describeMachine() };
  for (const { scenario, result } of results) {
    if (result.broken.length > 0) continue;
    const { name, fault, rows } = scenario;
    const { cycles, acknowledged, lost, doubled, notes } = result;
    entries.set(name, { name, fault, rows, cycles, acknowledged, lost, doubled, notes, ...about });
  }
  const sorted = [...entries.values()].sort(
    (a, b) => (a.rows[0] ?? 0) - (b.rows[0] ?? 0) || (a.name < b.name ? -1 : 1),
  );
  writeFileSync(recordPath, `${JSON.stringify(sorted, null, 2)}\n`);
  writeFileSync(readmePath, putTable(readFileSync(readmePath, "utf8"), buildTable(sorted)));
}

/** The README's part between the marks, as it stands. Throws where there are no marks. */
export function readTable(readme: string): string {
  const [from, to] = [readme.indexOf(marks.start), readme.indexOf(marks.end)];
  if (from === -1 || to < from) throw new Error(`Cannot find ${marks.start} … ${marks.end} in the README.`);
  return readme.slice(from + marks.start.length, to).trim();
}

function putTable(readme: string, table: string): string {
  const [from, to] = [readme.indexOf(marks.start), readme.indexOf(marks.end)];
  if (from === -1 || to < from) throw new Error(`Cannot find ${marks.start} … ${marks.end} in the README.`);
  return `${readme.slice(0, from + marks.start.length)}\n\n${table}\n\n${readme.slice(to)}`;
}

/** The table as Markdown, columns padded as the formatter would; what else was measured stands in the record. Pure. */
export function buildTable(entries: readonly ReliabilityEntry[]): string {
  const whole = (value: number) => value.toLocaleString("en-US");
  const rows = entries.map((entry) => [
    `${entry.fault} (\`${entry.name}\`)`,
    ...[entry.cycles, entry.acknowledged, entry.lost, entry.doubled].map(whole),
    `\`${entry.commit}\`, ${entry.date}`,
  ]);
  const headings = ["fault", "cycles", "events acknowledged", "lost", "doubled", "commit"];
  const isNumber = (column: number) => column >= 1 && column <= 4;
  const widths = headings.map((_, column) =>
    Math.max(4, ...[headings, ...rows].map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, at) => (isNumber(at) ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0))).join(" | ")} |`;
  const rule = `| ${widths.map((width, at) => (isNumber(at) ? `${"-".repeat(width - 1)}:` : "-".repeat(width))).join(" | ")} |`;
  const machines = [...new Set(entries.map(({ machine }) => machine))].join("; ");
  const foot = entries.length === 0 ? "" : `\n\nMachine: ${machines}, shared by everything under test and the tests.`;
  return `${[line(headings), rule, ...rows.map(line)].join("\n")}${foot}`;
}
