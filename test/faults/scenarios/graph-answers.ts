/**
 * Rows 24, 26 to 29, 31 to 33, 51: every answer that Graph can give, and those it never should, of both hosts, one
 * person each. Every person gets a name or a reason; nothing foreign is followed, called or stored.
 */

import { type SandboxTrouble, sandboxTroubles, troubleTable } from "../../../src/sandbox/trouble.ts";
import { readMemoryBytes } from "../../bench/process-usage.ts";
import { waitUntil } from "../../support/bounded-wait.ts";
import { openRig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { createPeople, type People, type PersonRow } from "./graph-kit.ts";
import { breakTransport } from "./graph-transport.ts";

/** Whose profile is refused may have a name in the inbox, where its turn to be asked comes in time. */
const orNamed = (status: string): readonly string[] => [status, "username_only"];

/** What each trouble comes to. Troubles of the account or of its rate are no person's: graph-limits has them. */
const outcomes: Partial<Record<SandboxTrouble, readonly string[]>> = {
  no_consent: orNamed("no_consent"),
  gone: ["not_found"],
  unavailable: orNamed("not_found"),
  invalid_id: ["not_found"],
  missing: orNamed("not_found"),
  no_profile: ["not_found"],
  profile_not_permitted: ["not_found"],
  not_visible: orNamed("not_found"),
  invalid_user: ["not_found"],
  server_unknown: ["failed"],
  reduce_data: ["failed"],
  server_error: ["failed"],
  server_error_once: ["complete", "no_picture"],
  html: ["failed"],
  cut_off: ["failed"],
  huge: ["failed"],
  redirect: ["failed"],
  empty_body: ["failed"],
  truncated_json: ["failed"],
  bad_gateway: ["failed"],
  wrong_id: ["failed"],
  bare_string: ["failed"],
  list_body: ["failed"],
  // A person without anything to show, or with it cleaned: both are answers.
  wrong_types: ["complete", "no_picture", "failed"],
  huge_name: ["complete", "no_picture"],
  nul_name: ["complete", "no_picture"],
  lone_surrogate: ["complete", "no_picture"],
  rtl_name: ["complete", "no_picture"],
  hostile_picture: ["complete", "no_picture"],
  null_item: ["complete", "no_picture"],
  batch_missing: ["complete", "no_picture", "failed"],
  batch_extra: ["complete", "no_picture"],
  batch_reordered: ["complete", "no_picture"],
};
/** Each holds a lookup for its whole 10 s: the long form's; graph-chaos has them in the short one. They are mended before the second attempt, so that one deadline is all that is waited for. */
const silent: readonly SandboxTrouble[] = ["hang", "trickle"];
const mendSilentMs = 6_000;
const decidedMsMax = 60_000;
const attemptsMax = 3;
/** A batch may ask an unfinished item again alone, once an attempt. */
const callsMax = { instagram: attemptsMax, facebook: 2 * attemptsMax };
const neighbours = 6;
const pulseMs = 300;
/** Those who are well of one cycle: its neighbours, and one a pulse. */
const peopleOfCycle = 300;
const nameLengthMax = 512;
const memoryBytesMax = 256_000_000;

export const graphAnswers: Scenario = {
  name: "graph-answers",
  fault: "Each answer of Graph that is an error, late, cut, huge, malformed or about somebody else, on both hosts",
  rows: [24, 26, 27, 28, 29, 31, 32, 33, 51],
  cycles: { short: 1, long: 10 },
  timeoutMs: 120_000,
  waits: true,
  async run({ cycles, long, seed, signal }) {
    await using rig = await openRig({ seed, sandbox: { people: peopleOfCycle * cycles, latencyMs: 5 } });
    await rig.daemon.start();
    const people = createPeople(rig);
    const { broken } = people;
    const names = sandboxTroubles.filter((name) => outcomes[name] !== undefined || (long && silent.includes(name)));
    let done = 0;
    for (; done < cycles && !signal.aborted; done += 1) {
      const asked = rig.sandbox.world.accounts.flatMap((_, index) =>
        names.map((trouble, at) => ({ index, trouble, id: pickId(done, index, at, trouble) })),
      );
      const well = people.take(0, neighbours);
      const [later, sooner] = [true, false].map((late) =>
        asked.filter(({ trouble }) => silent.includes(trouble) === late),
      );
      for (const { index, id } of later ?? []) await people.send(index, [id]);
      // In one batch with somebody whose answer fails at once they would spend their attempts before they are mended.
      const silentIds = (later ?? []).map(({ id }) => id);
      const isAsked = () => people.countAsked(silentIds) >= silentIds.length;
      await waitUntil(isAsked, 5_000, "Nobody asks for those who hold a lookup", 5);
      const mend = Bun.sleep(long ? mendSilentMs : 0).then(() => {
        for (const { id } of later ?? []) rig.sandbox.setTrouble(id, null);
      });
      // One at a time: a fault of the transport hits a whole batch, and each shall answer for itself alone.
      for (const { index, id } of sooner ?? []) {
        await people.send(index, [id]);
        await Bun.sleep(25);
      }
      // Then a batch with what hits single items, between people who are well: they must not notice.
      const mixed = (["no_consent", "wrong_id", "nul_name", "null_item", "hostile_picture", "gone"] as const).map(
        (trouble, at) => pickId(done, 2, at, trouble),
      );
      const besides = people.take(1, neighbours);
      await people.send(
        1,
        mixed.flatMap((id, at) => [besides[at] ?? "", id]),
      );
      await people.send(0, well);
      await mend;

      const decided = people.decided([...asked.map(({ id }) => id), ...mixed, ...besides, ...well], decidedMsMax);
      await keepAnswering(people, decided);
      const rows = await decided;
      for (const { index, trouble, id } of asked) {
        const row = rows.find((one) => one.id === id && one.account_id === people.accountOf(index));
        broken.push(...judge(row, trouble, rig.sandbox.origin).map((law) => `${trouble} at account ${index}: ${law}`));
        const calls = people.countAsked([id]);
        const most = index === 0 ? callsMax.instagram : callsMax.facebook;
        if (calls > most) broken.push(`${trouble} at account ${index} cost ${calls} calls, not ${most} at most`);
      }
      for (const id of [...besides, ...well]) {
        const { status, username } = rows.find((row) => row.id === id) ?? {};
        if (username === undefined || username === null)
          broken.push(`A neighbour who is well is ${status}, without a name`);
      }
    }
    const { redirectsFollowed } = rig.sandbox.calls.counts();
    if (redirectsFollowed > 0) broken.push(`${redirectsFollowed} redirects were followed`);
    const memory = readMemoryBytes(rig.daemon.pid);
    if (memory.peak > memoryBytesMax) broken.push(`Memory rose to ${Math.round(memory.peak / 1e6)} MB`);
    const compared = await people.compare();
    await rig.daemon.stop();
    const unreached = await breakTransport(rig, people);
    return {
      cycles: done,
      ...compared,
      notes: {
        "kinds of answers": names.length * 2,
        "redirects followed": redirectsFollowed,
        "people behind broken names, certificates and handshakes": unreached,
        "slowest ack, ms": Math.round(people.slowestAckMs()),
        "memory at most, MB": Math.round(memory.peak / 1e6),
      },
      broken: [...broken, ...rig.daemon.complaints()],
    };
  },
};

/** Graph is not away here: somebody who is well now and then keeps the circuit from opening on a run of the broken. */
async function keepAnswering(people: People, until: Promise<unknown>): Promise<void> {
  let over = false;
  const end = until.finally(() => {
    over = true;
  });
  while (!over) {
    for (const index of [0, 1]) await people.send(index, people.take(index, 1));
    await Promise.race([end, Bun.sleep(pulseMs)]);
  }
}

/** An id that the sandbox takes for a person in that trouble: 999, ten digits of our own, the trouble's suffix. */
function pickId(cycle: number, group: number, at: number, trouble: SandboxTrouble): string {
  return `999${String(cycle * 1_000 + group * 100 + at).padStart(10, "0")}${troubleTable[trouble].suffix}`;
}

/** What is wrong with what a person's row came to. */
function judge(row: PersonRow | undefined, trouble: SandboxTrouble, origin: string): string[] {
  if (row === undefined) return ["there is no conversation"];
  const broken: string[] = [];
  const wanted = outcomes[trouble] ?? ["complete", "no_picture"];
  if (!wanted.includes(row.status)) broken.push(`${row.status} (${row.reason}), not ${wanted.join(" or ")}`);
  const found = row.status === "complete" || row.status === "no_picture";
  if (!found && row.reason === null) broken.push(`${row.status} without a reason`);
  if (row.status === "username_only" && row.username === null) broken.push("username_only without a username");
  if (row.attempts > attemptsMax) broken.push(`${row.attempts} attempts`);
  if (row.picture !== null && !row.picture.startsWith(`${origin}/`)) broken.push(`the picture is at ${row.picture}`);
  if (trouble === "hostile_picture" && (row.picture !== null || row.name === null))
    broken.push(`kept ${row.picture} as the picture, ${row.name} as the name`);
  for (const text of [row.name, row.username]) {
    if (text === null) continue;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
    if (/[\u0000-\u001f\u007f\u202a-\u202e\u2066-\u2069]/.test(text) || !text.isWellFormed())
      broken.push(`the name holds a control character: ${JSON.stringify(text.slice(0, 80))}`);
    if (text.length > nameLengthMax) broken.push(`the name has ${text.length} characters`);
  }
  return broken;
}
