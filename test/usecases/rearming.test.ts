/** The table of transitions and the statements that carry it out are two hands: here they are held together. */
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  type AccountId,
  conversationIdOf,
  type ParticipantId,
  parseAccountId,
  parseParticipantId,
} from "../../src/domain/ids.ts";
import { consentAgainMs, lookupRules } from "../../src/domain/lookup-rules.ts";
import { type PauseReason, profileMaxAgeMsDefault, type ReasonCode, staleAtMs } from "../../src/domain/profile.ts";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import { missingProfiles, openTestRepositories } from "../support/test-repositories.ts";
import { account, delivery, echo, inbound, itemOf } from "../support/webhook-bodies.ts";

const accountId = parseAccountId(account) as AccountId;
const id = conversationIdOf(accountId, parseParticipantId("111") as ParticipantId);
const ruled = Object.entries(lookupRules) as [Exclude<ReasonCode, PauseReason>, (typeof lookupRules)["gone"]][];

describe("what asks for a person again", async () => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());
  const write = (items: Record<string, unknown>[]) =>
    db.events.saveEvents(parseWebhook(delivery(items), Date.now()).events, 5_000);
  const addAccount = () =>
    db.accounts.saveAccount({
      ...{ id: accountId, ownId: "shop", login: "instagram", pageId: null, appScopedId: null, username: null },
      ...{ token: "IGAAtoken", tokenExpiresAtMs: null },
    });
  const isDue = async () => (await db.lookups.listDue(5)).includes(id);
  const dueInMs = async () => {
    const [row] = await db.rows("conversations", "id");
    return row?.next_attempt_at instanceof Date ? row.next_attempt_at.getTime() - Date.now() : null;
  };
  /** As if the last answer had come so long ago. */
  const age = (ms: number) =>
    db.database.query(
      "update conversations set checked_at = checked_at - make_interval(secs => $1::float8 / 1000)",
      [ms],
      "age",
    );
  /** The person after their question ended with `reason`. */
  const end = async (reason: Exclude<ReasonCode, PauseReason>) => {
    await db.empty();
    await addAccount();
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    const [claim] = await db.lookups.claimLookups([id], false);
    if (claim?.kind !== "taken") throw new Error("not taken");
    const { status, rearmAfterMs: retryInMs } = lookupRules[reason];
    const outcome = { kind: "absent", status, reason, attempts: 3, retryInMs, evidence: null } as const;
    await db.lookups.saveOutcomes([{ lookup: claim.lookup, outcome }]);
    expect(await isDue()).toBe(false);
  };

  beforeEach(() => db.empty());

  const hours = [0, 1, 23, 25, 71, 73, 100, 167, 169, 400];
  test.each(hours)("a profile %d hours old: the statement asks for it where staleAtMs() does", async (ageHours) => {
    for (const pictureHours of [null, -1, 1, 23, 25, 49, 96, 500]) {
      await db.empty();
      await write([inbound("111", "m1", 1_762_000_000_000)]);
      const nowMs = Date.now();
      const fetchedAtMs = nowMs - ageHours * 3_600_000;
      const pictureExpiresAtMs = pictureHours === null ? null : nowMs + pictureHours * 3_600_000;
      await db.database.query(
        `update conversations set profile_status = 'complete', next_attempt_at = null, fetched_at = to_timestamp($1::float8 / 1000),
          checked_at = to_timestamp($1::float8 / 1000), picture_expires_at = to_timestamp($2::float8 / 1000)`,
        [fetchedAtMs, pictureExpiresAtMs],
        "age",
      );
      const { wanted } = await write([inbound("111", "m2", 1_762_000_001_000)]);
      const isStale = staleAtMs({ fetchedAtMs, pictureExpiresAtMs }, profileMaxAgeMsDefault) <= nowMs;
      expect({ pictureHours, asks: wanted.includes(id) }).toEqual({ pictureHours, asks: isStale });
    }
  });

  test.each(ruled)("%s: the table's events and its time, and no others", async (reason, rule) => {
    await end(reason);
    await age(consentAgainMs);
    await write([inbound("111", "m2", 1_762_000_001_000)]);
    expect({ by: "message", due: await isDue() }).toEqual({ by: "message", due: rule.rearmedBy.includes("message") });
    await end(reason);
    const missing = await db.candidates.listCandidates(accountId, missingProfiles, null, 5);
    expect({ by: "backfill", due: missing.length === 1 }).toEqual({
      by: "backfill",
      due: rule.rearmedBy.includes("backfill"),
    });
    expect((await db.candidates.countCandidates(accountId, missingProfiles)).total).toBe(missing.length);
    await addAccount();
    expect({ by: "token", due: await isDue() }).toEqual({ by: "token", due: rule.rearmedBy.includes("token") });
    await end(reason);
    await db.conversations.armLookup(id);
    expect({ by: "request", due: await isDue() }).toEqual({ by: "request", due: rule.rearmedBy.includes("request") });
    await end(reason);
    const inMs = await dueInMs();
    if (rule.rearmAfterMs === null) expect(inMs).toBeNull();
    else expect(Math.abs((inMs ?? 0) - rule.rearmAfterMs)).toBeLessThan(60_000);
  });

  test("a message soon after a refusal for lack of consent asks minutes after it, and the next ones no earlier and no later", async () => {
    await end("no_consent");
    for (const [mid, ageMs] of [
      ["m2", 0],
      ["m3", 0],
      ["m4", 60_000],
    ] as const) {
      await age(ageMs);
      expect((await write([inbound("111", mid, 1_762_000_001_000)])).wanted).toEqual([]);
      expect(Math.abs(((await dueInMs()) ?? 0) - consentAgainMs)).toBeLessThan(30_000);
    }
    expect(await db.rows("conversations", "id")).toMatchObject([{ profile_status: "pending", attempts: 0 }]);
  });

  test("a tap on an icebreaker or the menu is a message; what the account says is none", async () => {
    await end("no_consent");
    await age(consentAgainMs);
    await write([echo("111", "e1", 1_762_000_002_000)]);
    expect(await isDue()).toBe(false);
    await write([itemOf("111", 1_762_000_003_000, { postback: { mid: "p1", title: "Start", payload: "START" } })]);
    expect(await isDue()).toBe(true);
  });

  test("somebody who was only written to is looked up by nothing until they write", async () => {
    await addAccount();
    await write([echo("111", "e1", 1_762_000_000_000)]);
    await db.conversations.armLookup(id);
    await addAccount();
    expect(await isDue()).toBe(false);
    expect(await db.candidates.listCandidates(accountId, missingProfiles, null, 5)).toEqual([]);
    expect(await db.lookups.claimLookups([id], true)).toMatchObject([{ kind: "done" }]);
    await write([inbound("111", "m1", 1_762_000_001_000)]);
    expect(await isDue()).toBe(true);
  });

  test("the account's notes to itself and the dashboard's dummies are looked up by nothing", async () => {
    await addAccount();
    const self = itemOf("777", 1, { message: { mid: "s1", text: "note", is_echo: true, is_self: true } });
    await write([{ ...self, sender: { id: account }, recipient: { id: "777" } }]);
    await write([inbound("12334", "random_mid", 1_762_000_000_000)]);
    await db.database.query("update conversations set last_inbound_at = now()", [], "as if they had written");
    for (const row of await db.rows("conversations", "id")) await db.conversations.armLookup(row.id as typeof id);
    expect(await db.lookups.listDue(5)).toEqual([]);
  });
});
