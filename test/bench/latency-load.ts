/**
 * Sends one message of a new person at a time at a steady rate, whatever the answers do, and is told by Postgres itself when
 * the commit that brings a name can be seen: by a trigger of the bench's own, since looking for names every millisecond cost more
 * of the two cores than what it looked for, and added its own wait.
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
  /** From a commit of ours to its notice here, while nothing else happens. */
  readonly noticeP50Ms: number;
};

const input = readInput<LatencyLoadInput>();
const { port, secret, seed, people, login, peoplePerSecond, latencyMs, warmUpPeople } = input;
const lanesMax = 64; // A webhook that takes longer than a third of a second would be another finding.
const lastNamesTimeoutMs = 30_000;
const noticesTried = 50;
const channel = "bench_named";
const triggerStatement = `
  create function bench_tell() returns trigger language plpgsql as $$
    begin perform pg_notify('${channel}', new.participant_platform_id); return null; end $$;
  create trigger bench_tell after update of participant_username on conversations for each row
    when (old.participant_username is null and new.participant_username is not null) execute function bench_tell();`;

const account = createWorld({ seed, people, troubleShare: 0 }).accounts.find((one) => one.login === login);
if (account === undefined) throw new Error("Bug: the sandbox has an account of each login");
const { instagramId } = account;
const sql = postgres(input.databaseUrl, { max: 1, fetch_types: false, onnotice() {} });
const lanes: Lane[] = await Promise.all(Array.from({ length: lanesMax }, () => openLane(port)));

const sentAtMs = new Map<string, number>();
const seenMs: number[] = [];
const answerMs: number[] = [];
const noticeMs: number[] = [];
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

function see(personId: string) {
  const sentMs = sentAtMs.get(personId);
  if (sentMs === undefined) return;
  sentAtMs.delete(personId);
  met += 1;
  if (met > warmUpPeople) seenMs.push(performance.now() - sentMs - latencyMs);
}

/** The instrument's own part. */
async function tryNotices() {
  for (let tried = 0; tried < noticesTried; tried += 1) {
    const startMs = performance.now();
    const noticed = new Promise<void>((resolve) => {
      onTrial = resolve;
    });
    await sql.unsafe(`select pg_notify('${channel}', 'trial')`, [], { prepare: true });
    await noticed;
    noticeMs.push(performance.now() - startMs);
  }
}

let onTrial = () => {};
await sql.unsafe(triggerStatement).simple();
await sql.listen(channel, (told) => (told === "trial" ? onTrial() : see(told)));
await tryNotices();
const sending = sendAll();
let endMs = Number.POSITIVE_INFINITY;
void sending.then(() => {
  endMs = performance.now() + lastNamesTimeoutMs;
});
while (met < people) {
  if (performance.now() > endMs) throw new Error(`Cannot measure: ${people - met} people have no name`);
  await Bun.sleep(20);
}
await sending;
tellRunner<LatencyEnded>({
  kind: "ended",
  p50Ms: percentileOf(seenMs, 0.5),
  p99Ms: percentileOf(seenMs, 0.99),
  answerP50Ms: percentileOf(answerMs, 0.5),
  answerP99Ms: percentileOf(answerMs, 0.99),
  noticeP50Ms: percentileOf(noticeMs, 0.5),
});
await sql.end({ timeout: 1 });
