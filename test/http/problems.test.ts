import { describe, expect, test } from "bun:test";
import { type ErrorCode, errorCodes, SyncError } from "../../src/domain/error.ts";
import { problemOf } from "../../src/http/problem.ts";
import { knownId, openTestServer } from "./test-server.ts";

const conversation = `/messaging/conversations/${knownId}`;

describe("addresses and methods", () => {
  test.each([
    "/nope",
    "/messaging",
    "/messaging/conversations/",
    `${conversation}/x`,
    "/assets/nope.js",
    "/assets/..%2Fanswer.ts",
    "/health",
    "/%2e%2e/etc/passwd",
    "/x//messaging/conversations",
  ])("%s is a 404 problem", async (path) => {
    await using server = openTestServer();
    const answer = await server.ask("GET", path);
    expect([answer.status, answer.json().type]).toEqual([404, "urn:social-sync:problem:not_found"]);
  });

  test.each([
    ["PUT", "/webhooks/instagram", "GET, HEAD, POST"],
    ["POST", "/messaging/conversations", "GET, HEAD"],
    ["DELETE", conversation, "GET, HEAD"],
    ["GET", `${conversation}/enrich`, "POST"],
    ["PATCH", `${conversation}/messages`, "GET, HEAD"],
    ["OPTIONS", "/messaging/conversations", "GET, HEAD"],
    ["POST", "/", "GET, HEAD"],
    ["POST", "/health/live", "GET, HEAD"],
    ["DELETE", "/assets/docs.js", "GET, HEAD"],
  ])("%s %s is a 405 that allows %s", async (method, path, allow) => {
    await using server = openTestServer();
    const answer = await server.ask(method, path);
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, allow]);
  });

  test("a host name of one letter is served like any other", async () => {
    await using server = openTestServer({}, { apiKeys: ["k"] });
    for (const Host of ["a", "app", "a:80"]) {
      expect((await server.ask("GET", "/health/live", { headers: { Host } })).status).toBe(200);
      const answer = await server.ask("GET", "/messaging/conversations?limit=1", {
        headers: { Host, Authorization: "Bearer k" },
      });
      expect(answer.status).toBe(200);
    }
  });
});

describe("trouble inside", () => {
  const secret = "pa55word-at-db.internal";
  const routes: readonly (readonly [string, string])[] = [
    ["GET", "/webhooks/instagram?hub.verify_token=t0ken"],
    ["POST", "/webhooks/instagram"],
    ["GET", "/messaging/conversations"],
    ["GET", conversation],
    ["GET", `${conversation}/messages`],
    ["POST", `${conversation}/enrich`],
    ["GET", `${conversation}/explain`],
    ["GET", "/accounts"],
    ["GET", "/health/ready"],
    ["HEAD", "/health/ready"],
    ["GET", "/metrics"],
  ];
  const throwing = (error: unknown) => {
    const fail = () => {
      throw error;
    };
    const reject = async () => fail();
    return {
      answerHandshake: fail,
      receive: reject,
      listConversations: reject,
      getConversation: reject,
      listMessages: reject,
      requestEnrichment: reject,
      explain: reject,
      checkAccounts: reject,
      health: reject,
      metrics: reject,
    };
  };

  test.each([
    ["an Error", new Error(secret, { cause: new Error(secret) })],
    ["an Error with a status of its own", Object.assign(new Error(secret), { status: 418, code: secret })],
    ["a string", secret],
    ["an object", { message: secret, status: 200 }],
    ["undefined", undefined],
    ["a failure no caller can help", new SyncError("config_invalid", secret)],
  ])("%s becomes a constant answer that leaks nothing, logged once without the query", async (_what, error) => {
    await using server = openTestServer(throwing(error));
    for (const [method, path] of routes) {
      server.lines.length = 0;
      const answer = await server.ask(method, path);
      expect([path, answer.status]).toEqual([path, method === "POST" && path === "/webhooks/instagram" ? 503 : 500]);
      const shown = `${answer.body}${JSON.stringify([...answer.headers])}`;
      expect(shown).not.toContain(secret);
      expect(shown).not.toMatch(/\bat .*\.ts|node_modules|Error:/);
      expect(server.lines.map(({ level }) => level)).toEqual(["error"]);
      expect(JSON.stringify(server.lines)).not.toContain("t0ken");
      expect(server.lines[0]?.fields.error).toBe(error);
    }
  });

  test("a storage that is away is a 503 that says when to come back", async () => {
    await using server = openTestServer(throwing(new SyncError("storage_unavailable", `Cannot reach ${secret}`)));
    for (const [method, path] of routes) {
      if (path.startsWith("/webhooks") && method === "GET") continue;
      const answer = await server.ask(method, path);
      expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "5"]);
      expect(answer.body).not.toContain(secret);
    }
  });

  test("problemOf() knows every code and lets only usage_invalid speak for itself", () => {
    const told = errorCodes.filter((code) => problemOf(new SyncError(code, secret)).detail !== null);
    expect(told).toEqual(["usage_invalid"] satisfies ErrorCode[]);
    for (const code of errorCodes) expect(problemOf(new SyncError(code, secret)).kind).toBeString();
  });
});
