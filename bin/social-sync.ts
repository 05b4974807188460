#!/usr/bin/env bun
/** The process: its signals, streams and environment become one `Io`, and main()'s answer its exit code. */
import { hostname } from "node:os";
import { isatty, type WriteStream } from "node:tty";
import { version } from "../package.json";
import type { Io, Output } from "../src/cli/io.ts";
import { createSystemClock } from "../src/lib/clock.ts";
import { armFaultPoints } from "../src/lib/fault-point.ts";
import { main } from "../src/main.ts";

/** True in a build of the fault harness, false in a release. */
declare const FAULT_POINTS: boolean | undefined;

/** Ctrl-C reaches a wrapper (npm, npx) and us, and the wrapper hands its own on: an echo this soon is the same one. */
const signalEchoMs = 50;
/** Where no terminal tells its width. */
const columnsDefault = 80;
const interruptedCode = 3;
const bugCode = 70;

const clock = createSystemClock();
const stop = new AbortController();
const abort = new AbortController();

let firstSignalAtMs = 0;
function onSignal() {
  if (!stop.signal.aborted) {
    firstSignalAtMs = clock.monotonicMs();
    stop.abort();
  } else if (clock.monotonicMs() - firstSignalAtMs >= signalEchoMs) {
    leave(interruptedCode);
  }
}

/** Ends the process now; the listeners of `abort` restore the terminal first. */
function leave(code: number): never {
  abort.abort();
  process.exit(code);
}

function wrapOutput(stream: WriteStream): Output {
  let open = true;
  let unread = 0; // in characters; Bun's own count stays at 0
  const waiting = new Set<() => void>();
  const look = () => {
    for (const one of waiting) one();
  };
  stream.on("error", () => {
    open = false; // the reader has gone (`| head`): what is left has no taker, and that is no trouble of ours
    look();
  });
  return {
    write(text) {
      if (!open) return;
      unread += text.length;
      stream.write(text, () => {
        unread -= text.length;
        look();
      });
    },
    drained: (charactersMax, signal) =>
      new Promise((resolve) => {
        const lookOnce = () => {
          if (open && unread > charactersMax && !signal.aborted) return;
          waiting.delete(lookOnce);
          signal.removeEventListener("abort", lookOnce);
          resolve();
        };
        waiting.add(lookOnce);
        signal.addEventListener("abort", lookOnce);
        lookOnce();
      }),
    isTty: stream.isTTY === true,
    columns: () => stream.columns || columnsDefault,
    onResize(listener) {
      stream.on("resize", listener);
      return () => stream.off("resize", listener);
    },
  };
}

const stdout = wrapOutput(process.stdout);
const stderr = wrapOutput(process.stderr);

/** A throw that nothing caught: a bug. Never a stack full of values, and never code 0. */
async function onBug(error: unknown) {
  const { explainError } = await import("../src/cli/explain-error.ts");
  stderr.write(explainError(error instanceof Error ? error : new Error(String(error)), process.env).text);
  leave(bugCode);
}

/** A terminal left raw would show nothing of what is typed next. */
let restoreKeyboard: () => unknown = () => {};

process.on("exit", () => restoreKeyboard());
process.on("SIGINT", onSignal);
process.on("SIGTERM", onSignal);
process.on("uncaughtException", onBug);
process.on("unhandledRejection", onBug);

const io: Io = {
  env: process.env,
  stdout,
  stderr,
  stdinIsTty: isatty(0), // process.stdin would open the stream
  async readStdin(bytesMax) {
    const { readBounded } = await import("../src/cli/read-bounded.ts");
    return await readBounded(Bun.stdin.stream(), bytesMax, "standard input");
  },
  async readHidden(prompt) {
    const { readHidden } = await import("../src/cli/read-hidden.ts");
    const keyboard = {
      setRaw(raw: boolean) {
        process.stdin.setRawMode(raw);
        restoreKeyboard = raw ? () => process.stdin.setRawMode(false) : () => {};
        if (raw) process.stdin.resume();
        else process.stdin.pause();
      },
      onKeys(listener: (keys: string) => void) {
        const onData = (bytes: Uint8Array) => listener(Buffer.from(bytes).toString("utf8"));
        process.stdin.on("data", onData);
        return () => process.stdin.off("data", onData);
      },
    };
    return await readHidden(keyboard, stderr.write, prompt);
  },
  clock,
  stopTaking: stop.signal,
  abort: abort.signal,
  workingDirectory: process.cwd(),
  version,
  instance: `${hostname()}:${process.pid}`,
  usage() {
    const { user, system } = process.cpuUsage();
    return { residentBytes: process.memoryUsage.rss(), cpuSeconds: (user + system) / 1e6 };
  },
};

// Said here in full, since the bundler leaves out only what it sees to be false in this very file.
if (typeof FAULT_POINTS !== "undefined" && FAULT_POINTS && process.env.SOCIAL_SYNC_FAULT_POINTS)
  armFaultPoints(process.env.SOCIAL_SYNC_FAULT_POINTS, {
    kill: () => process.kill(process.pid, "SIGKILL"),
    stall() {
      const endMs = clock.monotonicMs() + 2_000;
      while (clock.monotonicMs() < endMs);
    },
  });

const exitCode = await main(process.argv.slice(2), io);
await Promise.all([drain(process.stdout), drain(process.stderr)]);
process.exit(exitCode);

/** Waits until a pipe has taken everything, or has no reader any more. An empty write would be answered before that. */
function drain(stream: WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.once("error", () => resolve());
    stream.end(() => resolve());
  });
}
