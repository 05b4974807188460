import type { Clock } from "../lib/clock.ts";

/** What a process leaves behind (spec §1); the meanings stand in the root help and the README. */
export const exitCodes = {
  done: 0,
  usage: 1,
  someFailed: 2,
  interrupted: 3,
  token: 4,
  storage: 5,
  bug: 70,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** One of the two output streams. */
export type Output = {
  write: (text: string) => void;
  /** Resolves once at most `charactersMax` characters wait for the reader; where nobody reads any more, or `signal` fires, at once. */
  drained: (charactersMax: number, signal: AbortSignal) => Promise<void>;
  readonly isTty: boolean;
  /** The terminal's width now; 80 where there is no terminal. */
  columns: () => number;
  /** Calls `listener` after each resize; the returned function ends that. */
  onResize: (listener: () => void) => () => void;
};

/** The process as the commands see it. Only `bin` makes a real one. */
export type Io = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly stdinIsTty: boolean;
  /** All of standard input as text. Throws `usage_invalid` beyond `bytesMax`. */
  readonly readStdin: (bytesMax: number) => Promise<string>;
  /** Asks on the terminal without showing the answer. Throws `interrupted` on Ctrl-C. */
  readonly readHidden: (prompt: string) => Promise<string>;
  readonly clock: Clock;
  /** The first SIGINT or SIGTERM: take nothing new, finish what is in hand. */
  readonly stopTaking: AbortSignal;
  /** The second one: the process leaves as soon as the listeners have run, so they must be synchronous. */
  readonly abort: AbortSignal;
  readonly workingDirectory: string;
  readonly version: string;
  /** `host:pid`: who holds a run or a lease. */
  readonly instance: string;
  /** What the process uses: memory in bytes, processor time in seconds. */
  readonly usage: () => { readonly residentBytes: number; readonly cpuSeconds: number };
};
