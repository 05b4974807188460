/**
 * The system calls of processes in the order in which they happened, by strace.
 *
 *   const log = await traceCalls(() => [daemon.pid, …], async () => { …send posts… });
 *   parseCalls(log)      // writes, flushes and what sockets brought, each with its begin and end in the log's order
 *
 * One strace sees all of the processes: a call's line stands before every line that could only follow from it.
 */
import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitUntil, withDeadline } from "../support/bounded-wait.ts";
import { canInstallDebianPackages, installDebianPackages } from "../support/debian-packages.ts";

const attachMsMax = 10_000;
const detachMsMax = 20_000;
const textBytesMax = 262_144; // Of one call: Postgres writes some pages of its log at once.
const traced = "recvfrom,sendto,sendmsg,write,writev,pwrite64,pwritev,fsync,fdatasync";

export type Call = {
  readonly pid: number;
  readonly name: string;
  /** What its descriptor stands for: a path, or `socket:[…]`. */
  readonly target: string;
  /** Its arguments as strace writes them: the bytes among them, escaped. */
  readonly text: string;
  /** Whether it succeeded. */
  readonly ok: boolean;
  /** Places in the log. */
  readonly beginsAt: number;
  readonly endsAt: number;
};

/** Runs `work` while every thread and child of `listPids()` is traced; answers the log. Throws where they cannot be. */
export async function traceCalls(listPids: () => readonly number[], work: () => Promise<void>): Promise<string> {
  const pids = listPids();
  const path = join(tmpdir(), `social-sync-strace-${process.pid}-${crypto.randomUUID()}`);
  const attach = pids.flatMap((pid) => ["-p", String(pid)]);
  const options = ["-f", "-ttt", "-y", "-s", String(textBytesMax), "-e", `trace=${traced}`, "-o", path];
  const strace = Bun.spawn([findStrace(), ...options, ...attach], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const said = new Response(strace.stderr).text();
  try {
    const isAttached = () => strace.exitCode !== null || pids.every((pid) => readTracer(pid) === strace.pid);
    await waitUntil(isAttached, attachMsMax, "Cannot trace the processes: strace has not attached");
    if (strace.exitCode !== null)
      throw new Error(`Cannot trace the processes: strace ended.\n${(await said).slice(-1_000)}`);
    // One that was born between the list and the attachment is nobody's traced child.
    const strangers = listPids().filter((pid) => readTracer(pid) !== strace.pid);
    if (strangers.length > 0) throw new Error(`Cannot trace the processes: ${strangers.join(", ")} came meanwhile`);
    await work();
    strace.kill("SIGINT");
    await withDeadline(strace.exited, detachMsMax, "Cannot end the trace: strace has not ended");
    return readFileSync(path, "latin1");
  } finally {
    if (strace.exitCode === null) strace.kill("SIGKILL");
    rmSync(path, { force: true });
  }
}

function findStrace(): string {
  const found = Bun.which("strace");
  if (found !== null) return found;
  if (!canInstallDebianPackages())
    throw new Error("Cannot see the order of writes: strace is not installed, and we may not install it here.");
  installDebianPackages(["strace"]);
  const installed = Bun.which("strace");
  if (installed === null) throw new Error("Cannot see the order of writes: the package strace did not bring it.");
  return installed;
}

function readTracer(pid: number): number | null {
  try {
    return Number(/^TracerPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  } catch {
    return null;
  }
}

/** The calls of a log. What strace says in two lines, since another process came between, is one call again. */
export function parseCalls(log: string): Call[] {
  const calls: Call[] = [];
  const begun = new Map<number, { readonly name: string; readonly text: string; readonly at: number }>();
  for (const [at, line] of log.split("\n").entries()) {
    const [, pidText = "", rest = ""] = /^(\d+) +\d+\.\d+ (.*)$/.exec(line) ?? [];
    const pid = Number(pidText);
    const unfinished = /^(\w+)\((.*) <unfinished \.\.\.>$/.exec(rest);
    if (unfinished !== null) {
      begun.set(pid, { name: unfinished[1] ?? "", text: unfinished[2] ?? "", at });
      continue;
    }
    const resumed = /^<\.\.\. (\w+) resumed>(.*)$/.exec(rest);
    const start = resumed === null ? null : (begun.get(pid) ?? null);
    const whole = /^(\w+)\((.*)$/.exec(start === null ? rest : `${start.name}(${start.text}${resumed?.[2] ?? ""}`);
    if (whole === null) continue;
    begun.delete(pid);
    const [, name = "", text = ""] = whole;
    const result = /\) += (-?\d+)[^=]*$/.exec(text.slice(-200))?.[1];
    calls.push({
      pid,
      name,
      target: /^\d+<([^>]*)>/.exec(text)?.[1] ?? "",
      text,
      ok: result !== undefined && Number(result) >= 0,
      beginsAt: start?.at ?? at,
      endsAt: at,
    });
  }
  return calls;
}
