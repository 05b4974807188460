/**
 * Sends one message of a new person at a time at a steady rate, whatever the answers do, and looks for their names in
 * the table: over one connection, by key, only for people whose name can be there yet.
 */
import postgres from "postgres";
import { createWorld } from "../../src/sandbox/world.ts";
import { type BenchMessage, readInput, tellRunner } from "./bench-child.ts";
import { buildDeliveryBytes } from "./delivery-bytes.ts";
import { type Lane, openLane } from "./keep-alive-lane.ts";
import { percentileOf } from "./statistics.ts";

export type LatencyLoadInput = {
  readonly port: number;
  readonly databaseUrl: string;
  readonly secret: string;
  readonly seed: number;
  readonly people: number;
  readonly login: "facebook" | "instagram";
  readonly peoplePerSecond: number;
  /** Graph's own: subtracted, and nobody is looked for earlier. */
  readonly latencyMs: number;
  readonly warmUpPeople: number;
};
export type LatencyEnded = BenchMessage & {
  readonly kind: "ended";
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly answerP50Ms: number;
  readonly answerP99Ms: number;
  readonly lookP50Ms: number;
};

const input = readInput<LatencyLoadInput>();
const { port, secret, seed, people, login, peoplePerSecond, latencyMs, warmUpPeople } = input;
const lanesMax = 64; // A webhook that takes longer than a third of a second would be another finding.
const lookEveryMs = 1;
const lastNamesTimeoutMs = 30_000;
const lookStatement = `
  select participant_platform_id as id from conversations
  where account_id = $1 and participant_platform_id = any(array(select json_array_elements_text($2::text::json)))
    and participant_username is not null`;

const account = createWorld({ seed, people, troubleShare: 0 }).accounts.find((one) => one.login === login);
if (account === undefined) throw new Error("Bug: the sandbox has an account of each login");
const { instagramId } = account;
const sql = postgres(input.databaseUrl, {
  max: 1,
  fetch_types: false,
  // The table grows under our eyes: a plan from when it was empty would read all of it at every look.
  connection: { plan_cache_mode: "force_custom_plan", enable_seqscan: false },
  onnotice() {},
});
const lanes: Lane[] = await Promise.all(Array.from({ length: lanesMax }, () => openLane(port)));

const sentAtMs = new Map<string, number>();
const seenMs: number[] = [];
const answerMs: number[] = [];
const lookMs: number[] = [];
let met = 0;

async function send(lane: Lane, personId: string, place: number, dueMs: number) {
  const options = { port, secret, accountId: instagramId, sentAtMs: Date.now() };
  const request = buildDeliveryBytes(options, personId, place);
  sentAtMs.set(personId, dueMs);
  const status = await lane.send(request);
  if (status !== 200) throw new Error(`Cannot measure: the webhook answered ${status}`);
  if (place >= warmUpPeople) answerMs.push(performance.now() - dueMs);
  lanes.push(lane);
}

async function sendAll() {
  const startMs = performance.now();
  for (const [place, person] of account?.people.entries() ?? []) {
    const dueMs = startMs + (place / peoplePerSecond) * 1000;
    if (performance.now() < dueMs) await Bun.sleep(dueMs - performance.now());
    // The one that has rested longest: the server closes a connection that is left idle for seconds.
    const lane = lanes.shift();
    if (lane === undefined) throw new Error(`Cannot measure: ${lanesMax} posts are unanswered`);
    void send(lane, person.id, place, Math.max(dueMs, performance.now()));
  }
}

async function look() {
  const nowMs = performance.now();
  const ids = [...sentAtMs].filter(([, atMs]) => nowMs - atMs >= latencyMs).map(([id]) => id);
  if (ids.length === 0) return;
  const rows = await sql.unsafe<{ id: string }[]>(lookStatement, [instagramId, JSON.stringify(ids)], {
    prepare: true,
  });
  const seenAtMs = performance.now();
  lookMs.push(seenAtMs - nowMs);
  for (const { id } of rows) {
    met += 1;
    if (met > warmUpPeople) seenMs.push(seenAtMs - (sentAtMs.get(id) ?? 0) - latencyMs);
    sentAtMs.delete(id);
  }
}

const sending = sendAll();
let endMs = Number.POSITIVE_INFINITY;
void sending.then(() => {
  endMs = performance.now() + lastNamesTimeoutMs;
});
while (met < people) {
  if (performance.now() > endMs) throw new Error(`Cannot measure: ${people - met} people have no name`);
  await look();
  await Bun.sleep(lookEveryMs);
}
await sending;
tellRunner<LatencyEnded>({
  kind: "ended",
  p50Ms: percentileOf(seenMs, 0.5),
  p99Ms: percentileOf(seenMs, 0.99),
  answerP50Ms: percentileOf(answerMs, 0.5),
  answerP99Ms: percentileOf(answerMs, 0.99),
  lookP50Ms: percentileOf(lookMs, 0.5),
});
