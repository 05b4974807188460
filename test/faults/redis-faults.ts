/**
 * What the scenarios about Redis share: one fault after the other under load with lookups, and the laws of each. Posts
 * are acknowledged as if nothing were, people who turn up meanwhile get their names while it lasts, and the cache is used
 * again afterwards.
 */
import { waitUntil } from "../support/bounded-wait.ts";
import { percentile } from "./percentile.ts";
import type { Rig } from "./rig.ts";
import type { ScenarioContext, ScenarioResult } from "./scenario.ts";
import { finish, startLoad } from "./under-load.ts";

export type RedisFault = {
  readonly name: string;
  readonly breakIt: (rig: Rig) => void | Promise<void>;
  readonly mendIt: (rig: Rig) => void | Promise<void>;
  /** Whether the daemon's calls fail: then it must count them. */
  readonly isMissed: boolean;
};

/** Posts a second and their size: new people in each of them, and some who wrote before. */
export const redisLoad = { lanes: 8, perSecond: 60, batchMax: 3, people: 4_000 } as const;
const peaceMs = 400;
const brokenMs = 1_000;
const lookupsMsMax = 60_000; // At once as a rule; a claim whose answer was lost holds its people for 40 s, until a sweep.
const backMsMax = 12_000; // After failures in a row the cache is left alone for 5 s; then a lookup must come by.

/** Runs `faults` one after the other, `cycles` times. */
export async function runRedisFaults(
  rig: Rig,
  { cycles, signal, say }: ScenarioContext,
  faults: readonly RedisFault[],
): Promise<ScenarioResult> {
  await rig.daemon.start();
  const load = startLoad(rig, { lanes: redisLoad.lanes, perSecond: redisLoad.perSecond });
  const broken: string[] = [];
  const [peaceTimes, brokenTimes]: [number[], number[]] = [[], []];
  let newcomers = 0;
  let slowestMs = 0;
  let done = 0;
  for (; done < cycles && !signal.aborted; done += 1) {
    for (const { name, breakIt, mendIt, isMissed } of faults) {
      const peace = performance.now();
      await Bun.sleep(peaceMs);
      const failures = await countFailures(rig);
      await breakIt(rig);
      const begin = { ms: performance.now(), atMs: Date.now() };
      peaceTimes.push(...rig.ledger.ackTimesWithin(peace, begin.ms));
      await Bun.sleep(brokenMs);
      const end = { ms: performance.now(), atMs: Date.now() };
      brokenTimes.push(...rig.ledger.ackTimesWithin(begin.ms, end.ms));
      if (isMissed && (await countFailures(rig)) === failures) broken.push(`${name}: the metrics tell of no failure`);
      const came = await waitForNewcomers(rig, begin.atMs, end.atMs);
      if (came.waiting > 0)
        broken.push(`${name}: ${came.waiting} of ${came.people} new people had no name after ${lookupsMsMax} ms`);
      if (came.people === 0) broken.push(`${name}: nobody new turned up: nothing was tried`);
      newcomers += came.people;
      slowestMs = Math.max(slowestMs, performance.now() - end.ms);
      await mendIt(rig);
      const isBack = async () => (await readCacheState(rig)) === "ok";
      await waitUntil(isBack, backMsMax, "Cannot see the cache used again").catch((error: Error) =>
        broken.push(`${name}: ${error.message}`),
      );
    }
    say(`${done + 1} times ${faults.map(({ name }) => name).join(", ")}; ${newcomers} new people`);
  }
  broken.push(...(await findWrongNames(rig)));
  const [peaceful, stormy] = [percentile(peaceTimes, 0.99), percentile(brokenTimes, 0.99)];
  return await finish(rig, load, {
    cycles: done,
    notes: {
      "people looked up while it was broken": newcomers,
      "until all of them were, worst ms": Math.round(slowestMs),
      "time to a 200 in peace, 99 of 100 within ms": Math.round(peaceful * 10) / 10,
      "time to a 200 while broken, 99 of 100 within ms": Math.round(stormy * 10) / 10,
    },
    broken,
  });
}

/** Failed calls of the cache, by the daemon's metrics. */
async function countFailures(rig: Rig): Promise<number> {
  const text = await (await fetch(`${rig.daemon.url}/metrics`, { headers: { Connection: "close" } })).text();
  return Number(/^social_sync_cache_failures (\d+)/m.exec(text)?.[1]);
}

async function readCacheState(rig: Rig): Promise<string | null> {
  return (await rig.readHealth())?.checks.find(({ name }) => name === "cache")?.state ?? null;
}

type Newcomers = { readonly people: number; readonly waiting: number };

/** Waits until those who wrote for the first time within [fromMs, toMs] are looked up; answers how many are not. */
async function waitForNewcomers(rig: Rig, fromMs: number, toMs: number): Promise<Newcomers> {
  const ask = async (): Promise<Newcomers> => {
    const [row] = await rig.sql<Newcomers[]>`
      select count(*)::int as people, (count(*) filter (where profile_status = 'pending'))::int as waiting from conversations
      where last_inbound_at is not null
        and created_at between to_timestamp(${fromMs}::float8 / 1000) and to_timestamp(${toMs}::float8 / 1000)`;
    return row ?? { people: 0, waiting: 0 };
  };
  const isDone = async () => (await ask()).waiting === 0;
  await waitUntil(isDone, lookupsMsMax, "Cannot see everybody looked up").catch(() => {});
  return await ask();
}

/** Whoever has a name has the one that the sandbox gives: nothing comes out of a cache that was not put there. */
async function findWrongNames(rig: Rig): Promise<string[]> {
  const rows = await rig.sql<{ id: string; username: string }[]>`
    select participant_platform_id as id, participant_username as username from conversations
    where participant_username is not null`;
  const people = new Map(
    rig.sandbox.world.accounts.flatMap((account) => account.people.map((person) => [person.id, person])),
  );
  const wrong = rows.filter(({ id, username }) => people.get(id)?.username !== username);
  return wrong.length === 0 ? [] : [`${wrong.length} people have a wrong name, such as ${JSON.stringify(wrong[0])}`];
}
