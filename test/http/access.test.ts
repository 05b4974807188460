import { describe, expect, test } from "bun:test";
import { createAccessCheck, isLoopbackAddress, isLoopbackHost } from "../../src/http/access.ts";
import { knownId, openTestServer } from "./test-server.ts";

const guarded: readonly (readonly [string, string])[] = [
  ["GET", "/messaging/conversations"],
  ["HEAD", "/messaging/conversations"],
  ["GET", `/messaging/conversations/${knownId}`],
  ["GET", `/messaging/conversations/${knownId}/messages`],
  ["POST", `/messaging/conversations/${knownId}/enrich`],
  ["GET", "/metrics"],
  ["HEAD", "/metrics"],
];
const open = ["/", "/docs", "/openapi.json", "/health/live", "/health/ready", "/assets/docs.js"];

describe("with API keys", () => {
  test("every route of the API needs one, and nothing else does", async () => {
    await using server = openTestServer({}, { apiKeys: ["first-key", "second-key"] });
    for (const [method, path] of guarded) {
      const bare = await server.ask(method, path);
      expect([bare.status, bare.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
      for (const key of ["first-key", "second-key"])
        expect((await server.ask(method, path, { headers: { Authorization: `Bearer ${key}` } })).status).not.toBe(401);
    }
    for (const path of open) expect((await server.ask("GET", path)).status).toBe(200);
  });

  test("a wrong key is refused in whatever form it comes", async () => {
    await using server = openTestServer({}, { apiKeys: ["first-key"] });
    for (const value of [
      "Bearer first-ke",
      "Bearer first-keyy",
      "Bearer FIRST-KEY",
      "Bearer",
      "Bearer first-key, Bearer first-key",
      "Basic Zmlyc3Qta2V5",
      "first-key",
      "",
    ]) {
      const answer = await server.ask("GET", "/messaging/conversations", { headers: { Authorization: value } });
      expect(answer.status).toBe(401);
      expect(answer.body).not.toContain("first-key");
    }
    expect((await server.ask("GET", "/messaging/conversations?key=first-key")).status).toBe(401);
  });

  test("a right key is taken from any machine and under any name", () => {
    const check = createAccessCheck(["k"]);
    const headers = { Authorization: "bearer k", Host: "sync.example", "X-Forwarded-For": "203.0.113.9" };
    expect(check(new Request("http://sync.example/", { headers }), "203.0.113.9")).toBeNull();
  });
});

describe("without API keys", () => {
  const request = (headers: Record<string, string>) =>
    new Request("http://localhost/", { headers: { Host: "127.0.0.1:3000", ...headers } });

  test("this machine is answered and another is not", () => {
    const check = createAccessCheck([]);
    for (const peer of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
      expect(check(request({}), peer)).toBeNull();
    for (const peer of ["192.168.1.5", "::ffff:10.0.0.1", "fe80::1", "2001:db8::127.0.0.1", "", null])
      expect(check(request({}), peer)?.status).toBe(403);
  });

  test.each([
    ["a name that was re-pointed to the loopback", { Host: "evil.example:3000" }],
    ["a name that only starts like the loopback", { Host: "127.0.0.1.evil.example" }],
    ["a page of another origin", { "Sec-Fetch-Site": "cross-site" }],
    ["a page on another port of this machine", { "Sec-Fetch-Site": "same-site" }],
    ["a page of another origin, from a browser that says it by Origin only", { Origin: "https://evil.example" }],
    ["a sandboxed page", { Origin: "null" }],
    ["a proxy on this machine", { "X-Forwarded-For": "203.0.113.9" }],
    ["a tunnel", { Forwarded: "for=203.0.113.9" }],
  ])("%s is refused in words", async (_who, headers) => {
    await using server = openTestServer();
    for (const [method, path] of guarded) {
      const answer = await server.ask(method, path, { headers });
      expect(answer.status).toBe(403);
      if (method !== "HEAD") expect(answer.body).toContain("SOCIAL_SYNC_API_KEYS");
    }
    for (const path of open) expect((await server.ask("GET", path, { headers })).status).toBe(200);
  });

  test("our own page is answered", () => {
    const check = createAccessCheck([]);
    expect(check(request({ "Sec-Fetch-Site": "same-origin" }), "::1")).toBeNull();
    expect(check(request({ "Sec-Fetch-Site": "none" }), "::1")).toBeNull();
    expect(check(request({ Origin: "http://127.0.0.1:3000" }), "::1")).toBeNull();
  });

  test("a request that never came through the server is refused", async () => {
    await using server = openTestServer();
    const direct = new Request("http://localhost/messaging/conversations", { headers: { Host: "localhost" } });
    expect((await server.app.elysia.fetch(direct)).status).toBe(403);
  });
});

test("isLoopbackHost() takes loopback names and addresses with and without a port, and nothing that looks alike", () => {
  for (const host of [
    "localhost",
    "LOCALHOST:3000",
    "app.localhost",
    "127.0.0.1:1",
    "127.1.2.3",
    "[::1]",
    "[::1]:80",
    "localhost.",
  ])
    expect([host, isLoopbackHost(host)]).toEqual([host, true]);
  for (const host of [
    "",
    "localhost.evil.example",
    "evil-localhost",
    "[::2]",
    "0.0.0.0",
    "128.0.0.1",
    "127.0.0.1@evil",
    "localhost/",
    "::1",
    "127.0.0.1:99:1",
  ])
    expect([host, isLoopbackHost(host)]).toEqual([host, false]);
  expect(isLoopbackAddress("::ffff:127.0.0.1")).toBe(true);
});
