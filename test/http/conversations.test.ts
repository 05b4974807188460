import { describe, expect, test } from "bun:test";
import type { HttpDependencies } from "../../src/http/http-dependencies.ts";
import { conversationIdFor, knownId, makeConversation, makeMessage, openTestServer } from "./test-server.ts";

const path = "/messaging/conversations";
type ListQuery = Parameters<HttpDependencies["listConversations"]>[0];

describe("GET /messaging/conversations", () => {
  test("shows every key of a conversation, null while unknown", async () => {
    await using server = openTestServer({ listConversations: async () => [makeConversation()] });
    const answer = await server.ask("GET", path);
    expect(answer.json()).toEqual({
      data: [
        {
          id: "17841400000000001_5551234567890123",
          participantUsername: null,
          participantProfilePic: null,
          lastMessageAt: "2025-10-31T22:30:00.000Z",
          unreadCount: 3,
          status: "active",
          accountId: "shop",
          participantPlatformId: "5551234567890123",
          participantName: null,
          profile: { status: "pending", reason: null, fetchedAt: null, pictureExpiresAt: null },
        },
      ],
      nextCursor: null,
    });
    expect(answer.headers.get("cache-control")).toBe("no-store");
  });

  test("shows a person who is known", async () => {
    const known = makeConversation({
      participantUsername: "john_doe_official",
      participantName: "John",
      participantProfilePic: "https://x.cdninstagram.com/a.jpg?b=c",
      profileStatus: "complete",
      profileFetchedAtMs: 0,
      pictureExpiresAtMs: 86_400_000,
    });
    await using server = openTestServer({ listConversations: async () => [known] });
    expect((await server.ask("GET", path)).json().data).toMatchObject([
      {
        participantUsername: "john_doe_official",
        profile: {
          status: "complete",
          fetchedAt: "1970-01-01T00:00:00.000Z",
          pictureExpiresAt: "1970-01-02T00:00:00.000Z",
        },
      },
    ]);
  });

  test("hands filters over, and asks for one row more than the page shows", async () => {
    const queries: ListQuery[] = [];
    await using server = openTestServer({
      listConversations: async (query) => {
        queries.push(query);
        return [];
      },
    });
    await server.ask("GET", path);
    await server.ask("GET", `${path}?accountId=my%20shop&status=archived&profile=no_consent&limit=100`);
    expect(queries).toEqual([
      { accountId: null, status: null, profileStatus: null, before: null, limit: 21 },
      { accountId: "my shop", status: "archived", profileStatus: "no_consent", before: null, limit: 101 },
    ]);
  });

  test("walks all pages by cursor, each row once, and ends with null", async () => {
    const all = Array.from({ length: 7 }, (_, index) =>
      makeConversation({ id: conversationIdFor(`1_${index}`), lastMessageAtMs: 1000 - Math.floor(index / 3) }),
    );
    await using server = openTestServer({
      listConversations: async ({ before, limit }) => {
        const start = before === null ? 0 : all.findIndex(({ id }) => id === before.id) + 1;
        if (before !== null) expect(all[start - 1]?.lastMessageAtMs).toBe(before.lastMessageAtMs);
        return all.slice(start, start + limit);
      },
    });
    const seen: string[] = [];
    let cursor: unknown = null;
    let pages = 0;
    do {
      const { data, nextCursor } = (
        await server.ask("GET", `${path}?limit=3${cursor === null ? "" : `&cursor=${cursor}`}`)
      ).json();
      seen.push(...(data as { id: string }[]).map(({ id }) => id));
      cursor = nextCursor;
      pages += 1;
    } while (cursor !== null);
    expect(seen).toEqual(all.map(({ id }) => id));
    expect(pages).toBe(3);
  });

  test.each([
    ["limit=0", "limit"],
    ["limit=101", "limit"],
    ["limit=1e1", "limit"],
    ["limit=+5", "limit"],
    ["limit=05", "limit"],
    ["limit=5.0", "limit"],
    ["limit=", "limit"],
    ["limit=%205", "limit"],
    ["limit=5&limit=6", "limit"],
    ["status=Active", "active, archived"],
    ["status=", "status"],
    ["profile=done", "pending"],
    ["accountId=", "accountId"],
    ["accountId=a%00b", "accountId"],
    [`accountId=${"a".repeat(129)}`, "accountId"],
    ["cursor=", "cursor"],
    ["cursor=abc", "cursor"],
    [`cursor=${"A".repeat(5000)}`, "cursor"],
    ["acountId=shop", '\\"acountId\\"'],
    ["__proto__=1", "__proto__"],
    ["constructor=1", "constructor"],
    ["LIMIT=5", "LIMIT"],
    ["total=true&x=1", '\\"x\\"'],
  ])("refuses ?%s with a 400 that names it", async (query, named) => {
    await using server = openTestServer();
    const answer = await server.ask("GET", `${path}?${query}`);
    expect(answer.status).toBe(400);
    expect(answer.body).toContain(named);
  });
});

describe("one conversation", () => {
  test("is shown by its id, escaped or not", async () => {
    const asked: string[] = [];
    await using server = openTestServer({
      getConversation: async (id) => {
        asked.push(id);
        return makeConversation();
      },
    });
    expect((await server.ask("GET", `${path}/${knownId}`)).json().id).toBe(knownId);
    await server.ask("GET", `${path}/${knownId.replace("_", "%5F")}`);
    await server.ask("HEAD", `${path}/${knownId}`);
    expect(asked).toEqual([knownId, knownId, knownId]);
  });

  test("is a 404 where it is unknown, a 400 where its id or query is none", async () => {
    await using server = openTestServer();
    for (const rest of ["", "/messages"]) {
      expect((await server.ask("GET", `${path}/${knownId}${rest}`)).status).toBe(404);
      for (const id of ["abc", "a_b_c", "%00_1", "%E0%A4%A", "1_%F0%9F%98%80", `1_${"2".repeat(65)}`])
        expect((await server.ask("GET", `${path}/${id}${rest}`)).status).toBe(400);
      expect((await server.ask("GET", `${path}/${knownId}${rest}?fields=all`)).status).toBe(400);
    }
    expect((await server.ask("POST", `${path}/${knownId}/enrich`)).status).toBe(404);
    expect((await server.ask("POST", `${path}/abc/enrich`)).status).toBe(400);
    expect((await server.ask("POST", `${path}/${knownId}/enrich?force=1`)).status).toBe(400);
  });

  test("takes a request to look its person up again", async () => {
    const asked: string[] = [];
    await using server = openTestServer({
      requestEnrichment: async (id) => {
        asked.push(id);
        return { kind: "accepted" };
      },
    });
    const answer = await server.ask("POST", `${path}/${knownId}/enrich`, { body: "ignored" });
    expect([answer.status, answer.json()]).toEqual([202, { status: "accepted" }]);
    expect(asked).toEqual([knownId]);
  });
});

describe("a conversation's messages", () => {
  test("are shown with everything that is known of them", async () => {
    const message = makeMessage({
      text: "\u202Ehi\u0000",
      attachments: [{ type: "image", payload: { url: "https://x" } }],
      replyToId: "m_0",
      editNumber: 2,
      deletedAtMs: 0,
      reactions: [{ from: "5551234567890123", reaction: "love", emoji: null }],
    });
    await using server = openTestServer({ listMessages: async () => [message] });
    const { data, nextCursor } = (await server.ask("GET", `${path}/${knownId}/messages`)).json();
    expect(nextCursor).toBeNull();
    expect(data).toEqual([
      {
        id: "m_1",
        direction: "inbound",
        text: "\u202Ehi\u0000",
        attachments: [{ type: "image", payload: { url: "https://x" } }],
        replyToId: "m_0",
        sentAt: "2025-10-31T22:30:00.000Z",
        editNumber: 2,
        deletedAt: "1970-01-01T00:00:00.000Z",
        reactions: [{ from: "5551234567890123", reaction: "love", emoji: null }],
      },
    ]);
  });

  test("are an empty page where a known conversation has none", async () => {
    await using server = openTestServer({ getConversation: async () => makeConversation() });
    expect((await server.ask("GET", `${path}/${knownId}/messages`)).json()).toEqual({ data: [], nextCursor: null });
  });

  test("come page by page, and a cursor is good for its own list only", async () => {
    const all = [3, 2, 1].map((number) => makeMessage({ id: `m_${number}`, sentAtMs: number }));
    await using server = openTestServer({
      listMessages: async (_id, { before, limit }) =>
        all.filter(({ sentAtMs }) => before === null || sentAtMs < before.sentAtMs).slice(0, limit),
    });
    const first = (await server.ask("GET", `${path}/${knownId}/messages?limit=2`)).json();
    const rest = (await server.ask("GET", `${path}/${knownId}/messages?limit=2&cursor=${first.nextCursor}`)).json();
    expect(rest).toMatchObject({ data: [{ id: "m_1" }], nextCursor: null });
    expect((await server.ask("GET", `${path}?cursor=${first.nextCursor}`)).status).toBe(400);
    expect((await server.ask("GET", `${path}/1_2/messages?cursor=${first.nextCursor}`)).status).toBe(400);
  });
});
