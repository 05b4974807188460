/** CPU time and memory of single processes, and what the machine was kept from, from /proc. Throws where the process has gone or there is no /proc. */
import { readFileSync } from "node:fs";
import { listProcessesIn } from "../support/server-folder.ts";

/** USER_HZ, the unit of /proc: fixed at 100 by Linux on every machine that Bun runs on. */
const ticksPerSecond = 100;
const bytesPerKilobyte = 1024;

type CpuTicks = { readonly own: number; readonly endedChildren: number };

function readTicks(pid: number): CpuTicks {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name in parentheses may hold spaces; what follows the last one are single words, `state` first.
  const words = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [user = 0, system = 0, childUser = 0, childSystem = 0] = words.slice(11, 15).map(Number);
  return { own: user + system, endedChildren: childUser + childSystem };
}

/** User and system time of the process and all its threads, in seconds; steps of 10 ms. */
export function readCpuSeconds(pid: number): number {
  return readTicks(pid).own / ticksPerSecond;
}

/** CPU time of a whole server: every process that works in `folder`, and the ended children of its main one. */
export function readServerCpuSeconds({ pid, folder }: { readonly pid: number; readonly folder: string }): number {
  let ticks = readTicks(pid).endedChildren;
  for (const member of listProcessesIn(folder)) {
    try {
      ticks += readTicks(member).own;
    } catch {
      // Ended between the list and our look: its time stands with the main process now.
    }
  }
  return ticks / ticksPerSecond;
}

/** Seconds that this machine's cores wanted to work and were not let, since its start: `steal` of proc(5). */
export function readStolenSeconds(): number {
  const [total = ""] = readFileSync("/proc/stat", "utf8").split("\n", 1);
  return Number(total.split(/ +/)[8] ?? Number.NaN) / ticksPerSecond;
}

/** `now`: what is resident. `peak`: the most there ever was. */
export function readMemoryBytes(pid: number): { readonly now: number; readonly peak: number } {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  const read = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? Number.NaN);
  return { now: read("VmRSS") * bytesPerKilobyte, peak: read("VmHWM") * bytesPerKilobyte };
}

export const megabytesOf = (bytes: number): number => bytes / 1_000_000;
