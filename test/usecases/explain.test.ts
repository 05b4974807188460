import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import type { BudgetUse } from "../../src/domain/account-health.ts";
import {
  type AccountId,
  conversationIdOf,
  type ParticipantId,
  parseAccountId,
  parseParticipantId,
} from "../../src/domain/ids.ts";
import { profileMaxAgeMsDefault } from "../../src/domain/profile.ts";
import { createExplain } from "../../src/usecases/explain.ts";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import { openTestRepositories, systemClock } from "../support/test-repositories.ts";
import { account, delivery, echo, inbound } from "../support/webhook-bodies.ts";

const accountId = parseAccountId(account) as AccountId;
const person = parseParticipantId("111") as ParticipantId;
const id = conversationIdOf(accountId, person);

describe("createExplain()", async () => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());
  let budget: BudgetUse | null = null;
  const explain = createExplain({
    ...db,
    readBudget: async () => budget,
    readGraph: () => null,
    clock: systemClock,
    profileMaxAgeMs: profileMaxAgeMsDefault,
  });
  const write = (items: Record<string, unknown>[]) =>
    db.events.saveEvents(parseWebhook(delivery(items), Date.now()).events, 5_000);
  const addAccount = () =>
    db.accounts.saveAccount({
      ...{ id: accountId, ownId: "shop", login: "instagram", pageId: null, appScopedId: null, username: null },
      ...{ token: "IGAAtoken", tokenExpiresAtMs: null },
    });
  const sealedToken = async () => {
    const entry = await db.accounts.getAccess(accountId);
    return entry.kind === "ready" ? entry.sealedToken : "";
  };

  beforeEach(async () => {
    await db.empty();
    await addAccount();
    budget = null;
  });

  test("explains a refusal from what is stored, with Instagram's own numbers", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    const [claim] = await db.lookups.claimLookups([id], false);
    if (claim?.kind !== "taken") throw new Error("not taken");
    const evidence = { httpStatus: 403, code: 230, subcode: null, fbtraceId: "AbC" };
    await db.lookups.saveOutcomes([
      {
        lookup: claim.lookup,
        outcome: { kind: "absent", status: "no_consent", reason: "no_consent", attempts: 1, retryInMs: null, evidence },
      },
    ]);
    const explained = await explain.explain(id);
    expect(explained?.record).toMatchObject({ status: "no_consent", evidence, held: false, accountId: "shop" });
    expect(explained?.story.said).toContain("code 230, trace AbC");
  });

  test("says while a process looks the person up, and knows no conversation that is not there", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    await db.lookups.claimLookups([id], false);
    expect((await explain.explain(id))?.story.next).toEqual(["They are being looked up right now."]);
    expect(await explain.explain(conversationIdOf(accountId, parseParticipantId("9") as ParticipantId))).toBeNull();
  });

  test("finds the conversations of a person by their id alone", async () => {
    await write([inbound("111", "m1", 1_762_000_000_000), inbound("222", "m2", 1_762_000_000_000)]);
    expect(await db.conversations.listConversationsOfPerson(person, 20)).toEqual([id]);
  });

  test("arms a lookup, and says why it does not", async () => {
    expect(await explain.requestEnrichment(id)).toBeNull();
    await write([echo("111", "e1", 1_762_000_000_000)]);
    expect(await explain.requestEnrichment(id)).toMatchObject({
      kind: "refused",
      detail: expect.stringContaining("never written"),
    });
    expect(await db.lookups.listDue(5)).toEqual([]);
    await write([inbound("111", "m1", 1_762_000_000_000)]);
    budget = { used: 9, ceiling: 9, usagePercent: 100, stoppedForMs: 61_000 };
    expect(await explain.requestEnrichment(id)).toMatchObject({ kind: "limited", retryAfterMs: 61_000 });
    budget = null;
    expect(await explain.requestEnrichment(id)).toEqual({ kind: "accepted" });
    await db.accounts.setState(accountId, "reauth_required", "token_dead", await sealedToken());
    expect(await explain.requestEnrichment(id)).toMatchObject({
      kind: "refused",
      detail: "Cannot look the person up: the account must be authorised again (token dead)",
    });
    await db.accounts.deleteAccount(accountId);
    expect(await explain.requestEnrichment(id)).toMatchObject({ detail: expect.stringContaining("nobody has added") });
  });

  test("counts an account's people by profile status, and nobody else's", async () => {
    await db.database.query(
      `insert into conversations (account_id, participant_platform_id, last_message_at, profile_status)
       select $1, 'p' || n, now(), (array['complete', 'complete', 'complete', 'no_consent', 'no_picture'])[n % 5 + 1]
       from generate_series(1, 100) n union all select 'other', 'p1', now(), 'failed'`,
      [account],
      "fill",
    );
    const [health] = await explain.checkAccounts();
    expect(health?.people).toMatchObject({ complete: 60, no_consent: 20, no_picture: 20, failed: 0, pending: 0 });
    expect(health?.account.ownId).toBe("shop");
    expect(await explain.checkAccounts(new Set())).toEqual([]);
  });
});
