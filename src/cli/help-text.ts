import type { ArgDef } from "citty";
import type { CommandUsage } from "./command.ts";
import type { CommandTable } from "./commands.ts";

/** Width of every help text, so that it fits the narrowest terminal that is common. */
export const helpColumns = 80;
const indent = "  ";
/** Room between the names on the left and what they do. */
const gap = 2;
/** A name longer than this stands on a line of its own. */
const leftMax = 28;

const exitCodeRows = [
  ["0", "done"],
  ["1", "usage or configuration"],
  ["2", "finished, some failed"],
  ["3", "interrupted, can be resumed"],
  ["4", "token or permission"],
  ["5", "storage unavailable"],
  ["70", "a bug in social-sync"],
] as const;

/** The help of the whole program. */
export function renderRootHelp(commands: CommandTable): string {
  return join([
    "social-sync puts a name and a face on Instagram conversations.",
    "",
    "Usage: social-sync <command> [options]",
    "",
    "Commands:",
    ...renderRows(Object.entries(commands).map(([name, { summary }]) => [name, summary])),
    "",
    "Examples:",
    `${indent}social-sync serve --sandbox`,
    `${indent}social-sync backfill --account-id shop`,
    "",
    "Exit codes:",
    ...renderRows(exitCodeRows),
    "",
    ...wrap(
      "Settings come from the environment: DATABASE_URL, META_APP_SECRET, … See the README. --env-file <path>, with any command, reads them from a file.",
      helpColumns,
    ),
    "social-sync <command> --help tells more about a command.",
  ]);
}

/** The help of a group: `social-sync accounts --help`. */
export function renderGroupHelp(name: string, summary: string, commands: CommandTable): string {
  const names = Object.keys(commands);
  return join([
    `${summary[0]?.toUpperCase()}${summary.slice(1)}.`,
    "",
    `Usage: social-sync ${name} <${names.join("|")}> [options]`,
    "",
    "Commands:",
    ...renderRows(Object.entries(commands).map(([word, entry]) => [word, entry.summary])),
    "",
    "Example:",
    `${indent}social-sync ${name} ${names[0]} --help`,
  ]);
}

/** The help of one command. */
export function renderCommandHelp(usage: CommandUsage): string {
  const entries = Object.entries(usage.args);
  const words = entries.filter(([, { type }]) => type === "positional");
  const options = entries.filter(([, { type }]) => type !== "positional");
  const optional = options.some(([, { required }]) => required !== true);
  const required = options.filter(([, definition]) => definition.required === true);
  const form = [
    "social-sync",
    usage.name,
    ...words.map(([name]) => `<${name}>`),
    ...required.map(([name, definition]) => optionText(name, definition)),
    ...(optional ? ["[options]"] : []),
  ].join(" ");
  return join([
    ...wrap(`${usage.summary[0]?.toUpperCase()}${usage.summary.slice(1)}.`, helpColumns),
    "",
    ...wrap(`Usage: ${form}`, helpColumns, " ".repeat("Usage: ".length)),
    "",
    ...(words.length === 0
      ? []
      : ["Arguments:", ...renderRows(words.map(([name, d]) => [`<${name}>`, explain(d)])), ""]),
    "Options:",
    ...renderRows([
      ...options.map(([name, d]) => [optionText(name, d), explain(d)] as const),
      ["-h, --help", "this text"],
    ]),
    "",
    usage.examples.length === 1 ? "Example:" : "Examples:",
    ...usage.examples.flatMap((example) => wrap(`${indent}${example}`, helpColumns - 2, indent.repeat(2), " \\")),
    ...(usage.notes ?? []).flatMap((note) => ["", ...wrap(note, helpColumns)]),
  ]);
}

function optionText(name: string, { type, valueHint }: ArgDef): string {
  return type === "boolean" ? `--${name}` : `--${name} <${valueHint ?? "value"}>`;
}

function explain(definition: ArgDef): string {
  const fallback = typeof definition.default === "string" ? ` (default: ${definition.default})` : "";
  return `${definition.description ?? ""}${fallback}`;
}

function renderRows(rows: readonly (readonly [string, string])[]): string[] {
  const left = Math.min(leftMax, Math.max(...rows.map(([name]) => name.length)));
  const margin = " ".repeat(indent.length + left + gap);
  return rows.flatMap(([name, text]) => {
    const [first = "", ...rest] = wrap(text, helpColumns - margin.length);
    const tail = rest.map((line) => `${margin}${line}`);
    if (name.length > left) return [`${indent}${name}`, `${margin}${first}`, ...tail];
    return [`${indent}${name.padEnd(left + gap)}${first}`, ...tail];
  });
}

/** Breaks `text` between words; a broken line ends in `tail` and goes on after `hang`. */
export function wrap(text: string, columns: number, hang = "", tail = ""): string[] {
  const lines: string[] = [];
  let line = text.match(/^ */)?.[0] ?? "";
  let empty = true;
  for (const word of text.trim().split(/ +/)) {
    if (!empty && line.length + 1 + word.length > columns) {
      lines.push(line + tail);
      line = hang;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line];
}

const join = (lines: readonly string[]) => `${lines.join("\n")}\n`;
