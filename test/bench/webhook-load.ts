/**
 * The load of the webhook bench, a process of its own: a closed loop over kept-alive connections, every request made
 * and signed before the clock starts. First a warm-up that meets everybody, then the measured
 * seconds: a lookup is no part of a webhook and has a bench of its own.
 */
import { createWorld } from "../../src/sandbox/world.ts";
import { type BenchMessage, readInput, tellRunner } from "./bench-child.ts";
import { buildDeliveryBytes } from "./delivery-bytes.ts";
import { type Lane, openLane } from "./keep-alive-lane.ts";
import { percentileOf } from "./statistics.ts";

export type WebhookLoadInput = {
  readonly port: number;
  readonly secret: string;
  readonly seed: number;
  readonly people: number;
  readonly connections: number;
  readonly warmUpMs: number;
  readonly measuredMs: number;
  /** Requests made ahead for each second; the run ends early where they do not suffice. */
  readonly requestsPerSecondMax: number;
};

export type LoadReady = BenchMessage & { readonly kind: "ready"; readonly bodyBytes: number };
export type LoadMeasuring = BenchMessage & { readonly kind: "measuring" };
export type LoadMeasured = BenchMessage & {
  readonly kind: "measured";
  readonly acknowledgedPerSecond: number;
  readonly acknowledged: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
};
/** After the last answer. `acknowledgedInAll` counts the warm-up too, `refused` every answer that is not 200. */
export type LoadEnded = BenchMessage & {
  readonly kind: "ended";
  readonly acknowledgedInAll: number;
  readonly refused: number;
  readonly people: number;
};

const { port, secret, seed, people, connections, warmUpMs, measuredMs, requestsPerSecondMax } =
  readInput<WebhookLoadInput>();
const account = createWorld({ seed, people, troubleShare: 0 }).accounts[1];
if (account === undefined) throw new Error("Bug: the sandbox has two accounts");

const options = { port, secret, accountId: account.instagramId, sentAtMs: Date.now() };
const makeRequests = (ms: number, peopleCount: number, from: number) =>
  Array.from({ length: Math.ceil((ms / 1000) * requestsPerSecondMax) }, (_, at) => {
    const person = account.people[at % peopleCount];
    return buildDeliveryBytes({ ...options, sentAtMs: options.sentAtMs + at }, person?.id ?? "", from + at);
  });
const warmUp = makeRequests(warmUpMs, people, 0);
const measured = makeRequests(measuredMs, people, warmUp.length);
const lanes = await Promise.all(Array.from({ length: connections }, () => openLane(port)));
const counts = { acknowledged: 0, refused: 0 };

/** Sends `requests` over all lanes for `durationMs`, then waits for what is under way. Times in ms. */
async function drive(requests: readonly Buffer[], durationMs: number, onOver: (times: Float64Array) => void) {
  const times = new Float64Array(requests.length);
  const endMs = performance.now() + durationMs;
  let next = 0;
  let done = 0;
  let over = false;
  const finish = () => {
    if (!over) onOver(times.subarray(0, done));
    over = true;
  };
  const loop = async (lane: Lane) => {
    for (;;) {
      const startMs = performance.now();
      const request = requests[next];
      if (startMs >= endMs || request === undefined) break;
      next += 1;
      const status = await lane.send(request);
      if (status === 200) counts.acknowledged += 1;
      else counts.refused += 1;
      if (over) continue;
      if (status === 200) {
        times[done] = performance.now() - startMs;
        done += 1;
      }
    }
    finish();
  };
  await Promise.all(lanes.map(loop));
}

tellRunner<LoadReady>({
  kind: "ready",
  bodyBytes: (warmUp[0]?.length ?? 0) - (warmUp[0]?.indexOf("\r\n\r\n") ?? 0) - 4,
});
process.once("message", async () => {
  await drive(warmUp, warmUpMs, () => {});
  const startMs = performance.now();
  tellRunner<LoadMeasuring>({ kind: "measuring" });
  await drive(measured, measuredMs, (times) => {
    tellRunner<LoadMeasured>({
      kind: "measured",
      acknowledgedPerSecond: (times.length / (performance.now() - startMs)) * 1000,
      acknowledged: times.length,
      p50Ms: percentileOf(times, 0.5),
      p99Ms: percentileOf(times, 0.99),
    });
  });
  const met = (requests: readonly Buffer[], max: number) => Math.min(requests.length, max);
  tellRunner<LoadEnded>({
    kind: "ended",
    acknowledgedInAll: counts.acknowledged,
    refused: counts.refused,
    people: met(measured, people),
  });
});
