/**
 * Rows 24, 25 and 30: how often Graph is asked when it fails, throttles or refuses the token. Messages go on being
 * acknowledged; nobody is asked for in a storm; afterwards everybody is named by itself.
 */

import { waitUntil } from "../../support/bounded-wait.ts";
import { compiledBinary } from "../../support/compiled-binary.ts";
import { openRig, type Rig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { createPeople, type People } from "./graph-kit.ts";

/** An hour of Meta's in ms here: every pause of the product's scales with it, so that throttling takes seconds. */
const windowMs = 3_000;
/** The product's first pause is a quarter of the window; what is sent to it comes well within that. */
const pauseMs = windowMs / 4;
const sendWithinMs = pauseMs / 2;
const failingShare = 0.05;
const amplificationMax = 1.1;
const peopleOfStep = 60;
const namedMsMax = 40_000;
/** Graph is known to be away after as many failed calls as are under way at once. */
const leftAloneMsMax = 10_000;
const probeEveryMs = 30_000;
/** The next probe, the spread of those who waited for it, and room for a slow machine. */
const returnMsMax = probeEveryMs + 30_000;

export const graphLimits: Scenario = {
  name: "graph-limits",
  fault: "Graph down, failing now and then, throttling by each code, out of allowance; a token that dies in a batch",
  rows: [24, 25, 30],
  cycles: { short: 1, long: 10 },
  timeoutMs: 180_000,
  waits: true,
  async run({ cycles, long, seed, signal }) {
    await using rig = await openRig({
      seed,
      sandbox: { people: 400 * cycles + 400, latencyMs: 5 },
      env: { SOCIAL_SYNC_RATE_WINDOW_MS: String(windowMs) },
    });
    await rig.daemon.start();
    const people = createPeople(rig);
    const notes: Record<string, number | string> = {};
    let done = 0;
    for (; done < cycles && !signal.aborted; done += 1) {
      await Promise.all([0, 1].map((index) => failNowAndThen(rig, people, notes, index)));
      await throttle(rig, people, notes, long ? throttles : throttles.slice(0, 2));
      await refuseBatch(rig, people);
      // The first needs the Page's account, the second the other one.
      await Promise.all([killToken(rig, people, notes, long), goDown(rig, people, notes, long)]);
    }
    await useUpAllowance(rig, people, notes);
    const compared = await people.compare();
    return {
      cycles: done,
      ...compared,
      notes: { ...notes, "slowest ack, ms": Math.round(people.slowestAckMs()) },
      broken: [...people.broken, ...rig.daemon.complaints()],
    };
  },
};

type Notes = Record<string, number | string>;
const isNamed = ({ status }: { status: string }) => status === "complete" || status === "no_picture";

/** Row 24: one person in twenty fails once. Retries are for them alone. */
async function failNowAndThen(rig: Rig, people: People, notes: Notes, index: number): Promise<void> {
  const ids = people.take(index, peopleOfStep);
  for (const id of ids.slice(0, Math.floor(peopleOfStep * failingShare)))
    rig.sandbox.setTrouble(id, "server_error_once");
  for (let at = 0; at < ids.length; at += 5) await people.send(index, ids.slice(at, at + 5));
  const rows = await people.decided(ids, namedMsMax);
  const named = rows.filter(isNamed).length;
  if (named !== ids.length) people.broken.push(`${ids.length - named} people have no name after one failure in twenty`);
  const ratio = people.countAsked(ids) / ids.length;
  notes[`calls a person, 5 % failing once, account ${index}`] = Math.round(ratio * 100) / 100;
  if (ratio > amplificationMax) people.broken.push(`${ratio} calls a person where one in twenty failed once`);
}

/** Row 24: an error in the place of a whole batch is about the request: it says of nobody that they are gone. */
async function refuseBatch(rig: Rig, people: People): Promise<void> {
  const ids = people.take(1, 20);
  rig.sandbox.setAccountTrouble(1, "missing");
  await people.send(1, ids);
  const rows = await people.decided(ids, namedMsMax);
  const gone = rows.filter(({ status }) => status === "not_found").length;
  if (gone > 0) people.broken.push(`${gone} people are not_found because a whole batch was answered with 100/33`);
  rig.sandbox.setAccountTrouble(1, null);
}

/**
 * Row 24: everything fails. Graph is left alone but for one person an account every 30 s; nobody's question is
 * answered for them by Graph's trouble, and once it is back everybody is named by themselves.
 */
async function goDown(rig: Rig, people: People, notes: Notes, long: boolean): Promise<void> {
  const { broken } = people;
  const ids = people.take(0, peopleOfStep);
  const before = countRequests(rig, 0);
  rig.sandbox.setAccountTrouble(0, "server_error");
  await people.send(0, ids);
  const isLeftAlone = async () =>
    (await people.read(ids)).every(({ status, reason }) => status === "pending" && reason === "graph_away");
  await waitUntil(isLeftAlone, leftAloneMsMax, "With Graph down not everybody waits for it", 50).catch((error: Error) =>
    broken.push(error.message),
  );
  // Single GETs: a request is a call for one person.
  const asked = countRequests(rig, 0) - before;
  const ratio = asked / ids.length;
  notes["calls a person, Graph down"] = Math.round(ratio * 100) / 100;
  if (ratio > amplificationMax) broken.push(`${ratio} calls a person while Graph was down`);
  if (!(await readHealth(rig)).includes("graph.instagram.com"))
    broken.push("The health check does not name the host that fails");
  if ((await readFailing(rig)).join() !== "true,false")
    broken.push("GET /accounts does not show whose host fails, and that the other answers");
  if (long) {
    await Bun.sleep(2 * probeEveryMs);
    const probes = countRequests(rig, 0) - before - asked;
    notes["probes a minute, Graph down"] = probes;
    if (probes < 1 || probes > 2) broken.push(`${probes} probes within a minute while Graph was down`);
  }
  rig.sandbox.setAccountTrouble(0, null);
  const rows = await people.decided(ids, returnMsMax);
  const named = rows.filter(isNamed).length;
  if (named !== ids.length) broken.push(`${ids.length - named} people have no name after Graph's return`);
  const attempts = Math.max(...rows.map((row) => row.attempts));
  if (attempts > 0) broken.push(`Graph's being away was counted as an attempt: ${attempts}`);
}

/** What a load balancer is told: ready all the same, and what is degraded. */
async function readHealth({ daemon }: Rig): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${daemon.port}/health/ready`);
  const { checks } = (await answer.json()) as { checks: { name: string; state: string; detail: string }[] };
  const graph = checks.find(({ name }) => name === "graph");
  return answer.status === 200 && graph?.state === "degraded" ? graph.detail : "";
}

/** Of each account, in the world's order: whether the API says that its host fails of itself. */
async function readFailing({ daemon, sandbox }: Rig): Promise<boolean[]> {
  const answer = await fetch(`http://127.0.0.1:${daemon.port}/accounts`);
  const { data } = (await answer.json()) as { data: { instagramId: string; graph: { failingSince: string | null } }[] };
  const failing = new Map(data.map(({ instagramId, graph }) => [instagramId, graph.failingSince !== null]));
  return sandbox.world.accounts.map(({ instagramId }) => failing.get(instagramId) ?? false);
}

/** Asks for a lookup of one person through the API; the answer in words. */
async function requestLookup({ daemon }: Rig, conversationId: string): Promise<string> {
  const url = `http://127.0.0.1:${daemon.port}/messaging/conversations/${conversationId}/enrich`;
  const { status, headers } = await fetch(url, { method: "POST" });
  return `${status}, again after ${headers.get("retry-after") ?? "nothing"}`;
}

const throttles = ["throttled_account", "throttled_app", "throttled_user", "throttled_custom"] as const;

/** Row 25: throttled by code. Nobody calls but a probe now and then, and whoever waited is named afterwards. */
async function throttle(
  rig: Rig,
  people: People,
  notes: Notes,
  codes: readonly (typeof throttles)[number][],
): Promise<void> {
  let most = 0;
  for (const [at, code] of codes.entries()) {
    const index = at % 2;
    const ids = people.take(index, 20);
    rig.sandbox.setAccountTrouble(index, code);
    const open = countRequests(rig, index);
    await people.send(index, ids.slice(0, 1));
    await waitUntil(() => countRequests(rig, index) > open, 5_000, "Cannot throttle: nobody asked", 2);
    // Asked is not yet told: who writes before the answer has come may be asked for as well.
    const isTold = async () => (await people.read(ids.slice(0, 1)))[0]?.reason === "throttled";
    await waitUntil(isTold, 5_000, "Cannot throttle: nobody waits for it", 2);
    const toldMs = performance.now();
    const before = countRequests(rig, index);
    for (const id of ids.slice(1)) if (performance.now() - toldMs < sendWithinMs) await people.send(index, [id]);
    const wish = await requestLookup(rig, `${people.accountOf(index)}_${ids[0]}`);
    if (performance.now() - toldMs < pauseMs && !/^429, again after [1-9]/.test(wish))
      people.broken.push(`A wish for a lookup within the pause after ${code} got ${wish}`);
    await Bun.sleep(sendWithinMs / 2);
    const during = countRequests(rig, index) - before;
    // On a machine that stood still for longer than the pause, a call is no breach.
    if (performance.now() - toldMs < pauseMs) {
      most = Math.max(most, during);
      if (during > 0) people.broken.push(`${during} calls went out within the pause after ${code}`);
    }
    rig.sandbox.setAccountTrouble(index, null);
    const rows = await people.decided(ids, namedMsMax);
    const named = rows.filter(isNamed).length;
    if (named !== rows.length) people.broken.push(`${rows.length - named} people have no name after ${code}`);
    const attempts = Math.max(...rows.map((row) => row.attempts));
    if (attempts > 0) people.broken.push(`A throttle was counted as an attempt: ${attempts}`);
  }
  notes["calls within a throttle's pause"] = most;
}

/** Row 30: one item of a batch says that the token is dead. */
async function killToken(rig: Rig, people: People, notes: Notes, long: boolean): Promise<void> {
  const { broken } = people;
  const batch = people.take(1, 40);
  const later = people.take(1, 20);
  rig.sandbox.setTrouble(batch[17] ?? "", "token_expired");
  await people.send(1, batch);
  const isPaused = async () => {
    const [row] = await rig.sql<{ state: string }[]>`select state from accounts where id = ${people.accountOf(1)}`;
    return row?.state === "reauth_required";
  };
  await waitUntil(isPaused, 10_000, "Cannot see the account paused by a dead token", 50).catch((error: Error) =>
    broken.push(error.message),
  );
  rig.sandbox.setAccountTrouble(1, "token_expired");
  const before = countRequests(rig, 1);
  for (const id of later) await people.send(1, [id]);
  await people.decided(later, 10_000);
  const wish = await requestLookup(rig, `${people.accountOf(1)}_${later[0]}`);
  if (!wish.startsWith("409")) broken.push(`A wish for a lookup with a dead token got ${wish}`);
  const storm = countRequests(rig, 1) - before;
  notes["calls after the token died"] = storm;
  if (storm > 0) broken.push(`${storm} calls went out with a token that is known to be dead`);
  rig.sandbox.setAccountTrouble(1, null);
  rig.sandbox.setTrouble(batch[17] ?? "", null);
  await addAccountAgain(rig);
  // A sweep finds them within 15 s; in the short form their next message does, at once.
  if (!long) await people.send(1, [...batch, ...later]);
  const isAllNamed = async () => (await people.read([...batch, ...later])).every(isNamed);
  await waitUntil(isAllNamed, namedMsMax, "Not everybody was named after a new token", 100).catch((error: Error) =>
    broken.push(error.message),
  );
}

/** Row 25: the allowance itself, by Graph's own count. The usage it tells of stops the calls, before a refusal does. */
async function useUpAllowance(rig: Rig, people: People, notes: Notes): Promise<void> {
  const allowance = 20;
  const ids = people.take(0, 2 * allowance);
  const before = rig.sandbox.calls.counts().throttled;
  rig.sandbox.setRate(allowance);
  for (const id of ids) {
    await people.send(0, [id]);
    await Bun.sleep(30);
  }
  await Bun.sleep(500);
  const over = rig.sandbox.calls.counts().throttled - before;
  const named = (await people.read(ids)).filter(isNamed).length;
  notes["calls over the allowance"] = over;
  if (over > 0) people.broken.push(`${over} calls were made over the allowance`);
  if (named !== allowance) people.broken.push(`${named} people were named with an allowance of ${allowance}`);
}

function countRequests(rig: Rig, index: number): number {
  const id = rig.sandbox.world.accounts[index]?.instagramId;
  return rig.sandbox.calls.list().filter(({ accountId }) => accountId === id).length;
}

/** What an operator does about a dead token: the same command, with a new one. */
async function addAccountAgain(rig: Rig): Promise<void> {
  const account = rig.sandbox.world.accounts[1];
  if (account === undefined) throw new Error("Bug: the sandbox has two accounts");
  const { instagramId, login, pageId, token } = account;
  const args = ["--instagram-id", instagramId, "--login", login, "--page-id", pageId ?? "", "--token-file", "-"];
  const child = Bun.spawn([await compiledBinary(), "accounts", "add", ...args], {
    env: { PATH: process.env.PATH ?? "/usr/bin:/bin", ...rig.daemon.env },
    stdin: new Blob([`${token}\n`]),
    stdout: "ignore",
    stderr: "pipe",
    timeout: 30_000,
  });
  const said = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`Cannot add the account again:\n${said.slice(-2_000)}`);
}
