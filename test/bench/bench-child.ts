/** A process of the bench's own (load, bare server) that talks to the runner in single messages. */
import { join } from "node:path";
import { withDeadline } from "../support/bounded-wait.ts";

const startTimeoutMs = 60_000; // Loading a script is 50 ms; preparing a run's bodies may take seconds.

export type BenchMessage = { readonly kind: string };
export type BenchChild = ReturnType<typeof startBenchChild>;

/** Starts `script` of this folder with `input` as its one argument; its messages are waited for by kind. */
export function startBenchChild(script: string, input: unknown) {
  const received = new Map<string, unknown>();
  const waiting = new Map<string, (message: unknown) => void>();
  const child = Bun.spawn([process.execPath, join(import.meta.dir, script), JSON.stringify(input)], {
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
    ipc(message: BenchMessage) {
      received.set(message.kind, message);
      waiting.get(message.kind)?.(message);
    },
  });
  const ended = child.exited.then((code): never => {
    throw new Error(`Cannot measure: ${script} ended with ${code}`);
  });
  ended.catch(() => {});
  return {
    pid: child.pid,
    /** The first message of that kind, come already or still to come. The script itself gave it its form. */
    next: <T extends BenchMessage>(kind: T["kind"], timeoutMs = startTimeoutMs): Promise<T> => {
      const come = received.get(kind);
      if (come !== undefined) return Promise.resolve(come as T);
      const message = new Promise<T>((resolve) => waiting.set(kind, (value) => resolve(value as T)));
      return withDeadline(Promise.race([message, ended]), timeoutMs, `Cannot measure: ${script} says no '${kind}'`);
    },
    tell: (message: BenchMessage): void => {
      child.send(message);
    },
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** In the child: says something to the runner. */
export function tellRunner<T extends BenchMessage>(message: T): void {
  process.send?.(message);
}

/** In the child: the input that the runner gave. */
export function readInput<T>(): T {
  return JSON.parse(process.argv[2] ?? "null") as T;
}
