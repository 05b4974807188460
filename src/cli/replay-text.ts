import type { Difference, ShownValues } from "../repository/difference.ts";
import type { ReplayReport } from "../usecases/replay.ts";
import { type Outcome, replayedTables, type TableTally } from "../usecases/replay-tally.ts";
import { renderTable } from "./text-table.ts";
import { cutText, plainText, renderCount } from "./text-values.ts";

/** Version of the lines that `replay --json` prints. */
export const replayLineVersion = 1;
/** Differences that people are shown: beyond that it is a list for a program. */
export const differencesShownMax = 100;
/** Instagram's message ids run to some 165 characters, and say nothing after the first ones that a person could use. */
const valueColumnsMax = 48;

const outcomeWords: Readonly<Record<Outcome, string>> = {
  found: "",
  corrected: "",
  changed_meanwhile: " (changed meanwhile: left as it is)",
};

/** A difference in one line, without a word of what people wrote. */
export function renderDifference({ table, key, columns, stored, derived }: Difference, outcome: Outcome): string {
  const name = Object.values(key).map(shorten).join(" ");
  const what =
    stored === null
      ? "missing"
      : columns.map((column) => `${column} ${valueIn(stored, column)} → ${valueIn(derived, column)}`).join(", ");
  return `${table} ${name}: ${what}${outcomeWords[outcome]}\n`;
}

function valueIn(values: ShownValues, column: string): string {
  const value = values[column] ?? null;
  return value === null ? "none" : shorten(String(value));
}

const shorten = (text: string) => cutText(plainText(text), valueColumnsMax, "…");

/** A difference as one NDJSON value. */
export function differenceJson({ table, key, columns, stored, derived }: Difference, outcome: Outcome) {
  return { v: replayLineVersion, type: "difference", table, key, columns, stored, derived, outcome };
}

/** The table of what was compared. */
export function renderReplay({ tables }: Pick<ReplayReport, "tables">, dryRun: boolean): string {
  const numbers = ({ checked, missing, different, corrected, changedMeanwhile }: TableTally) =>
    [checked, missing, different, ...(dryRun ? [] : [corrected, changedMeanwhile])].map(renderCount);
  const head = ["TABLE", "COMPARED", "MISSING", "DIFFERENT", ...(dryRun ? [] : ["CORRECTED", "CHANGED MEANWHILE"])];
  return renderTable(
    head,
    replayedTables.map((table) => [table, ...numbers(tables[table])]),
  );
}

/** How it ended, and what to do next: one sentence a line. */
export function renderReplayEnd(report: ReplayReport, dryRun: boolean): string {
  const all = replayedTables.map((table) => report.tables[table]);
  const sum = (name: keyof TableTally) => all.reduce((total, table) => total + table[name], 0);
  const differences = sum("missing") + sum("different");
  const lines: string[] = [];
  for (const [reason, count] of Object.entries(report.unreadable))
    lines.push(`Not read again: ${renderCount(count)} stored events (${reason.replaceAll("_", " ")}).`);
  if (!report.conversationsCompared)
    lines.push("Conversations were not compared: more messages differ than a dry run can keep in mind.");
  if (sum("changedMeanwhile") > 0)
    lines.push(`Changed meanwhile: ${renderCount(sum("changedMeanwhile"))} rows. Run it again.`);
  if (report.interrupted)
    lines.push(
      `Stopped after ${renderCount(report.events)} events. Run it again: what is corrected is found in order then.`,
    );
  else
    lines.push(
      `Replayed ${renderCount(report.events)} events in ${renderCount(report.durationMs)} ms: ${renderCount(differences)} differences${dryRun ? ", nothing was written" : `, ${renderCount(sum("corrected"))} corrected`}.`,
    );
  return lines.map((line) => `${line}\n`).join("");
}
