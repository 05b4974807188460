import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { createBudget } from "../../src/budget/budget.ts";
import { openProfileCache } from "../../src/cache/profile-cache.ts";
import type { AccountAccess } from "../../src/domain/account.ts";
import {
  type AccountId,
  type ConversationId,
  conversationIdOf,
  type ParticipantId,
  parseAccountId,
  parseParticipantId,
} from "../../src/domain/ids.ts";
import { awaySpreadMs } from "../../src/domain/lookup-outcome.ts";
import { attemptsMax } from "../../src/domain/lookup-rules.ts";
import { type Evidence, type LookupAnswer, type Profile, profileMaxAgeMsDefault } from "../../src/domain/profile.ts";
import { createCircuit, probeEveryMs } from "../../src/graph/circuit.ts";
import {
  createEnrich,
  type EnrichDependencies,
  type EnrichResult,
  roundMax,
  roundWithinMs,
} from "../../src/usecases/enrich.ts";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import { createFakeClock } from "../budget/fake-clock.ts";
import { createTestClient, foundItem, openGraphServer, readBatchIds } from "../graph/graph-server.ts";
import { createRecordingLog, openTestRepositories, systemClock } from "../support/test-repositories.ts";
import { account, delivery, echo, inbound, secondAccount } from "../support/webhook-bodies.ts";

const accountId = parseAccountId(account) as AccountId;
const idOf = (person: string, of: AccountId = accountId): ConversationId =>
  conversationIdOf(of, parseParticipantId(person) as ParticipantId);
const evidence: Evidence = { httpStatus: 403, code: 230, subcode: null, fbtraceId: "trace" };
const never = new AbortController().signal;
const live = { lane: "live", force: false, signal: never } as const;

const profileOf = (participantId: ParticipantId, rest: Partial<Profile> = {}): Profile => ({
  participantId,
  username: `user_${participantId}`,
  name: `Name ${participantId}`,
  pictureUrl: "https://scontent.cdninstagram.com/v/p.jpg",
  pictureExpiresAtMs: Date.now() + 86_400_000 * 3,
  fetchedAtMs: Date.now(),
  ...rest,
});
const found = (id: ParticipantId): LookupAnswer => ({ kind: "found", profile: profileOf(id) });

describe("enrich()", async () => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());

  let answer: (id: ParticipantId, access: AccountAccess) => LookupAnswer | Promise<LookupAnswer>;
  let asked: { ids: readonly ParticipantId[]; access: AccountAccess }[] = [];
  const graph: EnrichDependencies["graph"] = {
    fetchUsername: async () => ({ kind: "unknown" }),
    async fetchProfiles(access, ids) {
      asked.push({ ids, access });
      const answers = new Map<ParticipantId, LookupAnswer>();
      for (const id of ids) answers.set(id, await answer(id, access));
      return { answers, usage: null, pictureRefused: [], callsMade: ids.length };
    },
  };

  const make = async (over: Partial<EnrichDependencies> = {}) => {
    const recorded = createRecordingLog();
    const cache = await openProfileCache({
      url: null,
      timeoutMs: 100,
      entriesMax: 1_000,
      clock: systemClock,
      log: recorded.log,
    });
    const budget = createBudget({ ceilingPerWindow: null, clock: systemClock });
    const parts = {
      lookups: db.lookups,
      accounts: db.accounts,
      cache,
      budget,
      graph,
      circuit: createCircuit({ clock: systemClock, log: recorded.log }),
      clock: systemClock,
      log: recorded.log,
      profileMaxAgeMs: profileMaxAgeMsDefault,
      ...over,
    };
    return { enrich: createEnrich(parts), cache, budget, ...recorded };
  };
  const write = (items: Record<string, unknown>[], of = account) =>
    db.events.saveEvents(parseWebhook(delivery(items, of), Date.now()).events, 5_000);
  const addAccount = (id: string, token = "IGAAtoken", over: Partial<AccountAccess> = {}) =>
    db.accounts.saveAccount({
      id: parseAccountId(id) as AccountId,
      ownId: `shop-${id.slice(-1)}`,
      login: over.login ?? "instagram",
      pageId: over.pageId ?? null,
      appScopedId: null,
      username: null,
      token,
      tokenExpiresAtMs: null,
    });
  const row = async (person: string) =>
    (await db.rows("conversations", "id")).find((one) => one.participant_platform_id === person) ?? {};

  beforeEach(async () => {
    await db.empty();
    await addAccount(account);
    asked = [];
    answer = found;
  });

  test("gives a conversation its name and picture, and says so in the log line operators grep for", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    const { enrich, messages } = await make();
    const results = await enrich([idOf("111")], live);
    expect(results.get(idOf("111"))).toMatchObject({ kind: "found", source: "graph" });
    expect(await row("111")).toMatchObject({
      participant_username: "user_111",
      participant_name: "Name 111",
      profile_status: "complete",
      next_attempt_at: null,
      lease_until: null,
    });
    expect(messages()).toContain(`Attempting to enrich participant profile for conversation ${idOf("111")}`);
    expect(messages()).toContain(`Successfully enriched conversation ${idOf("111")} with participant profile data`);
  });

  describe("more people than are asked about at once", () => {
    const people = Array.from({ length: roundMax + 50 }, (_, n) => String(700_000 + n));
    const ids = people.map((person) => idOf(person));
    const begin = async (over: Partial<EnrichDependencies> = {}) => {
      await write(people.map((person) => inbound(person, `m${person}`, 1_762_000_000_000)));
      const made = await make(over);
      await made.enrich([idOf("700000")], live); // the budget's first call goes alone
      asked = [];
      return made.enrich;
    };
    const leased = async () => (await db.rows("conversations", "id")).filter((one) => one.lease_until !== null).length;
    const countOf = (results: ReadonlyMap<ConversationId, EnrichResult>, kind: string) =>
      [...results.values()].filter((result) => result.kind === kind).length;
    const options = { ...live, force: true };

    test("are leased together, and each round is saved before the next one is asked about", async () => {
      const enrich = await begin();
      const savedBefore: number[] = [];
      answer = async (id) => {
        if (id === people.at(-1))
          savedBefore.push(
            (await db.rows("conversations", "id")).filter((one) => one.profile_status !== "pending").length,
          );
        return found(id);
      };
      expect(countOf(await enrich(ids, options), "found")).toBe(ids.length);
      expect(asked.map((one) => one.ids.length)).toEqual([roundMax - 1, 50]); // one is in the cache
      expect(savedBefore).toEqual([roundMax]);
      expect(await leased()).toBe(0);
    });

    test.each(["the caller has to stop", "the lease may end before the answers"])(
      "are not asked on once %s: whoever is left is put off",
      async (why) => {
        const halt = new AbortController();
        let lateMs = 0;
        const enrich = await begin({
          clock: { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + lateMs },
        });
        answer = (id) => {
          if (why.startsWith("the caller")) halt.abort();
          else lateMs = roundWithinMs + 1;
          return found(id);
        };
        const results = await enrich(ids, { ...options, halt: halt.signal });
        expect(asked).toHaveLength(1);
        expect(results.get(idOf(people.at(-1) ?? ""))).toMatchObject({ kind: "later", retryInMs: 0 });
        expect([countOf(results, "found"), countOf(results, "later"), await leased()]).toEqual([roundMax, 50, 0]);
      },
    );

    test("are not asked on with a token that the first round has shown to be dead", async () => {
      const enrich = await begin();
      answer = (id) =>
        id === people[5] ? { kind: "blocked", reason: "token_dead", evidence: { ...evidence, code: 190 } } : found(id);
      const results = await enrich(ids, options);
      expect(asked).toHaveLength(1);
      expect(results.get(idOf(people.at(-1) ?? ""))).toMatchObject({ kind: "absent", reason: "token_dead" });
    });
  });

  test("a person without a picture is done", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    answer = (id) => ({ kind: "found", profile: profileOf(id, { pictureUrl: null, pictureExpiresAtMs: null }) });
    const { enrich } = await make();
    await enrich([idOf("111")], live);
    expect(await row("111")).toMatchObject({ profile_status: "no_picture", next_attempt_at: null });
    await enrich([idOf("111")], live);
    expect(asked).toHaveLength(1);
  });

  test("asks once for one person however many callers ask at once", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    answer = async (id) => {
      await Bun.sleep(50);
      return found(id);
    };
    const [a, b] = [await make(), await make()]; // two processes share nothing but the database
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, n) => (n % 2 ? a : b).enrich([idOf("111")], live)),
    );
    expect(asked).toHaveLength(1);
    const kinds = results.map((result) => result.get(idOf("111"))?.kind);
    expect(kinds.filter((kind) => kind === "found")).toHaveLength(1);
    expect(kinds.filter((kind) => kind === "skipped")).toHaveLength(19);
  });

  test("answers from the cache without asking Instagram, in a fresh conversation of a known person", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    const { enrich, cache } = await make();
    await cache.saveProfiles(accountId, [profileOf(parseParticipantId("111") as ParticipantId)]);
    expect((await enrich([idOf("111")], live)).get(idOf("111"))).toMatchObject({ kind: "found", source: "cache" });
    expect(asked).toEqual([]);
  });

  test("uses each account's own token for its own people", async () => {
    await addAccount(secondAccount, "IGAAsecond");
    const second = parseAccountId(secondAccount) as AccountId;
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    await write([inbound("222", "m2", 1_762_000_000_000, {}, secondAccount)], secondAccount);
    const { enrich } = await make();
    await enrich([idOf("111"), idOf("222", second)], live);
    expect(asked.map(({ ids, access }) => [access.id, access.token, ...ids]).sort()).toEqual([
      [account, "IGAAtoken", "111"],
      [secondAccount, "IGAAsecond", "222"],
    ]);
  });

  test("an unknown conversation is skipped with a warning, a finished one in silence", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    const { enrich, lines } = await make();
    await enrich([idOf("111")], live);
    const results = await enrich([idOf("111"), idOf("999")], live);
    expect(results.get(idOf("111"))).toEqual({ kind: "skipped", why: "done" });
    expect(results.get(idOf("999"))).toEqual({ kind: "skipped", why: "missing" });
    expect(lines).toContainEqual(
      expect.objectContaining({ level: "warn", message: `Conversation ${idOf("999")} not found` }),
    );
    expect(lines).toContainEqual(
      expect.objectContaining({
        level: "debug",
        message: `Conversation ${idOf("111")} already has participant profile data`,
      }),
    );
  });

  test("gives up after three attempts, with a pause after each, and never in a loop of its own", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    answer = () => ({ kind: "failed", reason: "server_error", evidence });
    const { enrich, messages } = await make();
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const result = (await enrich([idOf("111")], { ...live, force: true })).get(idOf("111"));
      expect(asked).toHaveLength(attempt); // one call an attempt: nothing below retries too
      expect(result).toMatchObject({ kind: attempt < attemptsMax ? "later" : "absent", attempts: attempt });
    }
    expect(await row("111")).toMatchObject({ profile_status: "failed", reason_code: "server_error", attempts: 3 });
    expect(messages()).toContain("Failed to fetch profile for participant 111: server_error");
  });

  test("who breaks every batch they are in costs nobody else their name: the last attempt is made alone", async () => {
    const people = ["666", ...Array.from({ length: 9 }, (_, n) => String(700 + n))];
    await using server = openGraphServer(({ body }) => {
      const ids = readBatchIds(body);
      return ids.includes("666") ? new Response("<html>", { status: 500 }) : Response.json(ids.map(foundItem));
    });
    await addAccount(account, "EAAtoken", { login: "facebook", pageId: "645699000000000" });
    await write(["1", ...people].map((person) => inbound(person, `m${person}`, 1_762_000_000_000)));
    const { enrich } = await make({ graph: createTestClient(server.url) });
    await enrich([idOf("1")], live); // The first answer tells how much room there is.
    const ids = people.map((person) => idOf(person));
    for (let attempt = 1; attempt <= attemptsMax; attempt++) await enrich(ids, { ...live, force: true });
    const named = (await db.rows("conversations", "id")).filter((one) => one.participant_username !== null);
    expect(named).toHaveLength(people.length); // All but that one, and the first.
    expect(await row("666")).toMatchObject({ profile_status: "failed", attempts: attemptsMax });
    // The same number of calls as Instagram counts them, in more requests the third time.
    expect(server.seen.map(({ body }) => readBatchIds(body).length)).toEqual([1, 10, 10, ...Array(10).fill(1)]);
  });

  test("a field that Instagram does not know is our bug: told loudly, and never asked for again by itself", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    answer = () => ({ kind: "failed", reason: "bad_request", evidence: { ...evidence, httpStatus: 400, code: 100 } });
    const { enrich, lines } = await make();
    await enrich([idOf("111")], live);
    expect(await row("111")).toMatchObject({
      ...{ profile_status: "failed", reason_code: "bad_request", attempts: 1, next_attempt_at: null },
    });
    expect(lines).toContainEqual(
      expect.objectContaining({
        level: "error",
        message: "Instagram does not know a field that was asked for: this is a bug",
        fields: expect.objectContaining({ code: 100 }),
      }),
    );
    await write([inbound("111", "m2", 1_762_000_001_000)]);
    await enrich([idOf("111")], live);
    expect(asked).toHaveLength(1);
  });

  test("a limit spends no attempt and pauses the account", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000), inbound("222", "m2", 1_762_000_000_000)]);
    answer = () => ({ kind: "throttled", scope: "account", resumeInMs: 90_000, evidence });
    const { enrich } = await make();
    const result = (await enrich([idOf("111")], live)).get(idOf("111"));
    expect(result).toMatchObject({ kind: "later", reason: "throttled", attempts: 0 });
    expect(await row("111")).toMatchObject({ profile_status: "pending", attempts: 0 });
    await enrich([idOf("222")], live);
    expect(asked).toHaveLength(1); // the second person waits without a call
  });

  test("one person's refusal is theirs, and their next message asks again", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    answer = () => ({ kind: "absent", reason: "no_consent", evidence });
    const { enrich } = await make();
    await enrich([idOf("111")], live);
    expect(await row("111")).toMatchObject({
      profile_status: "no_consent",
      reason_code: "no_consent",
      next_attempt_at: null,
    });
    expect((await db.accounts.getAccess(accountId)).kind).toBe("ready");
    await db.database.query("update conversations set checked_at = now() - interval '5 minutes'", [], "age");
    expect((await write([inbound("111", "m2", 1_762_000_001_000)])).wanted).toEqual([idOf("111")]);
  });

  test("what the tables hold and is fresh is no call, without a cache too; what is a week old or has a picture near its end is one", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    await (await make()).enrich([idOf("111")], live);
    const { enrich } = await make(); // of another process, or without Redis: its cache is empty
    const ask = async () => (await enrich([idOf("111")], { ...live, force: true })).get(idOf("111"));
    const set = (columns: string) => db.database.query(`update conversations set ${columns}`, [], "age");
    const before = await row("111");
    expect(await ask()).toMatchObject({ kind: "found", source: "stored" });
    expect(await row("111")).toEqual({ ...before, checked_at: expect.anything(), lease_token: expect.anything() });
    expect(asked).toHaveLength(1);
    await set("fetched_at = now() - interval '47 hours'"); // Its picture has three days from now: renewed on the last.
    expect(await ask()).toMatchObject({ kind: "found", source: "stored" });
    await set("picture_expires_at = now() + interval '23 hours'");
    expect(await ask()).toMatchObject({ kind: "found", source: "graph" });
    const aged = [
      "picture_expires_at = now() - interval '1 second'",
      "picture_expires_at = null, fetched_at = now() - interval '7 days 1 second'",
    ];
    for (const [at, columns] of aged.entries()) {
      const { enrich: another } = await make();
      await set(columns);
      const results = await another([idOf("111")], { ...live, force: true });
      expect(results.get(idOf("111"))).toMatchObject({ source: "graph" });
      expect(asked).toHaveLength(3 + at);
    }
  });

  test("a message that comes while Instagram refuses is not forgotten", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    answer = async () => {
      await write([inbound("111", "m2", 1_762_000_005_000)]);
      return { kind: "absent", reason: "no_consent", evidence };
    };
    const { enrich } = await make();
    await enrich([idOf("111")], live);
    expect(await row("111")).toMatchObject({ profile_status: "pending", unread_count: 2 });
    expect((await row("111")).next_attempt_at).not.toBeNull();
  });

  test("a dead token stops the account's lookups, keeps its messages, and a new token takes them up again", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000), inbound("222", "m2", 1_762_000_000_000)]);
    answer = () => ({ kind: "blocked", reason: "token_dead", evidence: { ...evidence, code: 190 } });
    const { enrich } = await make();
    await enrich([idOf("111")], live);
    expect((await db.accounts.listAccounts())[0]).toMatchObject({
      state: "reauth_required",
      stateReason: "token_dead",
    });
    await enrich([idOf("222")], live);
    expect(asked).toHaveLength(1);
    expect(await row("222")).toMatchObject({ profile_status: "account_blocked", reason_code: "token_dead" });
    expect((await write([inbound("333", "m3", 1_762_000_000_000)])).inserted).toBe(1);
    await addAccount(account, "IGAAnew");
    answer = found;
    const due = await db.lookups.listDue(10);
    expect([...due].sort()).toEqual([idOf("111"), idOf("222"), idOf("333")]);
    await enrich(due, live);
    expect(await row("111")).toMatchObject({ profile_status: "complete" });
  });

  test("the account of an unknown person is shown as missing, not as failed", async () => {
    await db.accounts.deleteAccount(accountId);
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    const { enrich } = await make();
    await enrich([idOf("111")], live);
    expect(await row("111")).toMatchObject({ profile_status: "account_blocked", reason_code: "token_missing" });
  });

  test("a slow lookup whose lease was taken over writes nothing: the newer profile stays", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    const { enrich } = await make();
    answer = async (id) => {
      // The process stood still: its lease ran out, another took over and finished.
      await db.database.query("update conversations set lease_until = now() - interval '1 second'", [], "age");
      answer = (same) => ({ kind: "found", profile: profileOf(same, { username: "newer" }) });
      await (await make()).enrich([idOf("111")], live);
      return { kind: "found", profile: profileOf(id, { username: "older", fetchedAtMs: Date.now() - 60_000 }) };
    };
    await enrich([idOf("111")], live);
    expect(await row("111")).toMatchObject({ participant_username: "newer" });
  });

  test("an answer from before the stored profile replaces no part of it", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    await (await make()).enrich([idOf("111")], live);
    await db.database.query("update conversations set fetched_at = now() - interval '8 days'", [], "age");
    const stored = await row("111");
    const past = { username: "older", name: "Older", pictureUrl: null, fetchedAtMs: Date.now() - 9 * 86_400_000 };
    answer = (id) => ({ kind: "found", profile: profileOf(id, past) });
    await (await make()).enrich([idOf("111")], { ...live, force: true });
    expect(asked).toHaveLength(2);
    const columns = ["participant_username", "participant_name", "participant_profile_pic", "picture_expires_at"];
    for (const column of [...columns, "fetched_at", "profile_status"])
      expect((await row("111"))[column]).toEqual(stored[column]);
    expect(stored.participant_username).toBe("user_111");
  });

  test("an answer from a machine whose clock was ahead keeps a later one out no longer than until now", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    answer = (id) => ({
      kind: "found",
      profile: profileOf(id, { name: "Ahead", fetchedAtMs: Date.now() + 3_600_000 }),
    });
    await (await make()).enrich([idOf("111")], live);
    expect(await row("111")).toMatchObject({ participant_name: "Ahead" });
    answer = (id) => ({ kind: "found", profile: profileOf(id, { name: "Later" }) });
    await (await make({ profileMaxAgeMs: 0 })).enrich([idOf("111")], { ...live, force: true });
    expect(await row("111")).toMatchObject({ participant_name: "Later" });
  });

  test("a refusal never takes away a name and a picture that are known", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    const { enrich, cache } = await make();
    await enrich([idOf("111")], live);
    await cache.deleteProfiles([parseParticipantId("111") as ParticipantId]);
    answer = () => ({ kind: "failed", reason: "bad_request", evidence });
    await enrich([idOf("111")], { ...live, force: true });
    expect(await row("111")).toMatchObject({ participant_username: "user_111", profile_status: "complete" });
    expect((await row("111")).participant_profile_pic).toContain("cdninstagram.com");
  });

  test("messages that come during a lookup and the lookup leave each other's columns alone", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    answer = async (id) => {
      await write([inbound("111", "m2", 1_762_000_009_000), echo("111", "e1", 1_762_000_010_000)]);
      return found(id);
    };
    const { enrich } = await make();
    await enrich([idOf("111")], live);
    const { participant_username, unread_count, last_message_at } = await row("111");
    expect([participant_username, unread_count]).toEqual(["user_111", 2]);
    expect(last_message_at).toEqual(new Date(1_762_000_010_000));
  });

  test("a Graph that fails of itself is left alone: nobody's attempt is spent, one person is asked as a probe", async () => {
    const clock = createFakeClock();
    const recorded = createRecordingLog();
    const { enrich } = await make({ circuit: createCircuit({ clock, log: recorded.log }) });
    const people = Array.from({ length: 8 }, (_, n) => String(100 + n));
    await write(people.map((person) => inbound(person, `m${person}`, 1_762_000_000_000)));
    answer = () => ({ kind: "failed", reason: "server_error", evidence: { ...evidence, httpStatus: 503 } });
    for (const person of people.slice(0, 5)) await enrich([idOf(person)], live);
    expect(asked).toHaveLength(5);
    const waiting = await enrich(
      people.slice(5).map((person) => idOf(person)),
      live,
    );
    expect(asked).toHaveLength(5);
    expect(waiting.get(idOf("105"))).toMatchObject({ kind: "later", reason: "graph_away", attempts: 0 });
    expect(await row("106")).toMatchObject({ profile_status: "pending", reason_code: "graph_away", attempts: 0 });
    clock.advance(probeEveryMs);
    answer = found;
    const probed = await enrich(
      people.slice(5).map((person) => idOf(person)),
      { ...live, force: true },
    );
    expect(asked.at(-1)?.ids).toHaveLength(1);
    // The others come as soon as Graph is known to be back, not with what would have been the next probe.
    const waits = [...probed.values()].flatMap((one) => (one.kind === "later" ? [one.retryInMs] : []));
    expect(waits).toHaveLength(2);
    expect(Math.max(...waits)).toBeLessThanOrEqual(awaySpreadMs);
    await enrich(
      people.slice(5).map((person) => idOf(person)),
      { ...live, force: true },
    );
    expect(asked.at(-1)?.ids).toHaveLength(2); // the one who was the probe comes from the cache
    expect(await row("107")).toMatchObject({ profile_status: "complete", reason_code: null });
  });

  test("asks for people who were leased with their first message without a claim or a look at the account", async () => {
    const body = delivery([inbound("111", "m1", 1_762_000_000_000)], account);
    const { leased } = await db.events.saveEvents(parseWebhook(body, Date.now()).events, 5_000, true);
    const never = () => Promise.reject(new Error("is not to be asked"));
    const { enrich } = await make({
      lookups: { ...db.lookups, claimLookups: never },
      accounts: { ...db.accounts, readAccess: () => ({ reading: never() }) },
    });
    const { lookups = [], readAccess } = leased ?? {};
    const ids = lookups.map(({ conversationId }) => conversationId);
    const results = await enrich(ids, { ...live, leased: lookups, ...(readAccess && { readAccess }) });
    expect(results.get(idOf("111"))).toMatchObject({ kind: "found", source: "graph" });
    expect(await row("111")).toMatchObject({ profile_status: "complete", lease_until: null });
  });

  test("told to stop, it gives its leases back", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    const stop = new AbortController();
    stop.abort();
    const { enrich } = await make();
    await enrich([idOf("111")], { ...live, signal: stop.signal });
    expect(asked).toEqual([]);
    expect(await row("111")).toMatchObject({ lease_until: null, profile_status: "pending" });
    expect(await db.lookups.listDue(5)).toEqual([idOf("111")]);
  });

  test("no token, no secret and no text of a message stands in any log line", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000, { text: "my private words" })]);
    const { enrich, lines } = await make();
    await enrich([idOf("111")], live);
    const text = JSON.stringify(lines);
    expect(text).not.toContain("IGAAtoken");
    expect(text).not.toContain("my private words");
  });
});
