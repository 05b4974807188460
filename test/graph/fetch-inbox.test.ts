import { describe, expect, test } from "bun:test";
import { threadIdLengthMax } from "../../src/domain/thread.ts";
import { direct, never, page } from "./ask-graph.ts";
import { createTestClient, openGraphServer, token } from "./graph-server.ts";

const first = { limit: 50, after: null } as const;
const shop = { username: "my_shop", id: "17841400000000001" };
const jane = { username: "jane.doe", id: "1234567890123456" };
const link = (after: string) =>
  `https://graph.instagram.com/v26.0/me/conversations?access_token=${token}&after=${after}`;

async function list(body: unknown, status = 200) {
  await using server = openGraphServer(() => Response.json(body, { status }));
  return (await createTestClient(server.url).fetchThreads(direct, first, never)).answer;
}
async function tell(body: unknown, status = 200) {
  await using server = openGraphServer(() => Response.json(body, { status }));
  return (await createTestClient(server.url).fetchThreadMessages(direct, { threadId: "aWdf", limit: 20 }, never))
    .answer;
}

describe("fetchThreads()", () => {
  test("asks for a page of the account's inbox, or its Page's, and keeps the token out of the address", async () => {
    await using server = openGraphServer(() => Response.json({ data: [] }));
    const client = createTestClient(server.url);
    await client.fetchThreads(direct, first, never);
    await client.fetchThreads(page, { limit: 10, after: "QVFI&x=1" }, never);
    const [own, ofPage] = server.seen;
    expect([own?.path, ofPage?.path]).toEqual(["/v26.0/me/conversations", "/v26.0/645699000000000/conversations"]);
    expect(Object.fromEntries(own?.search ?? [])).toEqual({
      ...{ platform: "instagram", fields: "id,updated_time,participants", limit: "50" },
    });
    expect(ofPage?.search.get("after")).toBe("QVFI&x=1");
    expect(ofPage?.search.get("appsecret_proof")).toMatch(/^[0-9a-f]{64}$/);
    for (const seen of server.seen) {
      expect(seen.url).not.toContain(token);
      expect(seen.headers.get("authorization")).toBe(`Bearer ${token}`);
    }
  });

  test("reads threads with both sides, in either form of time, and the cursor without the link", async () => {
    const answer = await list({
      data: [
        { id: "aWdf1", updated_time: "2026-04-05T05:27:08+0000", participants: { data: [shop, jane] } },
        { id: "aWdf2", updated_time: 1_775_366_828, participants: { data: [shop, null, { id: 1234567 }, "x"] } },
        { id: "aWdf3", participants: null },
        { updated_time: "2026-04-05T05:27:08+0000" },
        null,
        { id: "x".repeat(threadIdLengthMax + 1) },
      ],
      paging: { cursors: { before: "QVFI0", after: "QVFI1" }, next: link("QVFI1") },
    });
    const updatedAtMs = Date.UTC(2026, 3, 5, 5, 27, 8);
    expect(answer).toEqual({
      kind: "listed",
      threads: [
        { id: "aWdf1", updatedAtMs, people: [shop, jane].map(({ id, username }) => ({ id, username })) },
        { id: "aWdf2", updatedAtMs: 1_775_366_828_000, people: [shop, { id: "1234567", username: null }] },
        { id: "aWdf3", updatedAtMs: null, people: [] },
      ],
      after: "QVFI1",
    });
    expect(JSON.stringify(answer)).not.toContain(token);
  });

  test("takes a list for ended only where there is no next page", async () => {
    expect(await list({ data: [], paging: { cursors: { after: "QVFI1" } } })).toMatchObject({ after: null });
    expect(await list({ data: [], paging: { next: link("QVFI7") } })).toMatchObject({ after: "QVFI7" });
    for (const paging of [
      { next: "https://graph.instagram.com/" },
      { next: "no link" },
      { next: link("x"), cursors: { after: "" } },
      { next: link("x"), cursors: { after: "y".repeat(threadIdLengthMax + 1) } },
    ])
      expect(await list({ data: [], paging })).toMatchObject({ kind: "failed", reason: "bad_answer" });
  });

  test("classifies errors by code as everywhere", async () => {
    expect(await list({ error: { code: 1 } }, 500)).toMatchObject({ reason: "server_error", evidence: { code: 1 } });
    expect(await list({ error: { code: 80006 } }, 400)).toMatchObject({ kind: "throttled", scope: "account" });
    expect(await list({ error: { code: 190, error_subcode: 460 } }, 401)).toMatchObject({ reason: "token_dead" });
    expect(await list({ error: { code: 100 } }, 400)).toMatchObject({ kind: "failed", reason: "bad_request" });
    for (const body of ["words", [], { data: null }, { data: {} }, null])
      expect(await list(body)).toMatchObject({ kind: "failed", reason: "bad_answer" });
    expect(await list({}, 502)).toMatchObject({ kind: "failed", reason: "server_error" });
  });
});

describe("fetchThreadMessages()", () => {
  test("asks for one thread's latest messages by its id, whatever stands in it", async () => {
    await using server = openGraphServer(() => Response.json({ id: "a" }));
    const client = createTestClient(server.url);
    await client.fetchThreadMessages(direct, { threadId: "aWdf/../me?x", limit: 20 }, never);
    const trick = await client.fetchThreadMessages(direct, { threadId: "..", limit: 20 }, never);
    expect(trick.answer).toMatchObject({ kind: "failed", reason: "bad_request" });
    expect(server.seen.map(({ path }) => path)).toEqual([`/v26.0/${encodeURIComponent("aWdf/../me?x")}`]);
    expect(server.seen[0]?.search.get("fields")).toBe(
      "messages.limit(20){id,created_time,from,to,message,attachments,is_unsupported,reply_to}",
    );
  });

  test("reads messages, and leaves out those of which only the id is told", async () => {
    const data = [
      {
        ...{ id: "aWdG1", created_time: "2026-04-05T05:27:07+0000", from: jane, to: { data: [shop] }, message: "hi" },
        reply_to: { mid: "zEsp" },
      },
      {
        ...{ id: "aWdG2", created_time: 1_775_366_000, from: { id: shop.id }, message: "", is_unsupported: true },
        attachments: { data: [{ image_data: { url: "https://lookaside.fbsbx.com/x" } }] },
      },
      { id: "aWdG3", created_time: "2026-04-05T05:27:07+0000" },
      { id: "aWdG4", from: jane, created_time: "yesterday" },
      { created_time: 1_775_366_000, from: jane },
      null,
    ];
    const answer = await tell({ id: "aWdf", messages: { data } });
    const rest = { attachments: null, replyToId: null, unsupported: false };
    expect(answer).toEqual({
      kind: "told",
      messages: [
        {
          ...rest,
          ...{ id: "aWdG1", createdAtMs: Date.UTC(2026, 3, 5, 5, 27, 7), fromId: jane.id, fromUsername: "jane.doe" },
          ...{ text: "hi", replyToId: "zEsp" },
        },
        {
          ...{ id: "aWdG2", createdAtMs: 1_775_366_000_000, fromId: shop.id, fromUsername: null, text: null },
          ...{ replyToId: null, unsupported: true },
          attachments: '[{"image_data":{"url":"https://lookaside.fbsbx.com/x"}}]',
        },
      ],
    });
  });

  test("a thread without messages is an answer, one without an id is none", async () => {
    expect(await tell({ id: "aWdf" })).toEqual({ kind: "told", messages: [] });
    expect(await tell({ id: "aWdf", messages: { data: [] } })).toEqual({ kind: "told", messages: [] });
    expect(await tell({ id: "aWdf", messages: "none" })).toMatchObject({ kind: "failed", reason: "bad_answer" });
    expect(await tell({ messages: { data: [] } })).toMatchObject({ kind: "failed", reason: "bad_answer" });
    expect(await tell({ error: { code: 100, error_subcode: 33 } }, 400)).toMatchObject({
      reason: "missing_or_forbidden",
    });
  });
});
