import type { ArgDef } from "citty";
import { SyncError } from "../domain/error.ts";
import type { CommandUsage } from "./command.ts";
import { nearest } from "./edit-distance.ts";

/** A stray word longer than this may be a secret that lost its option: only its beginning is repeated. */
const wordShownMax = 24;
/** Enough to recognise what one typed, too little to be of use to anybody else. */
const wordBeginning = 4;

type Declared = Readonly<Record<string, ArgDef>>;

/**
 * Reads `rawArgs` as the command declared them and hands back a spelling that citty cannot misread: `--name=value`,
 * `--switch`, then the words. citty accepts unknown options, stray words, repeated options and empty values silently.
 * Throws `usage_invalid` with one line that ends in the accepted form; no line repeats an option's value.
 */
export function readStrictly(usage: CommandUsage, rawArgs: readonly string[]): string[] {
  const declared: Declared = usage.args;
  const refuse = (problem: string) => refusal(`Cannot run ${usage.name}: ${problem}`, usage);
  const options = new Map<string, string>();
  const words: string[] = [];
  for (let at = 0; at < rawArgs.length; at++) {
    const token = rawArgs[at] ?? "";
    if (!token.startsWith("-") || token === "-") {
      words.push(token);
      continue;
    }
    const [spelled = "", ...rest] = token.split("=");
    const inline = rest.length > 0 ? rest.join("=") : null;
    const name = spelled.slice(2);
    const why = usage.refused?.[name];
    if (why !== undefined) throw refuse(why);
    const definition = spelled.startsWith("--") ? declared[name] : undefined;
    if (definition === undefined || definition.type === "positional") throw refuse(unknownOption(spelled, declared));
    if (options.has(name)) throw refuse(`--${name} is given twice`);
    if (definition.type === "boolean") {
      if (inline !== null) throw refuse(`--${name} takes no value`);
      options.set(name, `--${name}`);
      continue;
    }
    const next = rawArgs[at + 1];
    const value = inline ?? (next !== undefined && isValue(next) ? next : "");
    if (inline === null && value !== "") at += 1;
    if (value.trim() === "") throw refuse(`--${name} needs a value`);
    options.set(name, `--${name}=${value}`);
  }
  const positionals = Object.entries(declared).filter(([, { type }]) => type === "positional");
  const stray = words[positionals.length];
  if (stray !== undefined) throw refuse(`unexpected word '${showWord(stray)}'`);
  for (const [place, [name]] of positionals.entries()) {
    if ((words[place] ?? "").trim() === "") throw refuse(`<${name}> is missing`);
  }
  for (const [name, { type, required }] of Object.entries(declared)) {
    if (type !== "positional" && required === true && !options.has(name)) throw refuse(`--${name} is missing`);
  }
  return [...options.values(), "--", ...words];
}

/** A command's accepted form in one line: `social-sync backfill --account-id <id> [--json]`. */
export function formOf({ name, args }: Pick<CommandUsage, "name" | "args">): string {
  const parts = Object.entries(args).map(([option, definition]) => {
    if (definition.type === "positional") return `<${option}>`;
    const spelled = optionForm(option, definition);
    return definition.required === true ? spelled : `[${spelled}]`;
  });
  return ["social-sync", name, ...parts].join(" ");
}

/** `--port <number>`, or `--json` for a switch. */
export function optionForm(name: string, { type, valueHint }: ArgDef): string {
  return type === "boolean" ? `--${name}` : `--${name} <${valueHint ?? "value"}>`;
}

/** The refusal of one option's value, by the command itself: `problem` completes "--name …". */
export function optionRefusal(usage: Pick<CommandUsage, "name" | "args">, option: string, problem: string): SyncError {
  return refusal(`Cannot run ${usage.name}: --${option} ${problem}`, usage);
}

/** What is wrong, then the accepted form, in one line. */
function refusal(problem: string, usage: Pick<CommandUsage, "name" | "args">): SyncError {
  return new SyncError("usage_invalid", `${problem} (accepted: ${formOf(usage)})`);
}

/** `-` is standard input and `-1` a number that the command itself refuses by name. */
const isValue = (token: string) => !token.startsWith("-") || token === "-" || /^-\d/.test(token);

function unknownOption(spelled: string, declared: Declared): string {
  const [close] = nearest(spelled.replace(/^-+/, ""), Object.keys(declared));
  const hint = close === undefined || declared[close]?.type === "positional" ? "" : `, did you mean --${close}?`;
  return `unknown option ${showWord(spelled)}${hint}`;
}

/** A word for a message: no control characters, and only its beginning where it may be a secret. */
export function showWord(word: string): string {
  const plain = word.replace(/\p{C}/gu, "?");
  const secretLike = plain.length > wordShownMax || /^(IG|EA)A/.test(plain);
  return secretLike ? `${plain.slice(0, wordBeginning)}…` : plain;
}
