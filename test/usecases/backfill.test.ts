import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { createBudget } from "../../src/budget/budget.ts";
import { openProfileCache } from "../../src/cache/profile-cache.ts";
import type { Login } from "../../src/domain/account.ts";
import { type AccountId, type ParticipantId, parseAccountId } from "../../src/domain/ids.ts";
import { batchSizeMax, type Evidence, type LookupAnswer, profileMaxAgeMsDefault } from "../../src/domain/profile.ts";
import type { RunOptions } from "../../src/domain/run.ts";
import { createCircuit } from "../../src/graph/circuit.ts";
import { type BackfillProgress, backfill } from "../../src/usecases/backfill.ts";
import { createEnrich, type EnrichDependencies } from "../../src/usecases/enrich.ts";
import { openRun } from "../../src/usecases/open-run.ts";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import {
  createRecordingLog,
  missingProfiles,
  openTestRepositories,
  systemClock,
} from "../support/test-repositories.ts";
import { account, delivery, inbound, secondAccount } from "../support/webhook-bodies.ts";

const t = 1_762_000_000_000;
const evidence: Evidence = { httpStatus: 500, code: 2, subcode: null, fbtraceId: null };

describe("backfill()", async () => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());
  beforeEach(() => db.empty());

  const addAccount = async (id: string, login: Login) => {
    const pageId = login === "facebook" ? `page-${id}` : null;
    await db.accounts.saveAccount({
      id: parseAccountId(id) as AccountId,
      ownId: `shop-${id.slice(-1)}`,
      login,
      pageId,
      appScopedId: null,
      username: null,
      token: `token of ${id}`,
      tokenExpiresAtMs: null,
    });
  };
  const write = (people: number, of = account) =>
    db.events.saveEvents(
      parseWebhook(
        delivery(
          Array.from({ length: people }, (_, n) => inbound(`${30_000 + n}`, `m${n}`, t + n, {}, of)),
          of,
        ),
        Date.now(),
      ).events,
      20_000,
    );

  const countMissing = async (of: string) =>
    (await db.candidates.countCandidates(parseAccountId(of) as AccountId, missingProfiles)).total;

  /** A Graph that answers as `answer` says, and what it was asked. */
  const makeRun = async (answer: (id: ParticipantId, nth: number) => LookupAnswer) => {
    const calls: { accountId: string; token: string; ids: readonly ParticipantId[] }[] = [];
    const times = new Map<ParticipantId, number>();
    const graph: EnrichDependencies["graph"] = {
      fetchUsername: async () => ({ kind: "unknown" }),
      async fetchProfiles(access, ids) {
        calls.push({ accountId: access.id, token: access.token, ids });
        const nth = (id: ParticipantId) => {
          times.set(id, (times.get(id) ?? 0) + 1);
          return times.get(id) ?? 1;
        };
        return {
          answers: new Map(ids.map((id) => [id, answer(id, nth(id))])),
          usage: null,
          pictureRefused: [],
          callsMade: ids.length,
        };
      },
    };
    const recorded = createRecordingLog();
    const { log } = recorded;
    const cache = await openProfileCache({ url: null, timeoutMs: 100, entriesMax: 10_000, clock: systemClock, log });
    // Pauses of a limit scale with the window: a quarter of it at first.
    const budget = createBudget({ ceilingPerWindow: null, windowMs: 2_000, clock: systemClock });
    const chance = { ...systemClock, random: () => 0.02 }; // back-off of 20, 80, 320 ms
    const enrich = createEnrich({
      lookups: db.lookups,
      accounts: db.accounts,
      cache,
      budget,
      graph,
      circuit: createCircuit({ clock: chance, log }),
      clock: chance,
      log,
      profileMaxAgeMs: profileMaxAgeMsDefault,
    });
    const listNames = () => Promise.reject(new Error("these runs read no inbox"));
    const progress: BackfillProgress[] = [];
    const stop = new AbortController();
    const run = async (batchSize: number, of = account, asked: Partial<RunOptions> = {}) => {
      const found = (await db.accounts.listAccounts()).find((one) => one.id === of);
      if (found === undefined) throw new Error("no such account");
      const id = `run-${of}-${Math.random()}`;
      const phases = { bulk: false, profiles: true, importMissing: false };
      const whom = { scope: "missing", limit: null, since: null, sinceMs: null } as const;
      const options: RunOptions = { batchSize, ...whom, ...phases, ...asked };
      const ask = { id, accountId: found.id, options };
      const opened = await openRun(db.runs, { instance: "test", folder: null, lock: () => null }, ask, () => {});
      if (opened.kind === "other") throw new Error(`held by ${opened.run.owner}`);
      return backfill(
        {
          ...{ candidates: db.candidates, accounts: db.accounts, runs: db.runs },
          ...{ budget, enrich },
          listNames,
          clock: systemClock,
          log,
        },
        { run: opened.run, account: found },
        { signal: stop.signal, onProgress: (one) => void progress.push(one) },
      );
    };
    return { run, calls, times, progress, stop, ...recorded };
  };
  const found = (
    id: ParticipantId,
    pictureUrl: string | null = "https://scontent.cdninstagram.com/p.jpg",
  ): LookupAnswer => ({
    kind: "found",
    profile: {
      participantId: id,
      username: `u${id}`,
      name: null,
      pictureUrl,
      pictureExpiresAtMs: null,
      fetchedAtMs: Date.now(),
    },
  });

  test("asks a page account's people in whole batches of 50, whatever the batch size", async () => {
    await addAccount(account, "facebook");
    await write(520);
    for (const batchSize of [10, 50]) {
      await db.database.query("update conversations set profile_status = 'pending', fetched_at = null", [], "reset");
      const { run, calls, messages } = await makeRun((id) => found(id));
      const report = await run(batchSize);
      const sizes = calls.map((call) => call.ids.length);
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(520);
      // The very first call goes alone; what is left at the end fills no request.
      expect(sizes.map((size) => size % batchSizeMax).filter((left) => left > 0)).toEqual([1, 19]);
      expect(report).toMatchObject({ total: 520, done: 520, successful: 520, errors: 0, interrupted: false });
      expect(messages()).toContain(
        `Starting backfill job for account shop-1 with batch size ${batchSize} (job: ${report.runId})`,
      );
      expect(messages()).toContain(
        `Backfill job ${report.runId} completed: 520/520 successful, 0 errors, ${report.durationMs}ms`,
      );
    }
  });

  test("goes on after the first batch until everybody was asked", async () => {
    await addAccount(account, "instagram");
    await write(2_345);
    const { run, times } = await makeRun((id) => found(id));
    expect(await run(10)).toMatchObject({ done: 2_345, successful: 2_345 });
    expect(times.size).toBe(2_345);
    expect(Math.max(...times.values())).toBe(1);
  });

  test("touches that account's people with that account's token, nobody else's", async () => {
    await addAccount(account, "instagram");
    await addAccount(secondAccount, "instagram");
    await write(5);
    await write(7, secondAccount);
    const { run, calls } = await makeRun((id) => found(id));
    await run(10, secondAccount);
    expect(new Set(calls.map((call) => `${call.accountId} ${call.token}`))).toEqual(
      new Set([`${secondAccount} token of ${secondAccount}`]),
    );
    expect(await countMissing(account)).toBe(5);
    expect(await countMissing(secondAccount)).toBe(0);
  });

  test("people who fail for good neither block the others nor come again in the next run", async () => {
    await addAccount(account, "instagram");
    await write(120);
    const gone: LookupAnswer = { kind: "absent", reason: "gone", evidence };
    const first = await makeRun((id) => (Number(id) >= 30_020 ? gone : found(id)));
    expect(await first.run(10)).toMatchObject({ successful: 20, errors: 100, outcomes: { complete: 20, gone: 100 } });
    const second = await makeRun((id) => found(id));
    expect(await second.run(10)).toMatchObject({ total: 0, done: 0 });
    expect(second.calls).toEqual([]);
  });

  test("people without a picture are done and are not candidates again", async () => {
    await addAccount(account, "instagram");
    await write(30);
    const first = await makeRun((id) => found(id, null));
    expect(await first.run(10)).toMatchObject({ successful: 30, outcomes: { no_picture: 30 } });
    expect(await countMissing(account)).toBe(0);
  });

  test("tries a passing failure again within the run, three attempts at most", async () => {
    await addAccount(account, "instagram");
    await write(10);
    const fails: LookupAnswer = { kind: "failed", reason: "server_error", evidence };
    const { run, times } = await makeRun((id, nth) =>
      id === "30000" || (id === "30001" && nth < 3) ? fails : found(id),
    );
    expect(await run(10)).toMatchObject({ successful: 9, errors: 1, outcomes: { complete: 9, server_error: 1 } });
    expect(times.get("30000" as ParticipantId)).toBe(3);
    expect(times.get("30001" as ParticipantId)).toBe(3);
  });

  // Left to themselves at its end they would look like a Graph that is away: a probe in 30 s for two dozen attempts.
  test.each(["instagram", "facebook"] as const)(
    "twelve on whom Graph always fails are given up within seconds, and hold nobody up (%s)",
    async (login) => {
      await addAccount(account, login);
      await write(200);
      const ails = (id: ParticipantId) => (Number(id) - 30_000) % 17 === 0;
      const fails: LookupAnswer = { kind: "failed", reason: "server_error", evidence };
      const { run, times, messages } = await makeRun((id) => (ails(id) ? fails : found(id)));
      const report = await run(10);
      expect(report).toMatchObject({ successful: 188, errors: 12, outcomes: { complete: 188, server_error: 12 } });
      expect(report.durationMs).toBeLessThan(20_000);
      for (const [id, asked] of times) expect([id, asked]).toEqual([id, ails(id) ? 3 : 1]);
      expect(messages().filter((message) => message.startsWith("Instagram fails"))).toEqual([]);
    },
    20_000,
  );

  test("waits out a limit with a countdown, and then finishes", async () => {
    await addAccount(account, "instagram");
    await write(40);
    let throttled = false;
    const { run, progress, times } = await makeRun((id) => {
      if (throttled || id !== "30030") return found(id);
      throttled = true;
      return { kind: "throttled", scope: "account", resumeInMs: null, evidence };
    });
    expect(await run(10)).toMatchObject({ successful: 40, errors: 0 });
    expect(progress.some((one) => (one.pausedForMs ?? 0) > 0)).toBe(true);
    expect(times.get("30030" as ParticipantId)).toBe(2);
  }, 20_000);

  test("the step that meets a limit tells of the pause itself, and no progress in it tells of none", async () => {
    await addAccount(account, "instagram");
    await write(1);
    let toldBefore: number | null = null;
    const { run, progress } = await makeRun((id) => {
      if (toldBefore !== null) return found(id);
      toldBefore = progress.length;
      return { kind: "throttled", scope: "account", resumeInMs: null, evidence };
    });
    await run(10);
    const inPause = progress.slice(toldBefore ?? 0).filter(({ done }) => done === 0);
    expect(inPause.length).toBeGreaterThan(1);
    for (const { pausedForMs } of inPause) expect(pausedForMs).toBeGreaterThan(0);
    expect(progress.at(-1)).toMatchObject({ done: 1, pausedForMs: null });
  }, 20_000);

  test("a dead token ends the run and says why", async () => {
    await addAccount(account, "instagram");
    await write(500);
    const { run, calls } = await makeRun(() => ({ kind: "blocked", reason: "token_dead", evidence }));
    expect(await run(10)).toMatchObject({ blockedReason: "token_dead", successful: 0 });
    expect(calls.length).toBeLessThanOrEqual(8); // the steps that were already under way
  });

  test("told to stop, it finishes what is in hand; the next run takes the rest, nobody twice", async () => {
    await addAccount(account, "instagram");
    await write(400);
    const first = await makeRun((id) => found(id));
    let seen = 0;
    const { run, times, stop } = { ...first, times: first.times };
    const answering = await makeRun((id) => {
      seen += 1;
      if (seen === 60) answering.stop.abort();
      return found(id);
    });
    const report = await answering.run(10);
    expect(report.interrupted).toBe(true);
    expect(report.done).toBeGreaterThan(0);
    expect(report.done).toBeLessThan(400);
    expect(await run(10)).toMatchObject({ runId: report.runId, total: 400, done: 400, outcomes: { complete: 400 } });
    expect([...times.keys()].filter((id) => answering.times.has(id))).toEqual([]);
    expect(stop.signal.aborted).toBe(false);
    expect(await db.rows("backfill_runs", "started_at")).toMatchObject([
      { state: "completed", done: "400", successful: "400", errors: "0", outcomes: { complete: 400 } },
    ]);
  });

  test("nothing to do is a run of nobody", async () => {
    await addAccount(account, "instagram");
    const { run, calls } = await makeRun((id) => found(id));
    expect(await run(10)).toMatchObject({ total: 0, done: 0, successful: 0, errors: 0 });
    expect(calls).toEqual([]);
  });
});
