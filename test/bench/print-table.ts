/** Prints figures for people: one a line, with the aim beside it. A bench never judges. */
import { type Spread, spreadOf } from "./statistics.ts";

export type Figure = {
  readonly name: string;
  readonly unit: string;
  /** One value a run. */
  readonly values: readonly number[];
  /** `≥ 0.8`; nothing where the figure only informs. */
  readonly aim?: string;
};

const headings = ["", "median", "min", "max", "unit", "aim"];

export function printTable(title: string, figures: readonly Figure[]): void {
  const rows = [headings, ...figures.map(cellsOf)];
  const widths = headings.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => {
        const isNumber = column > 0 && column < 4;
        return isNumber ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0);
      })
      .join("  ")
      .trimEnd(),
  );
  process.stdout.write(`\n${title}\n${lines.map((line) => `  ${line}`).join("\n")}\n`);
}

function cellsOf({ name, unit, values, aim = "" }: Figure): string[] {
  const { median, min, max }: Spread = spreadOf(values);
  return [name, ...[median, min, max].map(renderNumber), unit, aim];
}

function renderNumber(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
