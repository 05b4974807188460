/** Names of people whose profile is refused, asked of the sandbox as it stands. */
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { inboxSpacingMsDefault } from "../../src/budget/budget.ts";
import { openProfileCache } from "../../src/cache/profile-cache.ts";
import {
  type AccountId,
  type ConversationId,
  conversationIdOf,
  type ParticipantId,
  parseAccountId,
  parseParticipantId,
} from "../../src/domain/ids.ts";
import { profileMaxAgeMsDefault } from "../../src/domain/profile.ts";
import { createCircuit } from "../../src/graph/circuit.ts";
import { createGraphClient } from "../../src/graph/graph-client.ts";
import { createEnrich } from "../../src/usecases/enrich.ts";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import { openTestSandbox } from "../sandbox/open-test-sandbox.ts";
import { createProvenBudget } from "../support/proven-budget.ts";
import {
  createRecordingLog,
  missingProfiles,
  openTestRepositories,
  systemClock,
} from "../support/test-repositories.ts";
import { bytesOf, delivery, inbound } from "../support/webhook-bodies.ts";

const never = new AbortController().signal;
const live = { lane: "live", force: false, signal: never } as const;
const refused = "9990000000000230";
const gone = "9990000000000910";
const hidden = "9990000000000210";

describe("askNames()", async () => {
  const db = await openTestRepositories();
  const box = await openTestSandbox({ clock: systemClock });
  afterAll(async () => {
    await box[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });
  const { sandbox } = box;
  const graph = createGraphClient({
    ...{ instagramUrl: sandbox.instagramUrl, facebookUrl: sandbox.facebookUrl, version: "v26.0" },
    ...{ appSecrets: ["test_app_secret"], clock: systemClock },
  });
  /** When the inbox was asked. */
  let asked: number[] = [];
  let inboxAnswer: Awaited<ReturnType<typeof graph.fetchUsername>> | null = null;
  const make = async () => {
    const { log } = createRecordingLog();
    const cache = await openProfileCache({ url: null, timeoutMs: 100, entriesMax: 1_000, clock: systemClock, log });
    const budget = await createProvenBudget(...accounts.map(({ id }) => id));
    const counted: typeof graph = {
      ...graph,
      fetchUsername: (...question) => {
        asked.push(performance.now());
        if (inboxAnswer !== null) return Promise.resolve(inboxAnswer);
        return graph.fetchUsername(...question);
      },
    };
    return createEnrich({
      ...db,
      circuit: createCircuit({ clock: systemClock, log }),
      cache,
      budget,
      graph: counted,
      clock: systemClock,
      log,
      profileMaxAgeMs: profileMaxAgeMsDefault,
    });
  };
  const accounts = sandbox.world.accounts.map((one) => ({ ...one, id: parseAccountId(one.instagramId) as AccountId }));
  const write = (of: string, ...items: Record<string, unknown>[]) =>
    db.events.saveEvents(parseWebhook(delivery(items, of), Date.now()).events, 5_000);
  const idOf = (of: AccountId, person: string): ConversationId =>
    conversationIdOf(of, parseParticipantId(person) as ParticipantId);
  const row = async (person: string) =>
    (await db.rows("conversations", "id")).find((one) => one.participant_platform_id === person) ?? {};

  beforeEach(async () => {
    await db.empty();
    asked = [];
    inboxAnswer = null;
    for (const { id, login, pageId, token } of accounts)
      await db.accounts.saveAccount({
        ...{ id, ownId: id, login, pageId, appScopedId: null, username: null, token, tokenExpiresAtMs: null },
      });
  });

  test.each(accounts)(
    "names somebody who has not consented, with a token of $login, and keeps the reason",
    async ({ id }) => {
      await write(id, inbound(refused, "m1", 1_762_000_000_000, {}, id));
      const enrich = await make();
      await enrich([idOf(id, refused)], live);
      expect(await row(refused)).toMatchObject({
        ...{ profile_status: "username_only", reason_code: "no_consent", next_attempt_at: null, lease_until: null },
        participant_username: `hand.picked.${refused.slice(3)}`,
      });
      // The reason still rules: no backfill asks again, their next message does.
      expect(await db.candidates.listCandidates(id, missingProfiles, null, 5)).toEqual([]);
      await db.database.query("update conversations set checked_at = now() - interval '5 minutes'", [], "age");
      expect((await write(id, inbound(refused, "m2", 1_762_000_001_000, {}, id))).wanted).toEqual([idOf(id, refused)]);
      await enrich([idOf(id, refused)], live);
      expect(await row(refused)).toMatchObject({ profile_status: "username_only", reason_code: "no_consent" });
      expect(asked).toHaveLength(1);
    },
  );

  test("asks nothing of the inbox about somebody who is gone, and keeps the time of who is hidden", async () => {
    const [{ id }] = accounts as [(typeof accounts)[0]];
    await write(id, inbound(gone, "m1", 1, {}, id), inbound(hidden, "m2", 1, {}, id));
    await (await make())([idOf(id, gone), idOf(id, hidden)], live);
    expect(await row(gone)).toMatchObject({ profile_status: "not_found", participant_username: null });
    expect(await row(hidden)).toMatchObject({ profile_status: "username_only", reason_code: "not_visible" });
    expect((await row(hidden)).next_attempt_at).not.toBeNull();
    expect(asked).toHaveLength(1);
  });

  test("a name that a comment brought needs no call", async () => {
    const [{ id }] = accounts as [(typeof accounts)[0]];
    const comment = {
      ...{ field: "comments" },
      value: { id: "179001", from: { id: refused, username: "jane.doe" }, text: "nice", media: { id: "178001" } },
    };
    const body = bytesOf({ object: "instagram", entry: [{ id, time: 1_762_000_000, changes: [comment] }] });
    await db.events.saveEvents(parseWebhook(body, Date.now()).events, 5_000);
    await write(id, inbound(refused, "m1", 1_762_000_000_000, {}, id));
    await (await make())([idOf(id, refused)], live);
    expect(await row(refused)).toMatchObject({
      ...{ profile_status: "username_only", reason_code: "no_consent", participant_username: "jane.doe" },
    });
    expect(asked).toHaveLength(0);
  });

  test("names are asked for at the pace of their edge; a backfill takes the turn that is free, and no other", async () => {
    const [{ id }] = accounts as [(typeof accounts)[0]];
    const people = [refused, hidden, "9990000000001230", "9990000000002230"];
    await write(id, ...people.map((person, n) => inbound(person, `m${n}`, 1, {}, id)));
    const enrich = await make();
    await enrich(
      people.map((person) => idOf(id, person)),
      { ...live, lane: "backfill" },
    );
    expect(asked).toHaveLength(1);
    for (const person of people) await write(id, inbound(person, `again ${person}`, 2, {}, id));
    await enrich(
      people.map((person) => idOf(id, person)),
      { ...live, force: true },
    );
    expect(asked.length).toBeGreaterThan(2);
    for (const [place, atMs] of asked.slice(1).entries())
      expect(atMs - (asked[place] ?? 0)).toBeGreaterThan(inboxSpacingMsDefault * 0.9);
  });

  test("a throttled answer rests the edge, and leaves profiles alone", async () => {
    const [{ id }] = accounts as [(typeof accounts)[0]];
    const evidence = { httpStatus: 403, code: 613, subcode: null, fbtraceId: null };
    inboxAnswer = { kind: "throttled", scope: "account", resumeInMs: null, evidence };
    await write(id, inbound(refused, "m1", 1, {}, id), inbound(hidden, "m2", 1, {}, id));
    const enrich = await make();
    await enrich([idOf(id, refused), idOf(id, hidden)], live);
    expect(asked).toHaveLength(1);
    inboxAnswer = null;
    await enrich([idOf(id, refused), idOf(id, hidden)], { ...live, force: true });
    expect(asked).toHaveLength(1);
    expect(await row(refused)).toMatchObject({ profile_status: "no_consent", participant_username: null });
  });
});
