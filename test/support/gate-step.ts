/** One step of the gate: a command with a bound. Imports nothing that has to be installed first. */
import { spawn } from "node:child_process";

const killAfterMs = 5_000; // What a step gets to end by itself after a polite signal.
const tailCharsMax = 16_000; // Bun closes with a dozen short lines.

/**
 * Becomes the command, in whose group a guard stands from before it starts: where our end of the pipe closes, even by
 * SIGKILL, it kills the group. When the step ends by itself we end the group, and the guard with it. Both outputs are
 * one stream, so that the lines keep their order.
 */
const guardedScript = `
exec 3<&0
(trap '' INT TERM HUP; read -r word <&3; kill -KILL 0) >/dev/null 2>&1 &
exec "$0" "$@" 3<&- </dev/null 2>&1
`;

export type CommandOptions = {
  readonly timeoutMs: number;
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Where its output goes; by default to our own, as it comes. */
  readonly print?: (bytes: Buffer) => void;
};

export type StepEnd = {
  /** Null where it was stopped because its time was over. */
  readonly exitCode: number | null;
  /** The last of what it printed, for the one who counts. */
  readonly tail: string;
};

/**
 * Runs `command` in a process group of its own with nothing to read, prints what it prints, and ends the whole group
 * after `timeoutMs`. An interruption of the gate ends the step too, and the gate goes on to its last line.
 */
export async function runCommand(command: readonly [string, ...string[]], options: CommandOptions): Promise<StepEnd> {
  const print = options.print ?? ((bytes) => process.stdout.write(bytes));
  const [program] = command;
  const child = spawn("/bin/sh", ["-c", guardedScript, ...command], {
    detached: true,
    env: options.env,
    stdio: ["pipe", "pipe", "ignore"], // Nothing is ever written to the first: it is the guard's lifeline.
  });
  child.stdin.on("error", () => {}); // The step may be gone before us.
  let tail = "";
  child.stdout.on("data", (bytes: Buffer) => {
    print(bytes);
    tail = (tail + bytes.toString()).slice(-tailCharsMax);
  });
  const endGroup = (signal: NodeJS.Signals) => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // Nobody is left in the group.
    }
  };
  let stopped = false;
  const timers: ReturnType<typeof setTimeout>[] = [];
  const stop = () => {
    stopped = true;
    endGroup("SIGTERM");
    timers.push(setTimeout(() => endGroup("SIGKILL"), killAfterMs));
  };
  timers.push(setTimeout(stop, options.timeoutMs));
  options.signal.addEventListener("abort", stop, { once: true });
  if (options.signal.aborted) stop();
  try {
    const exitCode = await new Promise<number | null>((resolve) => {
      child.once("error", (error) => {
        process.stdout.write(`Cannot run ${program}: ${error.message}\n`);
        resolve(127);
      });
      child.once("exit", (code) => {
        // A child of the step that lives on would keep the pipes open: end it and go.
        endGroup("SIGKILL");
        child.once("close", () => resolve(code));
        timers.push(setTimeout(() => resolve(code), killAfterMs));
      });
    });
    return { exitCode: stopped ? null : exitCode, tail };
  } finally {
    for (const timer of timers) clearTimeout(timer);
    options.signal.removeEventListener("abort", stop);
    child.stdin.destroy();
  }
}

/**
 * Reads how many tests ran from what `bun test` printed last. Its JUnit report leaves out files that do not even load,
 * its own summary counts them. All zero where there is no summary.
 */
export function readTestCounts(tail: string): { readonly passed: number; readonly failed: number } {
  const plain = Bun.stripANSI(tail);
  const end = plain.lastIndexOf("\nRan ");
  const summary = end < 0 ? "" : plain.slice(Math.max(0, plain.lastIndexOf("--seed=", end)), end);
  const count = (word: string) => Number(new RegExp(`^ *(\\d+) ${word}$`, "m").exec(summary)?.[1] ?? 0);
  return { passed: count("pass"), failed: count("fail") };
}
