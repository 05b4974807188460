import { type ArgsDef, defineCommand, runCommand } from "citty";
import type { ExitCode, Io } from "./io.ts";
import { readStrictly } from "./strict-arguments.ts";

/** A command's arguments as it sees them: a string or null, a boolean for a switch. Never `undefined`. */
export type CommandArguments<T extends ArgsDef> = {
  readonly [K in keyof T]: T[K] extends { type: "boolean" }
    ? boolean
    : T[K] extends { required: true } | { default: string }
      ? string
      : string | null;
};

/** What its help says and its argument guard refuses. */
export type CommandUsage = {
  /** The words after the program's name: `accounts add`. */
  readonly name: string;
  readonly summary: string;
  readonly args: ArgsDef;
  readonly examples: readonly string[];
  /** Further paragraphs of the help. */
  readonly notes?: readonly string[];
  /** Options that do not exist for a reason worth a sentence. */
  readonly refused?: Readonly<Record<string, string>>;
};

export type CliCommand = CommandUsage & {
  /** `leave`: the first signal ends the command where it stands. `finish`: it watches `io.stopTaking` itself. */
  readonly onStop: "leave" | "finish";
  /** Reads the arguments strictly, then runs. Throws SyncError; answers the exit code. */
  readonly run: (rawArgs: readonly string[], io: Io) => Promise<ExitCode>;
};

type CommandParts<T extends ArgsDef> = Omit<CliCommand, "run" | "args"> & {
  readonly args: T;
  readonly run: (args: CommandArguments<T>, io: Io) => Promise<ExitCode>;
};

/** Makes a command over citty: strict about its arguments, and typed where citty's own types lose the `undefined`. */
export function defineCliCommand<const T extends ArgsDef>(parts: CommandParts<T>): CliCommand {
  return {
    ...parts,
    async run(rawArgs, io) {
      const ends: ExitCode[] = [];
      const command = defineCommand<ArgsDef>({
        args: parts.args,
        async run({ args }) {
          ends.push(await parts.run(readArguments(parts.args, args), io));
        },
      });
      await runCommand(command, { rawArgs: readStrictly(parts, rawArgs) });
      return ends[0] ?? 0;
    },
  };
}

function readArguments<T extends ArgsDef>(declared: T, args: Readonly<Record<string, unknown>>): CommandArguments<T> {
  const entries = Object.entries(declared).map(([name, { type }]) => {
    const value = args[name];
    // citty hands `--no-x` over as an x that is off.
    if (type === "boolean") return [name, name.startsWith("no-") ? args[name.slice(3)] === false : value === true];
    return [name, typeof value === "string" ? value : null];
  });
  return Object.fromEntries(entries) as CommandArguments<T>; // the guard has seen that what is required is there
}
