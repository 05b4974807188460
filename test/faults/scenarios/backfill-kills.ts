/**
 * Row 1: a backfill dies again and again, at any moment of it and right behind the places where it leases, has asked and
 * has saved. Each start goes on where the last one died: it asks for nobody who was finished, costs a bounded number of
 * requests again, and the tables are in the end those of a backfill that nobody killed.
 */
import { waitUntil, withDeadline } from "../../support/bounded-wait.ts";
import { type Chance, createChance, hash } from "../chance.ts";
import type { Scenario } from "../scenario.ts";
import { type BackfillProgram, type InboxCopy, openFilledInbox, peoplePerRequest } from "./backfill-kit.ts";
import {
  compareMessages,
  compareTables,
  judgeRepeats,
  judgeTotals,
  listAsked,
  listFinished,
  readRun,
  readTables,
} from "./backfill-laws.ts";
import { buildWithFaultPoints, faultPointsVariable } from "./fault-points.ts";

const peopleOf = { short: 1_000, long: 10_000 };
/** Deaths of one backfill. Few in the long form: only who lives a while asks for many people at once. */
const deathsOf = { short: 5, long: 3 };
/** What a death may cost: requests for profiles, 50 people each, and for pages of the inbox. */
const wastedMax = 50;
const latencyMs = 10;
const pollMs = 1;
const runMsMax = 60_000;
/** Of the deaths: while it starts, which takes about 150 ms; and at a named place. The last one of a backfill is, right behind its third save. */
const earlyShare = 0.1;
const earlyMsMax = 250;
const placeShare = 0.2;
const places = ["saved", "answered", "claimed"] as const;
const passingsMax = 3;
const inboxesPerWord = 10;
/** In people of a thousand. Who fails once is asked again: such requests are no cost of a death. */
const troubles = { no_consent: 20, gone: 5, server_error_once: 1 } as const;
const someFailedCode = 2;

export const backfillKills: Scenario = {
  name: "backfill-kills",
  fault: "SIGKILL of a backfill at random moments and at named places of the code, each start goes on",
  rows: [1, 3],
  cycles: { short: 5, long: 500 },
  timeoutMs: 120_000,
  async run({ cycles, long, seed, signal, say }) {
    const form = long ? "long" : "short";
    const chance = createChance(hash(seed, 500));
    const people = peopleOf[form];
    using build = await buildWithFaultPoints();
    await using filled = await openFilledInbox({ seed, people });
    const undisturbed = await runUndisturbed(await filled.copy({ latencyMs }));
    const broken = [...undisturbed.broken];
    const told = { extra: 0, finished: 0, inNames: 0, placed: 0, worst: 0 };
    let messages = { lost: 0, doubled: 0 };
    let inboxes = 0;
    let done = 0;
    while (done < cycles && !signal.aborted && broken.length === 0) {
      await using copy = await filled.copy({ latencyMs });
      const most = Math.min(deathsOf[form], cycles - done);
      const lived = await dieAgainAndAgain(copy, { chance, most, binary: build.path, undisturbed, signal });
      broken.push(...lived.broken);
      done += lived.deaths;
      for (const name of ["extra", "finished", "inNames", "placed"] as const) told[name] += lived[name];
      told.worst = Math.max(told.worst, lived.worst);
      messages = await compareMessages(copy.sql, filled.acknowledged);
      inboxes += 1;
      if (inboxes % inboxesPerWord === 0)
        say(`${done} deaths in ${inboxes} backfills, ${told.extra} requests more, ${told.worst} in vain at worst`);
    }
    const notes = {
      people,
      backfills: inboxes,
      "deaths in the phase of names": told.inNames,
      "deaths at named places": told.placed,
      "people finished before a death": told.finished,
      "requests of a backfill undisturbed": undisturbed.requests,
      "requests more in all": told.extra,
      "requests in vain of one death at most": told.worst,
    };
    broken.push(...filled.rig.daemon.complaints());
    return { cycles: done, acknowledged: filled.acknowledged, ...messages, notes, broken };
  },
};

type Undisturbed = Awaited<ReturnType<typeof runUndisturbed>>;

/** One backfill, from its first start to its end, with `most` deaths on the way: fewer where it is quicker than they are. */
async function dieAgainAndAgain(
  copy: InboxCopy,
  options: {
    readonly chance: Chance;
    readonly most: number;
    readonly binary: string;
    readonly undisturbed: Undisturbed;
    readonly signal: AbortSignal;
  },
) {
  const { chance, most, binary, undisturbed, signal } = options;
  const passing = playTroubles(copy);
  const broken: string[] = [];
  const told = { deaths: 0, inNames: 0, placed: 0, worst: 0 };
  let finished: ReadonlyMap<string, number> = new Map();
  let wastedPages = 0;
  let program: BackfillProgram | null = null;
  let callsBefore = 0;
  while (told.deaths < most && !signal.aborted) {
    callsBefore = copy.sandbox.calls.list().length;
    const death = pickDeath(chance, undisturbed.requests, { deaths: most, isLast: told.deaths === most - 1 });
    program = await startAndKill(copy, death, binary);
    if ((await program.ended) !== null) break;
    program = null;
    await copy.quiet();
    told.deaths += 1;
    if (death.kind === "place") told.placed += 1;
    const run = await readRun(copy.sql);
    if (run === null) continue;
    const when = `After death ${told.deaths}, ${JSON.stringify(death)},`;
    broken.push(...(await judgeTotals(copy.sql, when)), ...judgeAgain(copy, finished, callsBefore, when));
    const known = await listFinished(copy.sql, run);
    finished = known;
    if (run.phase === "names") told.inNames += 1;
    // Whom the next start has to ask for again, if no cache knows them, and the pages that it has to read again.
    const profiles = copy.sandbox.calls
      .list()
      .slice(callsBefore)
      .filter(({ personIds }) => personIds.some((id) => !known.has(id) && !passing.has(id))).length;
    const pages = copy.sandbox.calls.listRequests - run.listed / peoplePerRequest - wastedPages;
    wastedPages += pages;
    told.worst = Math.max(told.worst, profiles + pages);
    if (profiles + pages > wastedMax)
      broken.push(`${when} ${profiles} requests for profiles and ${pages} for pages were in vain`);
  }
  if (program === null) {
    callsBefore = copy.sandbox.calls.list().length;
    program = await copy.start();
  }
  const code = await withDeadline(program.ended, runMsMax, "A backfill has not ended");
  const when = `After ${told.deaths} deaths`;
  if (code !== someFailedCode) broken.push(`${when} it ended with ${code}: ${program.output.err.slice(-1_000)}`);
  broken.push(...judgeAgain(copy, finished, callsBefore, when));
  broken.push(...(await judgeTotals(copy.sql, when)), ...(await judgeRepeats(copy)));
  broken.push(...compareTables(await readTables(copy), undisturbed.tables).map((law) => `${when} ${law}`));
  const extra = countRequests(copy, passing) - undisturbed.requests;
  if (extra > wastedMax * told.deaths) broken.push(`${when} it had made ${extra} requests more than undisturbed`);
  return { ...told, extra, finished: finished.size, broken };
}

/** The same people without a death: what the tables and the number of requests have to be. */
async function runUndisturbed(opened: InboxCopy) {
  await using copy = opened;
  const passing = playTroubles(copy);
  const program = await copy.start();
  const code = await withDeadline(program.ended, runMsMax, "The undisturbed backfill has not ended");
  const broken = await judgeTotals(copy.sql, "Undisturbed");
  if (code !== someFailedCode) broken.push(`Undisturbed it ended with ${code}: ${program.output.err.slice(-1_000)}`);
  return { tables: await readTables(copy), requests: countRequests(copy, passing), broken };
}

type Death =
  | { readonly kind: "early"; readonly afterMs: number }
  | { readonly kind: "place"; readonly arm: string }
  | { readonly kind: "random"; readonly requests: number; readonly afterMs: number };

function pickDeath(
  chance: Chance,
  requests: number,
  { deaths, isLast }: { readonly deaths: number; readonly isLast: boolean },
): Death {
  const draw = chance.next();
  if (isLast || draw < placeShare) {
    const place = isLast ? "saved" : (places[chance.below(places.length)] ?? "saved");
    return { kind: "place", arm: `${place}=kill@${isLast ? 3 : chance.between(1, passingsMax)}` };
  }
  if (draw < placeShare + earlyShare) return { kind: "early", afterMs: chance.below(earlyMsMax) };
  const most = Math.ceil(requests / deaths) - 1;
  return { kind: "random", requests: chance.between(0, most), afterMs: chance.below(2 * latencyMs) };
}

/** One life. Whether it died, or was at its end first, tells its exit code. */
async function startAndKill(copy: InboxCopy, death: Death, binary: string): Promise<BackfillProgram> {
  if (death.kind === "place") {
    const program = await copy.start([], { binary, env: { [faultPointsVariable]: death.arm } });
    await withDeadline(program.ended, runMsMax, `A backfill armed with ${death.arm} has not ended`);
    return program;
  }
  const before = copy.sandbox.calls.counts().requests;
  const program = await copy.start();
  const { requests } = death.kind === "random" ? death : { requests: 0 };
  const isThere = () => copy.sandbox.calls.counts().requests >= before + requests || !program.isRunning();
  await waitUntil(isThere, runMsMax, "The moment of a death has not come", pollMs);
  await Bun.sleep(death.afterMs);
  program.signal("SIGKILL");
  return program;
}

/** Troubles of the same people in every copy. Answers those who are asked for again without a death. */
function playTroubles({ sandbox, account }: InboxCopy): ReadonlySet<string> {
  const passing = new Set<string>();
  const kinds = Object.entries(troubles).flatMap(([name, times]) => Array.from({ length: times }, () => name));
  for (const [at, { id }] of account.people.entries()) {
    const kind = kinds[hash(at, 7) % 1_000] as keyof typeof troubles | undefined;
    if (kind === undefined) continue;
    sandbox.setTrouble(id, kind);
    if (kind === "server_error_once") passing.add(id);
  }
  return passing;
}

/** Requests for profiles and for pages, but those that asked again for who had failed. */
function countRequests({ sandbox }: InboxCopy, passing: ReadonlySet<string>): number {
  const retries = sandbox.calls
    .list()
    .filter(({ personIds }) => personIds.length > 0 && personIds.every((id) => passing.has(id))).length;
  const { profileRequests, listRequests } = sandbox.calls.counts();
  return profileRequests + listRequests - retries;
}

function judgeAgain(copy: InboxCopy, finished: ReadonlyMap<string, number>, from: number, when: string): string[] {
  const asked = listAsked(copy, from);
  const again = [...finished.keys()].filter((id) => asked.has(id));
  return again.length === 0 ? [] : [`${when} ${again.length} finished people had been asked for again`];
}
