/**
 * What the scenarios about broken servers and disks share: a steady load, the end that all of them come to, and figures.
 *
 *   const load = startLoad(rig, { lanes: 8, perSecond: 150 });
 *   const outages = await repeatOutage(rig, context, { breakIt: …, mendIt: …, … });
 *   return await finish(rig, load, outages);
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Rig } from "./rig.ts";
import type { ScenarioContext, ScenarioResult } from "./scenario.ts";
import type { Load, LoadOptions } from "./sender.ts";

/** Everything that was sent has its 200 by then; nothing is broken any more, and Meta's pauses are those of the sender. */
const acknowledgedMsMax = 30_000;
/** What may be answered to a signed delivery that is in order; 0: no whole answer, which only a dead daemon may cause. */
const answersAllowed = [200, 503];
const storedPollMs = 50;
const cyclesPerWord = 10;

/** A load that goes on until `finish()`: deliveries of the rig's own order, refused ones again and again. */
export function startLoad(rig: Rig, options: Omit<LoadOptions, "next">): Load {
  return rig.sender.start({ ...options, next: rig.order.next });
}

type Finish = {
  readonly cycles: number;
  readonly notes?: Readonly<Record<string, number | string>>;
  readonly broken?: readonly string[];
  /** How often the daemon was started on purpose; 1. */
  readonly starts?: number;
  /** Where the daemon is starved of memory, how long a request takes is told and no law. */
  readonly isStarved?: boolean;
};

/**
 * Ends a scenario: everything is acknowledged, every table compared, and the laws that hold in each row: no request
 * pending over 3 s, no answer but 200 and 503, and a daemon that nobody had to restart.
 */
export async function finish(
  rig: Rig,
  load: Load,
  { cycles, notes = {}, broken = [], starts = 1, isStarved = false }: Finish,
): Promise<ScenarioResult> {
  load.stopTaking();
  await load.acknowledged(acknowledgedMsMax);
  const check = await rig.check();
  const { pendingMs, over, lates } = rig.ledger.worst();
  const statuses = rig.ledger.statuses();
  const lives = rig.daemon.starts();
  const unexpected = [...statuses].filter(
    ([status]) => !answersAllowed.includes(status) && (status !== 0 || lives === 1),
  );
  return rig.result({
    cycles,
    check,
    notes: {
      ...notes,
      "requests answered 503": statuses.get(503) ?? 0,
      "worst pending, ms": Math.round(pendingMs),
    },
    broken: [
      ...broken,
      ...(over === 0 || isStarved
        ? []
        : [`${over} requests were pending over 3 s: ${JSON.stringify(lates.slice(0, 5))}`]),
      ...unexpected.map(([status, count]) => `${count} requests ended with ${status === 0 ? "no answer" : status}`),
      ...(lives === starts ? [] : [`The daemon was started ${lives} times, not ${starts}`]),
    ],
  });
}

/**
 * Ms from the moment `sinceMs` (since 1970) to the first commit that came from the daemon after it, by the time that
 * Postgres itself wrote into the row; null where there is none. A commit that began before the moment does not count.
 */
export async function firstStoredAfter(rig: Rig, sinceMs: number): Promise<number | null> {
  const [row] = await rig.sql<{ ms: number | null }[]>`
    select (extract(epoch from min(received_at)) * 1000)::float8 - ${sinceMs}::float8 as ms
    from events where received_at > to_timestamp(${sinceMs}::float8 / 1000)`;
  return row?.ms ?? null;
}

/** How often Postgres's own log has `text` by now: whether a fault came about at all. */
export function countInServerLog(rig: Rig, text: string): number {
  return readFileSync(join(rig.postgres.folder, "server.log"), "utf8").split(text).length - 1;
}

/** Memory of a process in MB: now, and at its most. */
export function readMegabytes(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const read = (name: string) =>
    Math.round(Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) / 1024);
  return { now: read("VmRSS"), peak: read("VmHWM") };
}

/** A server that is broken and mended under load, again and again. Times in ms. */
export type Outage = {
  /** How long all is well before each, and how long it stays broken. */
  readonly peaceMs: () => number;
  readonly brokenMs: () => number;
  readonly breakIt: (cycle: number) => void | Promise<void>;
  /** Answers when the server works again. */
  readonly mendIt: (cycle: number) => void | Promise<void>;
  /** Limits, from then on: to the first 200, and to the first commit. */
  readonly acknowledgedMsMax: number;
  readonly storedMsMax: number;
};

/** Breaks and mends as often as `context` says; answers how often, what was measured, and which limits did not hold. */
export async function repeatOutage(
  rig: Rig,
  { cycles, signal, say }: Pick<ScenarioContext, "cycles" | "signal" | "say">,
  outage: Outage,
): Promise<{
  readonly cycles: number;
  readonly notes: Readonly<Record<string, number>>;
  readonly broken: readonly string[];
}> {
  const acknowledged: (number | null)[] = [];
  const stored: (number | null)[] = [];
  const gaps: number[] = [];
  let done = 0;
  while (done < cycles && !signal.aborted) {
    await Bun.sleep(outage.peaceMs());
    const brokenMs = performance.now();
    await outage.breakIt(done);
    await Bun.sleep(outage.brokenMs());
    const mending = { ms: performance.now(), atMs: Date.now() };
    await outage.mendIt(done);
    const mendedMs = performance.now();
    const first = await waitForStored(rig, mending.atMs, outage.storedMsMax + mendedMs - mending.ms);
    // The daemon may get in before the harness has seen that the server works.
    stored.push(first === null ? null : Math.max(0, first - (mendedMs - mending.ms)));
    acknowledged.push(await waitForAcknowledged(rig, mendedMs, outage.acknowledgedMsMax));
    gaps.push(rig.ledger.worstGapWithin(brokenMs, performance.now()));
    done += 1;
    if (done % cyclesPerWord === 0)
      say(`${done} times, longest gap ${longest(gaps)} ms, first commit after ${longest(stored)} ms`);
  }
  return {
    cycles: done,
    notes: {
      "first 200 after it works again, worst ms": longest(acknowledged),
      "longest time without a 200, ms": longest(gaps),
      "first commit after it works again, worst ms": longest(stored),
    },
    broken: [
      ...judgeTimes("The first 200 after it works again", acknowledged, outage.acknowledgedMsMax),
      ...judgeTimes("The first commit after it works again", stored, outage.storedMsMax),
    ],
  };
}

/** `firstStoredAfter()`, asked again until it comes or `msMax` have passed since the moment. */
export async function waitForStored(rig: Rig, sinceMs: number, msMax: number): Promise<number | null> {
  for (;;) {
    const ms = await firstStoredAfter(rig, sinceMs);
    if (ms !== null || Date.now() - sinceMs > msMax) return ms;
    await Bun.sleep(storedPollMs);
  }
}

/** Ms from the moment to the first 200 after it; null where none comes within `msMax`. */
async function waitForAcknowledged(rig: Rig, sinceMs: number, msMax: number): Promise<number | null> {
  for (;;) {
    const ms = rig.ledger.firstAckAfter(sinceMs);
    if (ms !== null || performance.now() - sinceMs > msMax) return ms;
    await Bun.sleep(storedPollMs);
  }
}

/** The longest of some measured times, and a law for it: a sentence for each that is over, or was never reached. */
export function judgeTimes(what: string, times: readonly (number | null)[], msMax: number): string[] {
  return times.flatMap((ms, at) => {
    if (ms === null) return [`${what} never came, in cycle ${at + 1}`];
    return ms <= msMax ? [] : [`${what} took ${Math.round(ms)} ms, not ${msMax}, in cycle ${at + 1}`];
  });
}

/** For a report: the longest in whole ms; 0 where nothing was measured. */
export const longest = (times: readonly (number | null)[]): number =>
  Math.round(Math.max(0, ...times.map((ms) => ms ?? 0)));
