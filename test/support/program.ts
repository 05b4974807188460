/** Runs the compiled binary the way an operator does, in an environment of its own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compiledBinary } from "./compiled-binary.ts";

export type Ended = { readonly code: number; readonly out: string; readonly err: string };
const startBoundMs = 40_000;

/** A temporary folder that goes with the test. */
export function openFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "social-sync-e2e-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Starts the binary; nothing of our own environment leaks in. */
export async function startProgram(args: readonly string[], env: Record<string, string>, stdin?: string) {
  const child = Bun.spawn([await compiledBinary(), ...args], {
    cwd: tmpdir(),
    env: { PATH: process.env.PATH ?? "", ...env },
    stdin: stdin === undefined ? "ignore" : new Blob([stdin]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const output = { out: "", err: "" };
  const collect = async (stream: ReadableStream<Uint8Array>, name: "out" | "err") => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) output[name] += decoder.decode(bytes, { stream: true });
  };
  const collected = Promise.all([collect(child.stdout, "out"), collect(child.stderr, "err")]);
  const ended = (async (): Promise<Ended> => {
    const code = await child.exited;
    await collected;
    return { code, ...output };
  })();
  return {
    pid: child.pid,
    output,
    ended,
    signal: (name: NodeJS.Signals) => child.kill(name),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** Runs a command to its end. */
export async function runProgram(args: readonly string[], env: Record<string, string>, stdin?: string): Promise<Ended> {
  await using program = await startProgram(args, env, stdin);
  return await program.ended;
}

/** Starts `serve` on a free port and waits until it listens. */
export async function startDaemon(args: readonly string[], env: Record<string, string>) {
  const program = await startProgram(["serve", "--port", "0", ...args], env);
  const find = (pattern: RegExp) => pattern.exec(program.output.err)?.[1];
  await until(
    () => find(/listens on (\S+)/) !== undefined && program.output.err.includes("look at"),
    startBoundMs,
    () => program.output.err,
  );
  return {
    ...program,
    url: find(/listens on (\S+)/) ?? "",
    sandboxUrl: find(/sandbox +(http:\/\/[^\s,]+)/) ?? "",
    [Symbol.asyncDispose]: program[Symbol.asyncDispose],
  };
}

/** Waits until `condition` holds; throws with `describe()` where it does not within the bound. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  boundMs: number,
  describe: () => string = () => "",
): Promise<void> {
  const start = performance.now();
  while (!(await condition())) {
    if (performance.now() - start > boundMs)
      throw new Error(`Not reached within ${boundMs} ms.\n${describe().slice(-4_000)}`);
    await Bun.sleep(20);
  }
}

/** Sends JSON, or asks for it. */
export async function ask<T>(url: string, body?: unknown): Promise<T> {
  const init =
    body === undefined
      ? {}
      : { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const response = await fetch(url, init);
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as T;
}
