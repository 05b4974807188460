/**
 * Everything that Graph can do to us at once and by chance: troubles of people and accounts, and a network between that
 * is slow, deaf, cutting and refusing. Then peace; and everybody gets a name or a reason.
 */

import { type SandboxTrouble, sandboxTroubles, troubleTable } from "../../../src/sandbox/trouble.ts";
import { readMemoryBytes } from "../../bench/process-usage.ts";
import { waitUntil } from "../../support/bounded-wait.ts";
import { type Chance, createChance, hash } from "../chance.ts";
import type { ProxyMode } from "../fault-proxy.ts";
import { openRig, type Rig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";

const chaosMs = { short: 6_000, long: 60_000 };
/** What holds a lookup for its whole 10 s comes in the first part only, in the short form: else that is what is waited for. */
const silentShare = { short: 0.2, long: 1 };
/**
 * After the end of it. Graph is left alone for 30 s after its last failure, who waits comes back spread over 10 s, one
 * whom a retry or a lost queue left to a sweep waits 20 s more, and back-offs are 16 s at most: 76 s, and a slow machine.
 */
const decidedMsMax = 90_000;
const lanes = 6;
const perSecond = 60;
const memoryBytesMax = 256_000_000;
const windowMs = 4_000; // Pauses after a throttle are parts of it.

/** A dead token or a missing permission stops the account until an operator acts: graph-limits has those. */
const isPersonal = (name: SandboxTrouble): boolean => {
  const row = troubleTable[name];
  if (!("error" in row)) return true;
  const { code } = row.error;
  return ![190, 102, 104, 368, 10, 200].includes(code) && name !== "page_unlinked";
};
/** A query of ours that Graph does not understand is our bug: the log says so, and the harness takes it for one. */
const ours: readonly SandboxTrouble[] = ["unknown_field", "query_error"];
const silent: readonly SandboxTrouble[] = ["hang", "trickle"];
const troubles = sandboxTroubles.filter((name) => isPersonal(name) && !ours.includes(name));
const loud = troubles.filter((name) => !silent.includes(name));

export const graphChaos: Scenario = {
  name: "graph-chaos",
  fault: "A random mix of every trouble of Graph and of the network to it, then peace",
  rows: [24, 25, 26, 27, 28, 29, 31, 32, 33, 51],
  cycles: { short: 1, long: 5 },
  timeoutMs: 150_000,
  waits: true,
  async run({ cycles, long, seed, signal, say }) {
    const chance = createChance(hash(seed, 24));
    const form = long ? "long" : "short";
    await using rig = await openRig({
      seed,
      sandbox: { people: long ? 2_000 : 300, latencyMs: 20 },
      proxy: true,
      env: { SOCIAL_SYNC_RATE_WINDOW_MS: String(windowMs) },
    });
    await rig.daemon.start();
    const broken: string[] = [];
    const load = rig.sender.start({ lanes, perSecond, next: rig.order.next });
    let memoryBytes = 0;
    let slowestMs = 0;
    let acts = 0;
    let done = 0;
    for (; done < cycles && !signal.aborted; done += 1) {
      const startMs = performance.now();
      for (let ms = 0; ms < chaosMs[form] && !signal.aborted; ms = performance.now() - startMs) {
        const quiet = ms > chaosMs[form] * silentShare[form];
        await stir(rig, chance, quiet ? loud : troubles, !quiet);
        acts += 1;
        memoryBytes = Math.max(memoryBytes, readMemoryBytes(rig.daemon.pid).now);
        await Bun.sleep(chance.between(20, 120));
      }
      await calm(rig);
      const peaceMs = performance.now();
      await waitUntil(async () => (await countPending(rig, peaceMs)) === 0, decidedMsMax, "Not decided", 200).catch(
        async () => {
          broken.push(
            `${await countPending(rig, peaceMs)} people have neither a name nor a reason ${decidedMsMax} ms after`,
          );
        },
      );
      slowestMs = Math.max(slowestMs, performance.now() - peaceMs);
      say(`chaos ${done + 1}: everybody decided ${Math.round(performance.now() - peaceMs)} ms after its end`);
    }
    load.stopTaking();
    await load.acknowledged(30_000);
    const { pendingMs, over } = rig.ledger.worst();
    if (over > 0) broken.push(`${over} posts were pending over 3 s while Graph was in trouble`);
    const refused = [...rig.ledger.statuses()].filter(([status]) => status !== 200);
    if (refused.length > 0) broken.push(`Posts were answered ${JSON.stringify(refused)} while Graph was in trouble`);
    const { redirectsFollowed, requests } = rig.sandbox.calls.counts();
    if (redirectsFollowed > 0) broken.push(`${redirectsFollowed} redirects were followed`);
    if (memoryBytes > memoryBytesMax) broken.push(`Memory rose to ${Math.round(memoryBytes / 1e6)} MB`);
    broken.push(...(await judgeProfiles(rig)));
    const check = await rig.check();
    const notes = {
      "troubles set": acts,
      "requests to Graph": requests,
      "everybody decided after, ms": Math.round(slowestMs),
      "worst pending, ms": Math.round(pendingMs),
      "memory at most, MB": Math.round(memoryBytes / 1e6),
    };
    return rig.result({ cycles: done, check, notes, broken });
  },
};

/** One act of chaos. */
async function stir(rig: Rig, chance: Chance, from: readonly SandboxTrouble[], maySilence: boolean): Promise<void> {
  const pick = <T>(list: readonly T[]): T | undefined => list[chance.below(list.length)];
  const draw = chance.below(10);
  if (draw < 6) {
    for (let times = 0; times < 30; times += 1) {
      const person = pick(rig.sandbox.world.accounts[chance.below(2)]?.people ?? []);
      if (person !== undefined) rig.sandbox.setTrouble(person.id, chance.next() < 0.3 ? null : (pick(from) ?? null));
    }
    return;
  }
  if (draw < 7) {
    // Of an account only what is an error of Meta's: the box has no other.
    const errors = from.filter((name) => "error" in troubleTable[name]);
    rig.sandbox.setAccountTrouble(chance.below(2), chance.next() < 0.5 ? null : (pick(errors) ?? null));
    return;
  }
  const modes: ProxyMode[] = [
    { kind: "pass" },
    { kind: "pass" },
    { kind: "latency", ms: chance.between(50, 400) },
    { kind: "reset" },
    { kind: "refuse" },
    { kind: "cut", bytes: chance.between(1, 2_000), direction: "to_client" },
    { kind: "half_close" },
    ...(maySilence ? [{ kind: "black_hole" } as const] : []),
  ];
  await rig.proxies.graph.setMode(pick(modes) ?? { kind: "pass" });
}

async function calm({ sandbox, proxies }: Rig): Promise<void> {
  for (const [index, { people }] of sandbox.world.accounts.entries()) {
    sandbox.setAccountTrouble(index, null);
    for (const { id } of people) sandbox.setTrouble(id, null);
  }
  await proxies.graph.setMode({ kind: "pass" });
  proxies.graph.resetAll(); // Half-broken connections: what a peer that has gone leaves behind.
}

/** People who wrote, before the peace, and have neither name nor reason yet. */
async function countPending({ sql }: Rig, peaceMs: number): Promise<number> {
  const sinceSeconds = (performance.now() - peaceMs) / 1000;
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from conversations
    where profile_status = 'pending' and last_inbound_at is not null
      and created_at < now() - make_interval(secs => ${sinceSeconds}::float8)`;
  return row?.count ?? 0;
}

/** What must not be in any profile, whatever Graph said. */
async function judgeProfiles({ sql, sandbox, proxies }: Rig): Promise<string[]> {
  const origins = [sandbox.origin, `http://127.0.0.1:${proxies.graph.port}`];
  const rows = await sql<
    { id: string; status: string; picture: string | null; name: string | null; reason: string | null }[]
  >`
    select id, profile_status as status, participant_profile_pic as picture, participant_name as name, reason_code as reason
    from conversations`;
  const broken: string[] = [];
  for (const { id, status, picture, name, reason } of rows) {
    if (picture !== null && !origins.some((origin) => picture.startsWith(`${origin}/`)))
      broken.push(`${id} has a picture at ${picture}`);
    if (name !== null && (/[\u202a-\u202e\u2066-\u2069]/.test(name) || name.length > 512))
      broken.push(`${id} has the name ${JSON.stringify(name.slice(0, 80))}`);
    if (["not_found", "no_consent", "failed", "account_blocked"].includes(status) && reason === null)
      broken.push(`${id} is ${status} without a reason`);
  }
  return broken.slice(0, 10);
}
