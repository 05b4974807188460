import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { openProfileCache } from "../../src/cache/profile-cache.ts";
import {
  type AccountId,
  type ConversationId,
  conversationIdOf,
  type ParticipantId,
  parseAccountId,
  parseParticipantId,
} from "../../src/domain/ids.ts";
import {
  accessPauseMs,
  accessPeopleMin,
  accessShareMin,
  accessWithinMs,
  isAccessLevel,
} from "../../src/domain/lookup-rules.ts";
import { type Evidence, type LookupAnswer, profileMaxAgeMsDefault } from "../../src/domain/profile.ts";
import { createCircuit } from "../../src/graph/circuit.ts";
import { createEnrich, type EnrichDependencies } from "../../src/usecases/enrich.ts";
import { createProbes } from "../../src/usecases/probe-accounts.ts";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import { createProvenBudget } from "../support/proven-budget.ts";
import { createRecordingLog, openTestRepositories, systemClock } from "../support/test-repositories.ts";
import { account, delivery, inbound } from "../support/webhook-bodies.ts";

const accountId = parseAccountId(account) as AccountId;
const idOf = (person: string): ConversationId =>
  conversationIdOf(accountId, parseParticipantId(person) as ParticipantId);
const evidence: Evidence = { httpStatus: 403, code: 230, subcode: null, fbtraceId: null };
const never = new AbortController().signal;
const live = { lane: "live", force: false, signal: never } as const;
const people = Array.from({ length: 10 }, (_, n) => String(1_000 + n));

describe("an app whose access level reaches nobody", async () => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());
  const noConsent: LookupAnswer = { kind: "absent", reason: "no_consent", evidence };
  const known = (id: ParticipantId): LookupAnswer => ({
    kind: "found",
    profile: {
      ...{ participantId: id, username: `user_${id}`, name: null, pictureUrl: null, pictureExpiresAtMs: null },
      fetchedAtMs: Date.now(),
    },
  });
  let answer: (id: ParticipantId) => LookupAnswer;
  let asked: ParticipantId[] = [];
  const graph: EnrichDependencies["graph"] = {
    fetchUsername: async () => ({ kind: "unknown" }),
    async fetchProfiles(_, ids) {
      asked.push(...ids);
      return {
        answers: new Map(ids.map((id) => [id, answer(id)])),
        ...{ usage: null, pictureRefused: [], callsMade: ids.length },
      };
    },
  };
  /** Two of them share nothing but the database, as two daemons do. */
  const make = async () => {
    const { log, messages } = createRecordingLog();
    const cache = await openProfileCache({ url: null, timeoutMs: 100, entriesMax: 1_000, clock: systemClock, log });
    const budget = await createProvenBudget(accountId);
    return {
      enrich: createEnrich({
        ...db,
        circuit: createCircuit({ clock: systemClock, log }),
        cache,
        budget,
        graph,
        clock: systemClock,
        log,
        profileMaxAgeMs: profileMaxAgeMsDefault,
      }),
      messages,
    };
  };
  const write = (...persons: string[]) =>
    db.events.saveEvents(
      parseWebhook(delivery(persons.map((one) => inbound(one, `m${one}.${Date.now()}`, Date.now()))), Date.now())
        .events,
      5_000,
    );
  const statuses = async () =>
    (await db.rows("conversations", "id")).map((row) => `${row.profile_status} ${row.reason_code}`);
  const shop = async () => (await db.accounts.listAccounts())[0];
  const endPause = () => db.database.query("update accounts set state_until = now()", [], "let the pause end");

  beforeEach(async () => {
    await db.empty();
    await db.accounts.saveAccount({
      ...{ id: accountId, ownId: "shop", login: "instagram", pageId: null, appScopedId: null, username: null },
      ...{ token: "IGAAtoken", tokenExpiresAtMs: null },
    });
    asked = [];
    answer = () => noConsent;
  });

  test("is told by ten refused people, counted over all daemons, and not by nine", async () => {
    const [one, other] = [await make(), await make()];
    await write(...people);
    await one.enrich(people.slice(0, 5).map(idOf), live);
    await other.enrich(people.slice(5, 9).map(idOf), live);
    expect((await shop())?.state).toBe("active");
    await other.enrich(people.slice(9).map(idOf), live);
    const paused = await shop();
    expect(paused).toMatchObject({ state: "paused", stateReason: "access_level" });
    expect(Math.abs((paused?.stateUntilMs ?? 0) - Date.now() - accessPauseMs)).toBeLessThan(60_000);
    expect(other.messages().filter((line) => line.startsWith(`Account ${account} looks nobody up`))).toHaveLength(1);
    // It was not about them: all wait for the account.
    expect(new Set(await statuses())).toEqual(new Set(["account_blocked access_level"]));
    await write("2000");
    await one.enrich([idOf("2000")], live);
    expect(asked).toHaveLength(10);
  });

  test("is not told while more than a fifth are shown, nor by one person who is refused again and again", async () => {
    const { enrich } = await make();
    await write(...people, "2000", "2001", "2002");
    answer = (id) => (id.startsWith("2") ? known(id) : noConsent);
    await enrich(["2000", "2001", "2002", ...people].map(idOf), live);
    expect((await shop())?.state).toBe("active");
    await db.empty();
    await db.accounts.saveAccount({
      ...{ id: accountId, ownId: "shop", login: "instagram", pageId: null, appScopedId: null, username: null },
      ...{ token: "IGAAtoken", tokenExpiresAtMs: null },
    });
    for (let times = 0; times < 12; times++) {
      await write("1000");
      await enrich([idOf("1000")], { ...live, force: true });
    }
    expect((await shop())?.state).toBe("active");
    expect(await statuses()).toEqual(["no_consent no_consent"]);
  });

  test("counts exactly at every number of refused people, however many others there are", async () => {
    for (const [refused, others, reached] of [
      [16, 4, true],
      [16, 5, false],
      [16, 500, false],
      [8, 2, true],
      [8, 1, false],
      [36, 9, true],
      [36, 100, false],
    ] as const) {
      await db.database.query("truncate conversations", [], "empty");
      await db.database.query(
        `insert into conversations (account_id, participant_platform_id, last_message_at, profile_status, reason_code, checked_at, fetched_at)
         select $1, 'r' || n, now(), 'no_consent', 'no_consent', now(), null::timestamptz from generate_series(1, $2::int) n
         union all select $1, 'o' || n, now(), 'complete', null, now(), now() from generate_series(1, $3::int) n`,
        [account, refused, others],
        "fill",
      );
      const counted = await db.lookups.countRefused(accountId, {
        ...{ withinMs: accessWithinMs, peopleMin: accessPeopleMin, shareMin: accessShareMin },
      });
      expect({ refused, others, reached: isAccessLevel(counted) }).toEqual({ refused, others, reached });
    }
  });

  test("after the pause one person is asked; a refusal pauses again, a profile takes everybody up", async () => {
    const { enrich } = await make();
    await write(...people);
    await enrich(people.map(idOf), live);
    asked = [];
    const probes = createProbes({ lookups: db.lookups, enrich });
    await probes.run(never);
    expect(asked).toEqual([]); // it rests still

    await endPause();
    await Promise.all([probes.run(never), probes.run(never), enrich(people.map(idOf), { ...live, force: true })]);
    expect(asked).toHaveLength(1);
    expect((await shop())?.stateUntilMs).toBeGreaterThan(Date.now() + accessPauseMs / 2);
    expect(new Set(await statuses())).toEqual(new Set(["account_blocked access_level"]));

    await endPause();
    answer = known;
    await probes.run(never);
    expect(asked).toHaveLength(2);
    expect(await shop()).toMatchObject({ state: "active", stateReason: null, stateUntilMs: null });
    await enrich(await db.lookups.listDue(50), live);
    expect(new Set(await statuses())).toEqual(new Set(["no_picture null"]));
  });

  test("a probe that brings no answer is asked again, and a new token ends the pause at once", async () => {
    const { enrich } = await make();
    await write(...people);
    await enrich(people.map(idOf), live);
    await endPause();
    answer = () => ({ kind: "failed", reason: "timeout", evidence });
    const probes = createProbes({ lookups: db.lookups, enrich });
    await probes.run(never);
    const waiting = await shop();
    expect(waiting?.state).toBe("paused");
    expect(waiting?.stateUntilMs).toBeLessThan(Date.now() + 120_000);
    await db.accounts.saveAccount({
      ...{ id: accountId, ownId: "shop", login: "instagram", pageId: null, appScopedId: null, username: null },
      ...{ token: "IGAAnew", tokenExpiresAtMs: null },
    });
    expect(await shop()).toMatchObject({ state: "active", stateUntilMs: null });
    expect((await db.lookups.listDue(50)).length).toBeGreaterThanOrEqual(9);
  });
});
