import { describe, expect, test } from "bun:test";
import { metricsContentType } from "../../src/http/metrics-routes.ts";
import { buildOpenApi } from "../../src/http/openapi/openapi.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createMetrics } from "../../src/metrics/metrics.ts";
import { checkAnswer } from "./contract.ts";
import { openTestServer } from "./test-server.ts";

describe("health", () => {
  test("live answers whatever else is wrong", async () => {
    await using server = openTestServer({
      health: async () => {
        throw new Error("bug");
      },
    });
    expect((await server.ask("GET", "/health/live")).json()).toEqual({ status: "ok", version: "1.2.3" });
  });

  test("ready shows every check, with 503 where the daemon is not", async () => {
    const checks = [
      { name: "database", state: "failed", detail: "does not answer" },
      { name: "redis", state: "degraded", detail: "away" },
    ] as const;
    let ready = false;
    await using server = openTestServer({ health: async () => ({ ready, checks }) });
    const answer = await server.ask("GET", "/health/ready");
    expect([answer.status, answer.json()]).toEqual([503, { ready: false, checks }]);
    ready = true;
    expect((await server.ask("GET", "/health/ready")).status).toBe(200);
    expect((await server.ask("HEAD", "/health/ready")).status).toBe(200);
  });

  test("ready shows the numbers behind a sentence where a check has any", async () => {
    const values = { records: 3, bytes: 4096, oldestAgeSeconds: 1.5 };
    const checks = [
      { name: "spool", state: "degraded", detail: "3 deliveries wait", values },
      { name: "cache", state: "ok", detail: "in process" },
    ] as const;
    await using server = openTestServer({ health: async () => ({ ready: true, checks }) });
    expect((await server.ask("GET", "/health/ready")).json()).toEqual({ ready: true, checks });
  });
});

describe("/metrics", () => {
  test("answers the figures in Prometheus' format, to GET and HEAD", async () => {
    const metrics = createMetrics({ clock: createSystemClock() });
    metrics.countReceipt("kept");
    await using server = openTestServer({ metrics: metrics.render });
    const answer = await server.ask("GET", "/metrics");
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, metricsContentType]);
    expect(answer.body).toContain('social_sync_webhook_deliveries_total{receipt="kept"} 1\n');
    expect((await server.ask("HEAD", "/metrics")).status).toBe(200);
    expect((await server.ask("POST", "/metrics")).status).toBe(405);
  });
});

describe("pages", () => {
  test.each(["/", "/docs"])("%s allows no script but our own, and no frame", async (path) => {
    await using server = openTestServer();
    const { headers, body } = await server.ask("GET", path);
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe");
    expect(body).not.toMatch(/<script(?![^>]*\ssrc="\/assets\/)|<style|\son[a-z]+=|\sstyle=/);
    expect(body).not.toMatch(/(src|href)="(?!\/|data:)/);
  });

  test("every file that a page or script loads is there, and HEAD tells its size", async () => {
    await using server = openTestServer();
    const asked = new Set<string>(["/", "/docs"]);
    for (const path of asked) {
      const { status, body, headers } = await server.ask("GET", path);
      expect([path, status]).toEqual([path, 200]);
      expect((await server.ask("HEAD", path)).headers.get("content-length")).toBe(String(Buffer.byteLength(body)));
      expect(headers.get("cache-control")).toBe("no-cache");
      if (!path.includes("swagger-ui")) for (const [found] of body.matchAll(/\/assets\/[a-z.-]+/g)) asked.add(found);
    }
    expect([...asked].toSorted()).toEqual([
      "/",
      "/assets/avatar.js",
      "/assets/dashboard.css",
      "/assets/dashboard.js",
      "/assets/docs.css",
      "/assets/docs.js",
      "/assets/list.js",
      "/assets/messages.js",
      "/assets/panes.css",
      "/assets/swagger-ui.css",
      "/assets/swagger-ui.js",
      "/assets/words.js",
      "/docs",
    ]);
  });
});

describe("/openapi.json", () => {
  test("describes every route and no other", async () => {
    await using server = openTestServer();
    const { openapi, info, paths } = (await server.ask("GET", "/openapi.json")).json();
    expect([openapi, info]).toMatchObject(["3.1.0", { version: "1.2.3" }]);
    const described = Object.entries(paths as Record<string, object>).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const routed = server.app.routes.map(({ method, path }) => `${method} ${path.replaceAll(/:([a-z]+)/g, "{$1}")}`);
    expect(described.toSorted()).toEqual(routed.toSorted());
  });

  test("points at nothing that is missing, and names each operation once", () => {
    const document = buildOpenApi("1");
    const text = JSON.stringify(document);
    for (const [, pointer = ""] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const target = pointer
        .split("/")
        .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document);
      expect([pointer, target]).not.toEqual([pointer, undefined]);
    }
    const names = Object.values(document.paths).flatMap((path) => Object.values(path).map((one) => one.operationId));
    expect(new Set(names).size).toBe(names.length);
  });

  test("checkAnswer() refuses what is not declared, so that the other tests mean something", () => {
    const headers = (type: string) => new Headers({ "Content-Type": type, "X-Content-Type-Options": "nosniff" });
    const good = { status: 200, headers: headers("application/json"), body: '{"status":"ok","version":"1"}' };
    checkAnswer("GET", "/health/live", good);
    for (const [path, changed] of [
      ["/health/live", { ...good, status: 201 }],
      ["/health/live", { ...good, headers: headers("text/html") }],
      ["/health/live", { ...good, headers: new Headers({ "Content-Type": "application/json" }) }],
      ["/health/live", { ...good, body: '{"status":"ok"}' }],
      ["/health/live", { ...good, body: '{"status":"ok","version":"1","more":1}' }],
      ["/nope", good],
      ["/messaging/conversations", { ...good, body: '{"data":[{}],"nextCursor":null}' }],
      ["/messaging/conversations", { ...good, body: '{"data":[],"nextCursor":null,"total":1}' }],
    ] as const)
      expect(() => checkAnswer("GET", path, changed)).toThrow(`GET ${path} answered`);
  });
});
