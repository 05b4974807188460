/** The real program, as a user starts it. */
import { join } from "node:path";

const entry = join(import.meta.dir, "../../bin/social-sync.ts");

export type CliEnd = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };
export type CliOptions = { readonly env?: Record<string, string>; readonly stdin?: string; readonly cwd?: string };

/** Nothing of the developer's own settings may reach the program under test. */
const plainEnv = { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "", LANG: "C.UTF-8" };

/** Starts `social-sync …args`; its output is piped, so it sees no terminal. */
export function startCli(args: readonly string[], { env = {}, stdin, cwd }: CliOptions = {}) {
  return Bun.spawn([process.execPath, entry, ...args], {
    env: { ...plainEnv, ...env },
    stdin: stdin === undefined ? "ignore" : new Blob([stdin]),
    stdout: "pipe",
    stderr: "pipe",
    ...(cwd === undefined ? {} : { cwd }),
  });
}

/** Runs it to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliEnd> {
  const child = startCli(args, options);
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

/** The shell command that starts it, for a terminal of tmux. */
export function cliCommand(args: readonly string[]): string {
  return [process.execPath, entry, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
}

export function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}
