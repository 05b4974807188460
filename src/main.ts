/** argv → command → exit code; the one error boundary. Imports almost nothing: `--help` must be instant. */
import { type CommandEntry, commandTable } from "./cli/commands.ts";
import { nearest } from "./cli/edit-distance.ts";
import { takeEnvFile } from "./cli/env-file.ts";
import { type ExitCode, exitCodes, type Io } from "./cli/io.ts";
import { SyncError } from "./domain/error.ts";

/** Runs what `argv` (without the program's own words) asks for. Never throws: the exit code says how it ended. */
export async function main(argv: readonly string[], io: Io): Promise<ExitCode> {
  try {
    const { argv: words, env } = takeEnvFile(argv, io.env);
    return await dispatch(words[0] === "help" ? [...words.slice(1), "--help"] : words, { ...io, env });
  } catch (error) {
    const { explainError } = await import("./cli/explain-error.ts");
    const { text, exitCode } = explainError(error, io.env);
    io.stderr.write(text);
    return exitCode;
  }
}

async function dispatch(argv: readonly string[], io: Io): Promise<ExitCode> {
  const helpWanted = argv.some((word) => word === "--help" || word === "-h");
  const { path, entry, rest } = findEntry(argv, helpWanted);
  if (helpWanted) {
    io.stdout.write(await renderHelp(path, entry));
    return exitCodes.done;
  }
  if (entry.kind === "group") {
    if (path === "" && (rest[0] === "--version" || rest[0] === "-v") && rest.length === 1) {
      io.stdout.write(`social-sync ${io.version}\n`);
      return exitCodes.done;
    }
    throw new SyncError("usage_invalid", await refuseGroup(path, entry, rest[0]));
  }
  const command = await entry.load();
  if (command.onStop === "finish") return await command.run(rest, io);
  return await Promise.race([command.run(rest, io), leaveOnStop(io.stopTaking)]);
}

type Group = Extract<CommandEntry, { kind: "group" }>;
const root: Group = { kind: "group", summary: "", commands: commandTable };

/** Follows the words of `argv` into the table. Options may stand before a command's name only where help is wanted. */
function findEntry(
  argv: readonly string[],
  helpWanted: boolean,
): { path: string; entry: CommandEntry; rest: string[] } {
  let entry: CommandEntry = root;
  const path: string[] = [];
  const rest = helpWanted ? argv.filter((word) => word !== "--help" && word !== "-h") : [...argv];
  while (entry.kind === "group") {
    const word: string = rest[0] ?? "";
    const next: CommandEntry | undefined = Object.hasOwn(entry.commands, word) ? entry.commands[word] : undefined;
    if (next === undefined) break;
    entry = next;
    path.push(word);
    rest.shift();
  }
  return { path: path.join(" "), entry, rest };
}

async function renderHelp(path: string, entry: CommandEntry): Promise<string> {
  const { renderCommandHelp, renderGroupHelp, renderRootHelp } = await import("./cli/help-text.ts");
  if (entry.kind === "command") return renderCommandHelp(await entry.load());
  return path === "" ? renderRootHelp(entry.commands) : renderGroupHelp(path, entry.summary, entry.commands);
}

async function refuseGroup(path: string, entry: Group, word: string | undefined): Promise<string> {
  const { showWord } = await import("./cli/strict-arguments.ts");
  const names = Object.keys(entry.commands);
  const accepted = `accepted: social-sync ${path === "" ? "" : `${path} `}<${names.join("|")}>`;
  const doing = path === "" ? "Cannot run" : `Cannot run ${path}`;
  if (word === undefined) return `${doing}: no command was given (${accepted})`;
  if (word.startsWith("-")) return `${doing}: unknown option ${showWord(word.split("=")[0] ?? "")} (${accepted})`;
  const [close] = nearest(word, names);
  const hint = close === undefined ? "" : `, did you mean ${close}?`;
  return `${doing}: unknown command '${showWord(word)}'${hint} (${accepted})`;
}

/** Ends a short command where it stands: its statements are whole, and nothing of it needs finishing. */
function leaveOnStop(stopTaking: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const leave = () => reject(new SyncError("interrupted", "Cannot go on: interrupted"));
    if (stopTaking.aborted) leave();
    else stopTaking.addEventListener("abort", leave, { once: true });
  });
}
