import { describe, expect, test } from "bun:test";
import type { AccountHealth } from "../../src/domain/account-health.ts";
import { parseAccountId, parseParticipantId } from "../../src/domain/ids.ts";
import type { Explained } from "../../src/usecases/explain.ts";
import { knownId, openTestServer } from "./test-server.ts";

const conversation = `/messaging/conversations/${knownId}`;
const id = parseAccountId("17841400000000001");
const participantId = parseParticipantId("5551234567890123");
if (id === null || participantId === null) throw new Error("unreachable");
const health: AccountHealth = {
  account: {
    ...{ id, ownId: "shop", login: "instagram", pageId: null, username: "shop.one" },
    ...{ state: "paused", stateReason: "access_level", stateSinceMs: 0, stateUntilMs: 4_000_000_000_000 },
    ...{ tokenSavedAtMs: 0, tokenExpiresAtMs: null },
  },
  people: {
    ...{ pending: 1, complete: 2, no_picture: 0, username_only: 0 },
    ...{ no_consent: 3, not_found: 0, account_blocked: 4, failed: 0 },
  },
  budget: { used: 7, ceiling: null, usagePercent: 12.5, stoppedForMs: 60_000 },
  graph: { failingSinceMs: 0 },
};
const explained: Explained = {
  record: {
    ...{ id: knownId, accountId: "shop", instagramId: id, participantId, username: null, name: null },
    ...{ hasPicture: false, self: false, lastMessageAtMs: 0, lastInboundAtMs: 0, status: "no_consent" },
    ...{ reason: "no_consent", attempts: 1, fetchedAtMs: null, checkedAtMs: 0, pictureExpiresAtMs: null },
    evidence: { httpStatus: 403, code: 230, subcode: null, fbtraceId: "AbC" },
    ...{ nextAttemptAtMs: null, held: false },
  },
  story: { happened: ["A."], said: "B.", next: ["C."], advice: [] },
};

describe("GET /accounts", () => {
  test("shows each account's health, with reasons in sentences", async () => {
    await using server = openTestServer({
      checkAccounts: async () => [health, { ...health, budget: null, graph: null }],
    });
    const [shown, other] = (await server.ask("GET", "/accounts")).json().data as Record<string, unknown>[];
    expect(shown).toMatchObject({
      id: "shop",
      health: "blocked",
      pausedUntil: "2096-10-02T07:06:40.000Z",
      people: { no_consent: 3, account_blocked: 4 },
      budget: { used: 7, ceiling: null, usagePercent: 12.5, resumesAt: expect.any(String) },
      graph: { failingSince: "1970-01-01T00:00:00.000Z" },
    });
    expect(other).toMatchObject({ budget: null, graph: null });
    expect((await server.ask("GET", "/accounts?limit=1")).status).toBe(400);
    expect((await server.ask("POST", "/accounts")).status).toBe(405);
  });
});

describe("GET /messaging/conversations/{id}/explain", () => {
  test("tells the story and hands over the evidence", async () => {
    await using server = openTestServer({ explain: async () => explained });
    expect((await server.ask("GET", `${conversation}/explain`)).json()).toMatchObject({
      conversationId: knownId,
      evidence: { code: 230, fbtraceId: "AbC" },
      ...explained.story,
    });
    expect((await server.ask("GET", "/messaging/conversations/abc/explain")).status).toBe(400);
  });

  test("is a 404 where there is no such conversation", async () => {
    await using server = openTestServer();
    expect((await server.ask("GET", `${conversation}/explain`)).status).toBe(404);
  });
});

describe("POST /messaging/conversations/{id}/enrich", () => {
  test("is a 409 with the reason where nothing but a change helps", async () => {
    const detail = "Cannot look the person up: they have never written";
    await using server = openTestServer({ requestEnrichment: async () => ({ kind: "refused", detail }) });
    const answer = await server.ask("POST", `${conversation}/enrich`);
    expect([answer.status, answer.json().detail]).toEqual([409, detail]);
  });

  test("is a 429 that says when to come back where the limit is reached", async () => {
    await using server = openTestServer({
      requestEnrichment: async () => ({ kind: "limited", retryAfterMs: 1_200, detail: "Cannot: limit" }),
    });
    const answer = await server.ask("POST", `${conversation}/enrich`);
    expect([answer.status, answer.headers.get("retry-after"), answer.json().detail]).toEqual([
      429,
      "2",
      "Cannot: limit",
    ]);
  });
});
