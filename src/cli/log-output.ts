import { createConsola } from "consola/core";
import type { Config } from "../config.ts";
import type { Clock } from "../lib/clock.ts";
import { createLog, type Log, type LogFields, type LogLevel } from "../lib/log.ts";
import { colorsOf, paint } from "./terminal-style.ts";
import { plainText } from "./text-values.ts";

/** Lines waiting for the tick's end beyond this many characters are written at once: bounds the buffer. */
const bufferCharactersMax = 65_536;

export type LogOutputOptions = {
  readonly level: Config["logLevel"];
  readonly format: Config["logFormat"];
  readonly colors: boolean;
  /** Where finished lines go: standard error, or the screen that keeps a progress bar below them. */
  readonly write: (text: string) => void;
  readonly clock: Pick<Clock, "nowMs" | "after">;
};

export type LogOutput = Disposable & { readonly log: Log; readonly flush: () => void };

/**
 * The log of a process: JSON lines `{"level","message","context","time",…}` or lines for people. Buffered: one write a
 * tick, however many lines it brought; `flush()` and the end of its scope write what is left.
 */
export function openLogOutput({ level, format, colors, write, clock }: LogOutputOptions): LogOutput {
  let buffer = "";
  let cancel: (() => void) | null = null;
  const flush = () => {
    cancel?.();
    cancel = null;
    if (buffer === "") return;
    const text = buffer;
    buffer = "";
    write(text);
  };
  const append = (line: string) => {
    buffer += `${line}\n`;
    if (buffer.length > bufferCharactersMax) flush();
    else cancel ??= clock.after(0, flush);
  };
  const print = format === "json" ? printJson(append) : printPretty(append, colors);
  const log = createLog(level, (of, message, context, fields) => print(clock.nowMs(), of, message, context, fields));
  return { log, flush, [Symbol.dispose]: flush };
}

/** The log that `config` asks for on `io`'s standard error, or on `write` where a screen stands in front of it. */
export function openCommandLog(
  config: Pick<Config, "logLevel" | "logFormat">,
  io: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly stderr: { readonly isTty: boolean; readonly write: (text: string) => void };
    readonly clock: Clock;
    readonly abort: AbortSignal;
  },
  write: (text: string) => void = io.stderr.write,
): LogOutput {
  const { logLevel: level, logFormat: format } = config;
  const output = openLogOutput({ level, format, colors: colorsOf(io.env, io.stderr), write, clock: io.clock });
  io.abort.addEventListener("abort", output.flush);
  return {
    ...output,
    [Symbol.dispose]() {
      io.abort.removeEventListener("abort", output.flush);
      output.flush();
    },
  };
}

type Print = (nowMs: number, level: LogLevel, message: string, context: string, fields: LogFields) => void;

/** consola has no JSON reporter. The four names that operators grep for cannot be overwritten by a field. */
function printJson(append: (line: string) => void): Print {
  let stamp = { ms: Number.NaN, text: "" }; // thousands of lines a second share a millisecond
  return (nowMs, level, message, context, fields) => {
    if (stamp.ms !== nowMs) stamp = { ms: nowMs, text: new Date(nowMs).toISOString() };
    const line: Record<string, unknown> = { level, message, context, time: stamp.text };
    // A replacer is called for every value: only a line that holds more than plain ones pays for it.
    let plain = true;
    for (const name in fields) {
      const value = fields[name];
      line[name in ownKeys ? `${name}_` : name] = value;
      if ((typeof value === "object" && value !== null) || typeof value === "bigint") plain = false;
    }
    append((plain ? JSON.stringify(line) : stringify(line)).replace(deceptive, escapeSign));
  };
}

/** JSON lets these stand: C1 controls, and what turns a terminal's direction or hides. Escaped, the line means the same. */
const deceptive = /[\u007f-\u009f\p{Cf}\u2028\u2029]/gu;
const escapeSign = (sign: string) =>
  Array.from({ length: sign.length }, (_, at) => `\\u${sign.charCodeAt(at).toString(16).padStart(4, "0")}`).join("");

const ownKeys = { __proto__: null, level: 0, message: 0, context: 0, time: 0 };

function stringify(line: LogFields): string {
  const readable = (_: string, value: unknown) => {
    if (typeof value === "bigint") return value.toString();
    return value instanceof Error ? `${value.name}: ${value.message}` : value;
  };
  try {
    return JSON.stringify(line, readable);
  } catch {
    const { level, message, context, time } = line; // a ring among the fields must not cost the line
    return JSON.stringify({ level, message, context, time });
  }
}

const colorOf = { error: "red", warn: "yellow", log: "cyan", debug: "gray" } as const;

function printPretty(append: (line: string) => void, colors: boolean): Print {
  const color = paint(colors);
  const output = createConsola({
    level: 5, // createLog() has chosen already
    throttle: 0, // else consola swallows lines that repeat
    reporters: [
      {
        log({ type, tag, date, args }) {
          const level: LogLevel = type === "error" || type === "warn" || type === "debug" ? type : "log";
          const clockTime = date.toTimeString().slice(0, 8);
          const head = `${color("gray", clockTime)} ${color(colorOf[level], level.padEnd(5))}`;
          append(`${head} ${String(args[0])} ${color("gray", [tag, ...args.slice(1)].join(" "))}`);
        },
      },
    ],
  });
  return (nowMs, level, message, context, fields) => {
    const values = Object.entries(fields)
      .filter(([, value]) => value !== null && value !== undefined)
      .map(
        ([name, value]) => `${name}=${typeof value === "object" ? stringify({ value }).slice(9, -1) : String(value)}`,
      );
    output[level]({ args: [plainText(message), ...values.map(plainText)], tag: context, date: new Date(nowMs) });
  };
}
