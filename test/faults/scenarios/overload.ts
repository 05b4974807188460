/**
 * Three times the capacity, open loop: what can be stored still is, the rest is told to come again at once, memory stays.
 * The load is a process of its own (overload-load.ts); it, Postgres and the daemon share the machine's cores, so the
 * figures are what is left for each, and the ratios are what counts.
 */
import { join } from "node:path";
import type { BareListening } from "../../bench/bare-webhook.ts";
import { startBenchChild } from "../../bench/bench-child.ts";
import { readMemoryBytes, readStolenSeconds } from "../../bench/process-usage.ts";
import { withDeadline } from "../../support/bounded-wait.ts";
import { percentile } from "../percentile.ts";
import { openLane } from "../request-lane.ts";
import { openRig, type Rig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { buildRequest } from "../sender.ts";
import { buildStranger, buildStrangerBody, raiseFileLimit, readMetric } from "./hostile-kit.ts";
import type { LoadInput, LoadPhase, LoadReport } from "./overload-load.ts";

const accountId = "17848000000000001";
const people = 1_000;
const peakMs = { short: 2_000, long: 10_000 };
const overloadMs = { short: 3_000, long: 60_000 };
const peakLanes = 512; // Enough that a commit under way never leaves the next one empty.
/** More than the posts that may wait (4,096): only then can the daemon be made to shed. */
const overloadLanes = 7_000;
const overloadTimes = 3;
/** How long a bare server is measured at the same rate, in the long form. */
const bareMs = 10_000;
const ackShareMin = 0.9;
const shedMsMax = 20;
const memoryBytesMax = 256_000_000;
const normalWithinMs = 2_000;
/** Beside "normal": an ack may take twice its time before, and this much for the noise of the machine. */
const noiseMs = 10;

export const overload: Scenario = {
  name: "overload",
  fault: "Three times the capacity, open loop",
  rows: [],
  cycles: { short: 1, long: 1 },
  timeoutMs: 90_000,
  async run({ long, seed, say }) {
    await using rig = await openRig({ seed });
    await rig.daemon.start();
    const { pid, url } = rig.daemon;
    raiseFileLimit(pid, overloadLanes + 1_000);
    await using load = startLoad(rig, rig.daemon.port);
    const broken: string[] = [];
    const form = long ? "long" : "short";

    await load.run({ phase: "closed", lanes: peakLanes, ms: 1_000 }); // Warm; everybody is known afterwards.
    const beforeMs = await timeAcks(rig, 500);
    const peak = await load.run({ phase: "closed", lanes: peakLanes, ms: peakMs[form] });
    const peakPerSecond = (peak.acknowledged / peak.sendingMs) * 1000;
    say(`peak ${Math.round(peakPerSecond)} acknowledged a second, p99 ${peak.ackP99Ms.toFixed(1)} ms`);

    let memoryBytes = 0;
    const watch = setInterval(() => {
      memoryBytes = Math.max(memoryBytes, readMemoryBytes(pid).now);
    }, 50);
    const perSecond = Math.ceil(peakPerSecond * overloadTimes);
    const stolenBefore = readStolenSeconds();
    const over = await load.run({ phase: "open", lanes: overloadLanes, perSecond, ms: overloadMs[form] });
    clearInterval(watch);
    const stolenSeconds = readStolenSeconds() - stolenBefore;
    // The daemon's own time to work off what waited is a part of "normal again".
    const normalMs = await waitForNormal(rig, beforeMs);
    const overPerSecond = (over.acknowledged / over.sendingMs) * 1000;
    const shed = over.statuses["503"] ?? 0;
    say(`overload: ${JSON.stringify({ ...over, acknowledgedBits: undefined })}`);

    const strange = Object.entries(over.statuses).filter(([status]) => status !== "200" && status !== "503");
    if (strange.length > 0) broken.push(`Answers other than 200 and 503: ${JSON.stringify(strange)}`);
    if (over.shedWithoutRetryAfter > 0) broken.push(`${over.shedWithoutRetryAfter} answers of 503 without Retry-After`);
    if (memoryBytes > memoryBytesMax) broken.push(`Memory rose to ${Math.round(memoryBytes / 1e6)} MB`);
    if (normalMs === null) broken.push("Acks had not their usual time again within 10 s after");
    if (long) {
      if (overPerSecond < ackShareMin * peakPerSecond)
        broken.push(
          `${Math.round(overPerSecond)} acks a second under overload, the peak was ${Math.round(peakPerSecond)}`,
        );
      if (over.shedP99Ms > shedMsMax) broken.push(`A 503 took up to ${over.shedP99Ms.toFixed(1)} ms (p99)`);
      if (normalMs !== null && normalMs > normalWithinMs)
        broken.push(`Normal again only after ${Math.round(normalMs)} ms`);
    }
    await rig.settle();
    const bareShedMs = long ? await timeBareRefusals(rig, perSecond) : null;
    const { acknowledged, lost, doubled } = await compare(rig, load.reports);
    if (lost > 0) broken.push(`${lost} acknowledged messages are not stored`);
    if (doubled > 0) broken.push(`unread_count counts ${doubled} messages too many`);
    return {
      cycles: 1,
      acknowledged,
      lost,
      doubled,
      notes: {
        "peak, acks/s": Math.round(peakPerSecond),
        "offered, posts/s": Math.round((over.sent / over.sendingMs) * 1000),
        "acks/s under it": Math.round(overPerSecond),
        "share of the peak, %": Math.round((overPerSecond / peakPerSecond) * 100),
        "answered 503": shed,
        "503 p50, ms": round(over.shedP50Ms),
        "503 p99, ms": round(over.shedP99Ms),
        ...(bareShedMs === null ? {} : { "503 p99 of a server that only refuses, ms": round(bareShedMs) }),
        "ack p50, ms": round(over.ackP50Ms),
        "ack p99, ms": round(over.ackP99Ms),
        connections: over.connections,
        "posts that found no connection": over.unsent,
        "memory at most, MB": Math.round(memoryBytes / 1e6),
        "normal again after, ms": normalMs === null ? "never" : Math.round(normalMs),
        "load's own cpu, %": Math.round((over.cpuSeconds / over.totalMs) * 100_000),
        // Of a shared machine's: a core that stands still for 50 ms makes every answer so late.
        "taken by other machines, s of a core": round(stolenSeconds),
        // Overload taken for an outage: then the same posts are written twice, to the spool and from it.
        "times it took Postgres for away": rig.daemon.output().split("Postgres does not take messages").length - 1,
        "shed by the daemon's count": await readMetric(url, "social_sync_webhook_shed_total"),
      },
      broken: [...broken, ...rig.daemon.complaints()],
    };
  },
};

const round = (ms: number) => Math.round(ms * 10) / 10;

/** Starts the load's process. Its reports are kept in order, since they number the deliveries. */
function startLoad(rig: Rig, port: number) {
  const input: LoadInput = {
    port,
    secret: rig.appSecret,
    accountId,
    people: Array.from({ length: people }, (_, at) => `670000000000${String(at).padStart(4, "0")}`),
  };
  const script = join(import.meta.dir, "overload-load.ts");
  const child = Bun.spawn([process.execPath, script, JSON.stringify(input)], {
    cwd: rig.folder, // Within the rig's, whose watchdog ends everything that works in there.
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  raiseFileLimit(child.pid, overloadLanes + 1_000);
  const lines = readLines(child.stdout);
  const reports: LoadReport[] = [];
  return {
    reports,
    run: async (phase: LoadPhase): Promise<LoadReport> => {
      child.stdin.write(`${JSON.stringify(phase)}\n`);
      child.stdin.flush();
      const line = await withDeadline(lines.next(), phase.ms + 60_000, "Cannot measure: the load says nothing");
      if (line.done) throw new Error("Cannot measure: the load's process has ended");
      const report = JSON.parse(line.value) as LoadReport;
      reports.push(report);
      return report;
    },
    [Symbol.asyncDispose]: async (): Promise<void> => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** The same load on a server that does nothing else: its p99 in ms. */
async function timeBareRefusals(rig: Rig, perSecond: number): Promise<number> {
  await using bare = startBenchChild("bare-refusal.ts", null);
  raiseFileLimit(bare.pid, overloadLanes + 1_000);
  const { port } = await bare.next<BareListening>("listening");
  await using load = startLoad(rig, port);
  return (await load.run({ phase: "open", lanes: overloadLanes, perSecond, ms: bareMs })).shedP99Ms;
}

async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of stream) {
    text += decoder.decode(bytes, { stream: true });
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n")) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
  }
}

/** The median time of acks one after the other, over `ms`. They are of another account, which the comparison leaves out. */
async function timeAcks(rig: Rig, ms: number): Promise<number> {
  using lane = openLane(rig.daemon.port);
  const times: number[] = [];
  const endMs = performance.now() + ms;
  while (performance.now() < endMs) {
    const body = buildStrangerBody([buildStranger(`probe-${crypto.randomUUID()}`)]);
    const request = buildRequest(body, { port: rig.daemon.port, secret: rig.appSecret });
    const startMs = performance.now();
    const { status } = await lane.send(request, 10_000);
    times.push(status === 200 ? performance.now() - startMs : 10_000);
  }
  return percentile(times);
}

/** Ms from now until the median of a quarter of a second is usual again; null: not within 10 s. */
async function waitForNormal(rig: Rig, usualMs: number): Promise<number | null> {
  const startMs = performance.now();
  while (performance.now() - startMs < 10_000) {
    const fromMs = performance.now();
    if ((await timeAcks(rig, 250)) <= 2 * usualMs + noiseMs) return fromMs - startMs;
  }
  return null;
}

/** Every acknowledged delivery against the tables; its number stands at the end of its mid. */
async function compare(rig: Rig, reports: readonly LoadReport[]) {
  const stored = new Set<number>();
  const rows = rig.sql<{ serial: number }[]>`
    select right(mid, 9)::int as serial from messages where account_id = ${accountId} and has_content`;
  for await (const batch of rows.cursor(20_000)) for (const { serial } of batch) stored.add(serial);
  let acknowledged = 0;
  let lost = 0;
  let first = 0;
  for (const { sent, acknowledgedBits } of reports) {
    const bits = Buffer.from(acknowledgedBits, "base64");
    for (let at = 0; at < sent; at += 1) {
      if (((bits[at >> 3] ?? 0) & (1 << (at & 7))) === 0) continue;
      acknowledged += 1;
      if (!stored.has(first + at)) lost += 1;
    }
    first += sent;
  }
  const [row] = await rig.sql<{ unread: number }[]>`
    select coalesce(sum(unread_count), 0)::int as unread from conversations where account_id = ${accountId}`;
  return { acknowledged, lost, doubled: Math.max(0, (row?.unread ?? 0) - stored.size) };
}
