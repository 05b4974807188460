/** A backfill that reads the inbox first: the sandbox over HTTP, a real Postgres. */

import { afterAll, describe, expect, test } from "bun:test";
import { createBudget } from "../../src/budget/budget.ts";
import { openProfileCache } from "../../src/cache/profile-cache.ts";
import { profileMaxAgeMsDefault } from "../../src/domain/profile.ts";
import type { Run, RunOptions } from "../../src/domain/run.ts";
import { type BackfillProgress, backfill, type PersonDone } from "../../src/usecases/backfill.ts";
import { bulkNames } from "../../src/usecases/bulk-names.ts";
import { createEnrich } from "../../src/usecases/enrich.ts";
import { openRun } from "../../src/usecases/open-run.ts";
import { createRecordingLog, openTestRepositories, systemClock } from "../support/test-repositories.ts";
import { openInboxWorld } from "./inbox-world.ts";

const phases = { bulk: true, profiles: true, importMissing: false };
const whom = { batchSize: 50, scope: "missing", limit: null, since: null, sinceMs: null } as const;

describe("backfill() with the inbox", async () => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());

  /** A Page's account whose people have all written. */
  const openShop = async (people: number) => {
    await using opening = new AsyncDisposableStack();
    const world = opening.use(await openInboxWorld(db, { people, troubleShare: 0 }, 1));
    await db.database.query(
      `insert into conversations (account_id, participant_platform_id, last_message_at, last_inbound_at)
       select '${world.id}', id, now() - n * interval '1 s', now() from json_array_elements_text($1::text::json)
       with ordinality as p (id, n)`,
      [JSON.stringify(world.own.people.map(({ id }) => id))],
      "fill",
    );
    world.sandbox.calls.reset();
    const { log } = createRecordingLog();
    const cache = opening.use(
      await openProfileCache({ url: null, timeoutMs: 100, entriesMax: 10_000, clock: systemClock, log }),
    );
    const { dependencies } = world;
    // Nothing is known of the allowance but what the inbox's answers tell.
    const budget = createBudget({ ceilingPerWindow: null, inboxSpacingMs: 0, clock: systemClock });
    const enrich = createEnrich({
      ...dependencies,
      budget,
      graph: world.graph,
      lookups: db.lookups,
      accounts: db.accounts,
      cache,
      log,
      profileMaxAgeMs: profileMaxAgeMsDefault,
    });
    const owned = opening.move();
    const open = async (asked: Partial<RunOptions> = {}): Promise<Run> => {
      const options: RunOptions = { ...whom, ...phases, ...asked };
      const ask = { id: `run-${Math.random()}`, accountId: world.id, options };
      const opened = await openRun(db.runs, { instance: "test", folder: null, lock: () => null }, ask, () => {});
      if (opened.kind === "other") throw new Error(`held by ${opened.run.owner}`);
      return opened.run;
    };
    const work = async (run: Run, onProgress: (one: BackfillProgress, stop: () => void) => void = () => {}) => {
      const stop = new AbortController();
      const progress: BackfillProgress[] = [];
      const told: PersonDone[] = [];
      const report = await backfill(
        {
          ...{ candidates: db.candidates, accounts: db.accounts, runs: db.runs, enrich, clock: systemClock, log },
          budget,
          listNames: (input, io) => bulkNames({ ...dependencies, budget }, input, io),
        },
        { run, account: world.account },
        {
          signal: stop.signal,
          onProgress: (one) => {
            progress.push(one);
            onProgress(one, () => stop.abort());
          },
          onPerson: (person) => told.push(person),
        },
      );
      return { report, progress, told };
    };
    const calls = () => world.sandbox.calls.counts();
    const rowOf = async () => (await db.rows("backfill_runs", "started_at"))[0];
    return { world, open, work, calls, rowOf, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  };

  test("tells everybody's username before the first profile, in as few calls as there are pages", async () => {
    await using shop = await openShop(230);
    const { report, progress, told } = await shop.work(await shop.open());
    expect(report).toMatchObject({ state: "completed", done: 230, successful: 230 });
    expect(report.names).toEqual({ calls: 5, listed: 230, named: 230, imported: 0 });
    expect(shop.calls()).toMatchObject({ listRequests: 5, profileItems: 230, profileRequests: 5 });
    const turn = progress.findIndex(({ phase }) => phase === "profiles");
    expect(progress[turn - 1]).toMatchObject({ phase: "names", names: { listed: 230 }, done: 0 });
    expect(progress.slice(turn).every(({ phase }) => phase === "profiles")).toBe(true);
    expect(told.map(({ id }) => id).toSorted()).toEqual(
      shop.world.own.people.map(({ id }) => shop.world.conversationIdOf(id)).toSorted(),
    );
    expect(new Set(told.map(({ username }) => username))).toEqual(
      new Set(shop.world.own.people.map(({ username }) => username)),
    );
    expect(await shop.rowOf()).toMatchObject({ phase: "profiles", names_cursor: null, names: report.names });
  });

  test("asks for no profile where names are all that is wanted", async () => {
    await using shop = await openShop(120);
    const { report } = await shop.work(await shop.open({ profiles: false }));
    expect(report).toMatchObject({ state: "completed", done: 0, total: 0, names: { calls: 3, named: 120 } });
    expect(shop.calls()).toMatchObject({ listRequests: 3, profileItems: 0 });
    const rows = await db.rows("conversations", "id");
    expect(rows.map((row) => [row.profile_status, row.participant_username === null])).toEqual(
      Array(120).fill(["pending", false]),
    );
  });

  test("stopped in the list, it goes on behind what was saved, and its totals add up", async () => {
    await using shop = await openShop(400);
    const first = await shop.work(await shop.open(), ({ names }, stop) => names.listed >= 150 && stop());
    expect(first.report).toMatchObject({ state: "interrupted", done: 0 });
    expect(await shop.rowOf()).toMatchObject({ phase: "names", names: first.report.names });
    const asked = shop.calls().listRequests;
    expect(asked).toBeLessThan(8);
    const { report } = await shop.work(await shop.open());
    expect(report).toMatchObject({ runId: first.report.runId, state: "completed", done: 400 });
    expect(report.names).toEqual({ calls: 8, listed: 400, named: 400, imported: 0 });
    expect(shop.calls()).toMatchObject({ listRequests: 8, profileItems: 400 });
  });

  test("writes no name once somebody else holds the run", async () => {
    await using shop = await openShop(2_000);
    let usurped: Promise<unknown> | null = null;
    const worked = shop.work(await shop.open(), ({ names }) => {
      if (names.listed === 0) return;
      usurped ??= db.database.query(
        "update backfill_runs set fencing_token = nextval('lease_tokens'), owner = 'other'",
        [],
        "take the run over",
      );
    });
    expect(worked).rejects.toThrow("another process has taken it over");
    await Promise.allSettled([worked]);
    await usurped;
    expect(await shop.rowOf()).toMatchObject({ owner: "other", state: "running", done: "0" });
    const named = (await db.rows("conversations", "id")).filter((row) => row.participant_username !== null).length;
    const { names } = (await shop.rowOf()) as { names: { named: number } };
    // Names and totals are saved together or not at all.
    expect(named).toBe(names.named);
    expect(named).toBeGreaterThan(0);
    expect(named).toBeLessThan(2_000);
    expect(shop.calls().profileItems).toBe(0);
  });

  test("looks people up where the list cannot be read, and says so where names alone are wanted", async () => {
    await using shop = await openShop(60);
    shop.world.sandbox.setThreadTwist(shop.world.own.people[3]?.id ?? "", "too_much");
    shop.world.sandbox.setListPageMax(0);
    const { report } = await shop.work(await shop.open());
    expect(report).toMatchObject({ state: "completed", done: 60, successful: 60, names: { named: 0 } });
    await db.database.query("delete from backfill_runs", [], "forget the run");
    const { report: names } = await shop.work(await shop.open({ profiles: false }));
    expect(names).toMatchObject({ state: "failed", names: { named: 0 } });
    expect(names.blockedReason).not.toBeNull();
  });
});
