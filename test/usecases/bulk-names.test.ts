/** The names of an inbox in bulk: the sandbox over HTTP, a real Postgres. */
import { afterAll, describe, expect, test } from "bun:test";
import { createBudget } from "../../src/budget/budget.ts";
import { SyncError } from "../../src/domain/error.ts";
import { usernameLengthMax } from "../../src/domain/profile.ts";
import { createCircuit, failedCallsMax } from "../../src/graph/circuit.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { aheadMax, pagesMax } from "../../src/usecases/names-buffer.ts";
import { openReceiver } from "../sandbox/open-test-sandbox.ts";
import { waitUntil } from "../support/bounded-wait.ts";
import { createRecordingLog, openTestRepositories, systemClock } from "../support/test-repositories.ts";
import { inbound } from "../support/webhook-bodies.ts";
import { freeBudget, hastyClock, type InboxWorld, noTotals, openInboxWorld } from "./inbox-world.ts";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
/** A hundred times as fast as the machine's, chance aside. */
const fastClock: Clock = {
  ...systemClock,
  monotonicMs: () => systemClock.monotonicMs() * 100,
  after: (delayMs, run) => systemClock.after(delayMs / 100, run),
  random: () => 1,
};

describe("bulkNames()", async () => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());

  for (const [accountIndex, login] of ["instagram", "facebook"].entries()) {
    test.each([1, 50, 51, 1_000])(
      `lists %i threads with a token of ${login} in as few calls as there are pages`,
      async (people) => {
        await using world = await openInboxWorld(db, { people }, accountIndex);
        const { end, last, pages } = await world.run();
        expect(end).toEqual({ kind: "done" });
        const calls = Math.ceil(people / 50);
        expect(world.sandbox.calls.counts()).toMatchObject({ requests: calls, listRequests: calls });
        expect(last).toEqual({
          calls,
          listed: people,
          named: people,
          imported: 0,
          cursor: null,
          pausedForMs: null,
          unsaved: true,
        });
        expect(pages.map(({ listed }) => listed)).toEqual(pages.map(({ listed }) => listed).toSorted((a, b) => a - b));
        expect(await world.knownNames()).toEqual(new Map(world.own.people.map(({ id, username }) => [id, username])));
      },
    );
  }

  test("a run right after another costs one call, and reads as far as somebody has written since", async () => {
    await using receiver = openReceiver();
    await using world = await openInboxWorld(db, { people: 400, webhookUrl: receiver.url });
    await world.run();
    world.sandbox.calls.reset();
    expect((await world.run()).end).toEqual({ kind: "done" });
    expect(world.sandbox.calls.listRequests).toBe(1);
    // A hundred people write: they fill two pages, and the third is known.
    const writers = world.own.people.slice(200, 300).map(({ id }) => id);
    await world.sandbox.deliver({ count: writers.length, personIds: writers });
    world.sandbox.calls.reset();
    expect((await world.run()).last).toMatchObject({ listed: 150, cursor: null });
    expect(world.sandbox.calls.listRequests).toBe(3);
  });

  test("a listing that was not finished, is a week old or saw another token covers nothing", async () => {
    await using world = await openInboxWorld(db, { people: 200 });
    const stop = new AbortController();
    await world.run({ signal: stop.signal, onPage: () => stop.abort() });
    world.sandbox.calls.reset();
    await world.run();
    expect(world.sandbox.calls.listRequests).toBe(4);
    for (const change of [
      () => db.database.query("update accounts set listed_at = now() - interval '8 days'", [], "age the listing"),
      () => world.save(),
    ]) {
      await change();
      world.sandbox.calls.reset();
      await world.run();
      expect(world.sandbox.calls.listRequests).toBe(4);
    }
  });

  test("names conversations by their column alone, and turns only refusals that the inbox may name", async () => {
    await using world = await openInboxWorld(db, { people: 12 });
    const { people } = world.own;
    const at = (index: number) => people[index] ?? { id: "", username: "" };
    await world.file(...people.slice(0, 8).map(({ id }, n) => inbound(id, `m${n}`, Date.now() - 1_000, {}, world.id)));
    const set = (index: number, text: string) =>
      db.database.query(
        `update conversations set ${text} where participant_platform_id = $1`,
        [at(index).id],
        "set a row",
      );
    await set(0, "profile_status = 'no_consent', reason_code = 'no_consent', next_attempt_at = null");
    await set(1, "profile_status = 'not_found', reason_code = 'gone', next_attempt_at = now() + interval '30 days'");
    await set(2, "profile_status = 'not_found', reason_code = 'not_visible'");
    await set(
      3,
      "profile_status = 'complete', participant_username = 'old', participant_name = 'N', fetched_at = now() - interval '1 hour'",
    );
    await set(4, "profile_status = 'complete', participant_username = 'newer', fetched_at = now() + interval '1 hour'");
    await set(5, "profile_status = 'failed', reason_code = 'timeout', attempts = 3");
    await set(
      6,
      "profile_status = 'no_consent', reason_code = 'no_consent', participant_username = 'said.in.a.comment'",
    );
    await db.database.query(
      "insert into known_usernames values ($1, $2, 'said.in.a.comment', now() + interval '1 hour'), ($1, $3, 'older', now() - interval '1 hour')",
      [world.id, at(6).id, at(9).id],
      "know names",
    );
    const before = await db.rows("conversations", "id");
    expect((await world.run()).end).toEqual({ kind: "done" });
    const changes: Record<string, Record<string, unknown>> = {
      [at(0).id]: { participant_username: at(0).username, profile_status: "username_only" },
      [at(1).id]: { participant_username: at(1).username },
      [at(2).id]: { participant_username: at(2).username, profile_status: "username_only" },
      [at(3).id]: { participant_username: at(3).username },
      [at(5).id]: { participant_username: at(5).username },
      [at(7).id]: { participant_username: at(7).username },
    };
    expect(await db.rows("conversations", "id")).toEqual(
      before.map((row) => ({ ...row, ...changes[String(row.participant_platform_id)] })),
    );
    const known = await world.knownNames();
    expect(known.get(at(9).id)).toBe(at(9).username);
    expect(known.get(at(6).id)).toBe("said.in.a.comment");
    expect([...known.keys()].toSorted()).toEqual([6, 8, 9, 10, 11].map((n) => at(n).id).toSorted());
    // Whoever wrote is looked up as ever: a name is no profile.
    expect(await db.lookups.listDue(10)).toContain(world.conversationIdOf(at(7).id));
  });

  test("cleans a NUL out of a name, cuts one that is too long, and saves nothing of somebody without one", async () => {
    await using world = await openInboxWorld(db, { people: 3 });
    const [nul, huge, nameless] = world.own.people.map(({ id }) => id) as [string, string, string];
    world.sandbox.setThreadTwist(nul, "nul_username");
    world.sandbox.setThreadTwist(huge, "huge_username");
    world.sandbox.setThreadTwist(nameless, "nameless");
    expect((await world.run()).last).toMatchObject({ listed: 3, named: 2 });
    const known = await world.knownNames();
    expect(known.get(nul)).toBe(`jane${world.own.people[0]?.username}`);
    expect(known.get(huge)).toBe("x".repeat(usernameLengthMax));
    expect(known.has(nameless)).toBe(false);
  });

  test("finds the person beside nulls, hidden people, and the account under an id that nobody told", async () => {
    await using world = await openInboxWorld(db, { people: 6 });
    const [hidden, holed, group, ...rest] = world.own.people.map(({ id }) => id) as [string, string, string];
    for (const person of [hidden, holed, group, ...rest]) world.sandbox.setThreadTwist(person, "own_app_scoped");
    expect((await world.run()).end).toEqual({ kind: "done" });
    expect([...(await world.knownNames()).keys()].toSorted()).toEqual(world.own.people.map(({ id }) => id).toSorted());
    await db.database.query("truncate known_usernames", [], "forget names");
    for (const person of rest) world.sandbox.setThreadTwist(person, null);
    world.sandbox.setThreadTwist(hidden, "no_participants");
    world.sandbox.setThreadTwist(holed, "null_side");
    world.sandbox.setThreadTwist(group, "group");
    await world.run({ importMissing: true });
    const known = await world.knownNames();
    expect(known.has(hidden)).toBe(false);
    expect(known.has(world.own.instagramId) || known.has(world.own.appScopedId)).toBe(false);
    expect(known.has(holed) && known.has(group) && known.has(`1${group}`)).toBe(true);
    const made = (await db.rows("conversations", "id")).map((row) => row.participant_platform_id);
    expect(made.toSorted()).toEqual([holed, ...rest].toSorted());
    expect(world.messages()).toContain("1 group threads kept out: a conversation is with one person");
    expect(world.messages()).toContain("1 threads kept out: the list does not tell who is in them");
  });

  test("goes on behind the last page that was told, and the totals add up", async () => {
    await using world = await openInboxWorld(db, { people: 230 });
    const stop = new AbortController();
    const first = await world.run({
      signal: stop.signal,
      onPage: ({ listed }) => {
        if (listed === 150) stop.abort();
      },
    });
    expect(first.end).toEqual({ kind: "stopped" });
    const { cursor, calls, listed, named, imported } = first.last ?? { cursor: null, ...noTotals };
    const totals = { calls, listed, named, imported };
    expect(totals).toEqual({ calls: 3, listed: 150, named: 150, imported: 0 });
    expect(cursor).not.toContain(world.own.token);
    const second = await world.run({ cursor, totals });
    expect(second.last).toMatchObject({ calls: 5, listed: 230, named: 230, cursor: null });
    expect(world.sandbox.calls.listRequests).toBe(5);
    // The whole of it counts as one listing.
    world.sandbox.calls.reset();
    await world.run();
    expect(world.sandbox.calls.listRequests).toBe(1);
  });

  test("starts again where Instagram takes the cursor no more, and counts each page once", async () => {
    await using world = await openInboxWorld(db, { people: 120 });
    let expired = false;
    const { end, last } = await world.run({
      onPage: () => {
        if (!expired) world.sandbox.expireCursors();
        expired = true;
      },
    });
    expect(end).toEqual({ kind: "done" });
    expect(last).toMatchObject({ calls: 5, listed: 120, named: 120, cursor: null });
    expect(world.messages()).toContain("Instagram takes the list's cursor no more: listing from the start again");
    // A cursor of another program's is none.
    expect((await world.run({ cursor: "2.nonsense" })).end).toEqual({ kind: "done" });
    // Cursors that all die at once end it.
    await db.database.query("update accounts set listed_at = null", [], "forget the listing");
    const { graph } = world.dependencies;
    const dying = await world.run({
      with: {
        graph: {
          ...graph,
          fetchThreads: (...asked) => {
            world.sandbox.expireCursors();
            return graph.fetchThreads(...asked);
          },
        },
      },
    });
    expect(dying.end).toEqual({ kind: "failed", reason: "bad_request" });
  });

  test("takes smaller pages where Instagram wants less data, and larger ones again, never above 50", async () => {
    await using world = await openInboxWorld(db, { people: 300 });
    world.sandbox.setListPageMax(12);
    const sizes: number[] = [];
    const { graph } = world.dependencies;
    const counted: typeof graph = {
      ...graph,
      fetchThreads: (access, page, signal) => {
        sizes.push(page.limit);
        return graph.fetchThreads(access, page, signal);
      },
    };
    const { end, last } = await world.run({
      with: { graph: counted },
      onPage: ({ listed }) => {
        if (listed >= 60) world.sandbox.setListPageMax(null);
      },
    });
    expect(end).toEqual({ kind: "done" });
    expect(last).toMatchObject({ listed: 300, named: 300 });
    expect(sizes.slice(0, 3)).toEqual([50, 25, 10]);
    expect(Math.max(...sizes)).toBe(50);
    expect(sizes.at(-1)).toBeGreaterThan(10);
    expect(await world.knownNames()).toHaveProperty("size", 300);
  });

  test("takes smaller pages only around a thread that is too much by itself", async () => {
    await using world = await openInboxWorld(db, { people: 120 });
    world.sandbox.setThreadTwist(world.own.people[60]?.id ?? "", "too_much");
    const { end, last } = await world.run();
    expect(end).toEqual({ kind: "done" });
    expect(last).toMatchObject({ listed: 120, named: 120 });
    expect(world.listCalls().filter(({ code }) => code === 1)).toHaveLength(2);
  });

  test("a token that dies in the middle ends it, marks the account, and a new one goes on from the cursor", async () => {
    await using world = await openInboxWorld(db, { people: 150 });
    const first = await world.run({ onPage: () => world.sandbox.setAccountTrouble(0, "token_dead") });
    expect(first.end).toEqual({ kind: "blocked", reason: "token_dead" });
    const [parked] = await db.accounts.listAccounts();
    expect(parked).toMatchObject({ state: "reauth_required", stateReason: "token_dead" });
    expect((await world.run(parked === undefined ? {} : { account: parked })).end).toEqual(first.end);
    expect(world.sandbox.calls.listRequests).toBe(2);
    world.sandbox.setAccountTrouble(0, null);
    await world.save();
    const { cursor = null, calls = 0, listed = 0, named = 0, imported = 0 } = first.last ?? {};
    const second = await world.run({ cursor, totals: { calls, listed, named, imported } });
    expect(second.last).toMatchObject({ listed: 150, named: 150, cursor: null });
  });

  test("a token that was replaced meanwhile is taken up at once", async () => {
    await using world = await openInboxWorld(db, { people: 60 });
    const { graph } = world.dependencies;
    let calls = 0;
    const renewing: typeof graph = {
      ...graph,
      fetchThreads: async (access, page, signal) => {
        calls += 1;
        if (calls !== 2) return graph.fetchThreads(access, page, signal);
        await world.save();
        const evidence = { httpStatus: 401, code: 190, subcode: null, fbtraceId: null };
        return { answer: { kind: "blocked", reason: "token_dead", evidence }, usage: null };
      },
    };
    expect((await world.run({ with: { graph: renewing } })).end).toEqual({ kind: "done" });
    expect((await db.accounts.listAccounts())[0]).toMatchObject({ state: "active" });
  });

  test("asks at most twice a second through the shared budget's pool, and never meets the edge's own limit", async () => {
    await using world = await openInboxWorld(db, { people: 200, ratePerWindow: 1_000 });
    using budget = createBudget({ ceilingPerWindow: null, clock: systemClock });
    expect((await world.run({ with: { budget } })).end).toEqual({ kind: "done" });
    const times = world.listCalls().map(({ atMs }) => atMs);
    expect(times).toHaveLength(4);
    for (const [place, atMs] of times.slice(2).entries()) expect(atMs - (times[place] ?? 0)).toBeGreaterThan(1_000);
    expect(world.sandbox.calls.throttled).toBe(0);
  });

  test("waits for a limit, says for how long, and goes on with the page it was at", async () => {
    await using world = await openInboxWorld(db, { people: 150 });
    using budget = createBudget({ ceilingPerWindow: null, windowMs: 6_000, clock: systemClock });
    let [throttled, released] = [false, false];
    const { end, pages, last } = await world.run({
      with: { budget },
      onPage: ({ pausedForMs }) => {
        if (!throttled) world.sandbox.setAccountTrouble(0, "throttled_account");
        throttled = true;
        if (pausedForMs === null || released) return;
        released = true;
        world.sandbox.setAccountTrouble(0, null);
      },
    });
    expect(end).toEqual({ kind: "done" });
    expect(last).toMatchObject({ calls: 4, listed: 150, named: 150 });
    const paused = pages.filter(({ pausedForMs }) => pausedForMs !== null);
    expect(paused[0]?.pausedForMs).toBeGreaterThan(1_000);
    expect(paused.every(({ cursor, listed }) => cursor === pages[0]?.cursor && listed === 50)).toBe(true);
    expect(world.sandbox.calls.throttled).toBe(1);
  });

  test("waits for a Graph that is away, probing as everybody does, and ends when told to", async () => {
    await using world = await openInboxWorld(db, { people: 100 });
    const { log } = createRecordingLog();
    const circuit = createCircuit({ clock: fastClock, log });
    const failed = { kind: "failed", reason: "server_error" };
    for (let call = 0; call < failedCallsMax; call++) circuit.note("instagram", new Map([[`person ${call}`, failed]]));
    world.sandbox.setAccountTrouble(0, "server_error");
    let paused = 0;
    const { end, pages } = await world.run({
      with: { circuit, clock: fastClock },
      onPage: ({ pausedForMs }) => {
        if (pausedForMs === null) return;
        paused += 1;
        if (paused === 100) world.sandbox.setAccountTrouble(0, null);
      },
    });
    expect(end).toEqual({ kind: "done" });
    expect(Math.max(...pages.map(({ pausedForMs }) => pausedForMs ?? 0))).toBeGreaterThan(20_000);
    expect(circuit.state("instagram").failingSinceMs).toBeNull();

    world.sandbox.setAccountTrouble(0, "server_error");
    for (let call = 0; call < failedCallsMax; call++) circuit.note("instagram", new Map([[`person ${call}`, failed]]));
    const stop = new AbortController();
    const waiting = world.run({ with: { circuit }, signal: stop.signal });
    await sleep(100);
    stop.abort();
    expect((await waiting).end).toEqual({ kind: "stopped" });
  });

  test("gives a list up that fails again and again, with the cursor to go on from", async () => {
    await using world = await openInboxWorld(db, { people: 100 });
    const first = await world.run({ onPage: () => world.sandbox.setAccountTrouble(0, "server_error") });
    expect(first.end).toEqual({ kind: "failed", reason: "server_error" });
    world.sandbox.setAccountTrouble(0, null);
    expect((await world.run({ cursor: first.last?.cursor ?? null })).last).toMatchObject({ listed: 50, cursor: null });
    world.sandbox.setAccountTrouble(0, "permission");
    expect((await world.run()).end).toEqual({ kind: "blocked", reason: "permission_missing" });
  });

  describe("a long list", () => {
    /** The beginnings' pages, each saved before the list goes on; what is behind them is saved beside. */
    const doubling = [1, 2, 4, 8, 16];
    const [begun, pages, firstLong] = [31, 100, doubling.length + 1];
    /** As `world.run()`, and `onSave` may hold the saving of some pages up: `place` counts from 1. No page waits for the clock. */
    const runLong = async (
      world: InboxWorld,
      { onSave, ...options }: Parameters<InboxWorld["run"]>[0] & { onSave: (place: number) => Promise<void> },
    ) => {
      let [asked, saved, mostInVain] = [0, 0, 0];
      const sizes: number[] = [];
      const { graph, inbox } = world.dependencies;
      const running = world.run({
        ...options,
        with: {
          clock: { ...hastyClock, monotonicMs: () => 0 },
          graph: {
            ...graph,
            fetchThreads: (...question) => {
              asked += 1;
              mostInVain = Math.max(mostInVain, asked - saved);
              return graph.fetchThreads(...question);
            },
          },
          inbox: {
            ...inbox,
            saveListedNames: async (named) => {
              const size = Math.ceil(named.people.length / 50);
              await onSave(sizes.push(size));
              const answer = await inbox.saveListedNames(named);
              saved += size;
              return answer;
            },
          },
          ...options.with,
        },
      });
      return { ...(await running), sizes, mostInVain };
    };

    test("is read on while pages are saved, with 50 requests in vain at most in a crash", async () => {
      await using world = await openInboxWorld(db, { people: pages * 50 });
      const { calls } = world.sandbox;
      const {
        end,
        last,
        pages: told,
        sizes,
        mostInVain,
      } = await runLong(world, {
        onSave: async (place) => {
          const most = begun + (place - firstLong) * pagesMax + 50;
          if (place >= firstLong)
            await waitUntil(() => calls.listRequests >= Math.min(pages, most), 20_000, "Nothing is read on");
          await sleep(20);
        },
      });
      expect(end).toEqual({ kind: "done" });
      expect(mostInVain).toBe(50);
      expect(sizes).toEqual([...doubling, pagesMax, pagesMax, pages - begun - 2 * pagesMax]);
      expect(last).toMatchObject({ calls: pages, listed: pages * 50, named: pages * 50, cursor: null });
      // Each page is told once, with the cursor behind it.
      const saved = told.slice(0, -1).map(({ listed, cursor }) => [listed, cursor]);
      expect(saved.map(([listed]) => listed)).toEqual(
        sizes.map((_, at) => sizes.slice(0, at + 1).reduce((sum, size) => sum + size) * 50),
      );
      expect(new Set(saved.map(([, cursor]) => cursor)).size).toBe(saved.length);
      expect(await world.knownNames()).toHaveProperty("size", pages * 50);
    }, 60_000);

    test("stopped while pages are saved, it keeps what it has read, and goes on behind that", async () => {
      await using world = await openInboxWorld(db, { people: pages * 50 });
      const stop = new AbortController();
      const read = begun + pagesMax + aheadMax;
      const first = await runLong(world, {
        signal: stop.signal,
        onSave: async (place) => {
          if (place !== firstLong) return;
          await waitUntil(() => world.sandbox.calls.listRequests >= read, 20_000, "Nothing is read on");
          await sleep(50);
          stop.abort();
        },
      });
      expect(first.end).toEqual({ kind: "stopped" });
      expect(first.sizes.slice(doubling.length)).toEqual([pagesMax, aheadMax]);
      expect(first.last).toMatchObject({ calls: read, listed: read * 50, named: read * 50 });
      const { cursor = null, calls = 0, listed = 0, named = 0, imported = 0 } = first.last ?? {};
      const second = await world.run({ cursor, totals: { calls, listed, named, imported } });
      expect(second.last).toMatchObject({ calls: pages, listed: pages * 50, named: pages * 50, cursor: null });
      expect(await world.knownNames()).toHaveProperty("size", pages * 50);
    }, 60_000);

    test("ends where the run is lost meanwhile, and saves nothing that it has read on", async () => {
      await using world = await openInboxWorld(db, { people: pages * 50 });
      await db.database.query(
        `insert into backfill_runs (id, account_id, state, owner, options, fencing_token)
         values ('r', $1, 'running', 'test', '{}', 1)`,
        [world.id],
        "begin a run",
      );
      const { end, last, sizes } = await runLong(world, {
        run: { id: "r", fencingToken: "1" },
        onSave: async (place) => {
          if (place !== firstLong) return;
          await waitUntil(() => world.sandbox.calls.listRequests > begun + pagesMax, 20_000, "Nothing is read on");
          await db.database.query("update backfill_runs set fencing_token = 2", [], "take the run over");
        },
      });
      expect(end).toEqual({ kind: "stopped" });
      expect(sizes).toHaveLength(firstLong);
      expect(last).toMatchObject({ listed: begun * 50, named: begun * 50 });
      expect(await db.rows("backfill_runs", "id")).toMatchObject([{ names: { calls: begun, listed: begun * 50 } }]);
      expect(await world.knownNames()).toHaveProperty("size", begun * 50);
    }, 60_000);

    test("ends where saving beside it fails, also in the middle of a pause", async () => {
      await using world = await openInboxWorld(db, { people: pages * 50 });
      let resting = false;
      const budget: typeof freeBudget = {
        ...freeBudget,
        take: async (ask) => ({
          ...(await freeBudget.take(ask)),
          ...(resting ? { granted: 0, resumeInMs: 3_600_000 } : {}),
        }),
      };
      const pauses: number[] = [];
      const running = runLong(world, {
        with: { budget },
        onPage: ({ pausedForMs }) => {
          if (pausedForMs !== null) pauses.push(pausedForMs);
        },
        onSave: async (place) => {
          if (place < firstLong) return;
          resting = true;
          await sleep(200);
          throw new SyncError("storage_unavailable", "Cannot save");
        },
      });
      expect(running).rejects.toThrow("Cannot save");
      await Promise.allSettled([running]);
      expect(pauses.length).toBeLessThanOrEqual(1);
      expect(await world.knownNames()).toHaveProperty("size", begun * 50);
    }, 60_000);
  });

  test("an abort in the middle of a call ends it at once", async () => {
    await using world = await openInboxWorld(db, { people: 100, latencyMs: 60_000 });
    const stop = new AbortController();
    const running = world.run({ signal: stop.signal });
    await sleep(100);
    stop.abort();
    expect(await running).toMatchObject({ end: { kind: "stopped" }, pages: [] });
  });
});
