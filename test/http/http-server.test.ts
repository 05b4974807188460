import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { createHttpApp } from "../../src/http/http-app.ts";
import { lastAnswersMs, openHttpServer } from "../../src/http/http-server.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLog } from "../../src/lib/log.ts";
import { until } from "../support/program.ts";
import { emptyDependencies, openTestServer } from "./test-server.ts";

describe("openHttpServer()", () => {
  test("takes a free port where it is given 0, and names an address to visit", async () => {
    await using one = openTestServer();
    await using all = openTestServer({}, { hostname: "0.0.0.0" });
    expect(one.url).toBe(`http://127.0.0.1:${one.port}`);
    expect(all.url).toBe(`http://localhost:${all.port}`);
    expect(one.port).toBeGreaterThan(0);
  });

  test("says in a sentence that its port is taken", async () => {
    // Not a server of Bun's: under `bun test` a second one on a port replaces the first.
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const log = createLog("error", () => {});
    const clock = createSystemClock();
    const app = createHttpApp(emptyDependencies, { apiKeys: [], webhookBodyMax: 10, log, clock });
    expect(() => openHttpServer(app, { hostname: "127.0.0.1", port, clock })).toThrow(
      `Cannot listen on 127.0.0.1 port ${port}: another program listens there`,
    );
    other.close();
  });

  test("refuseDeliveries() refuses deliveries unread and nothing else, and takes them again", async () => {
    let received = 0;
    await using server = openTestServer({
      receive: async () => {
        received += 1;
        return "kept";
      },
      answerHandshake: () => "challenge",
    });
    const deliver = (body = "{}") => server.ask("POST", "/webhooks/instagram?from=meta", { body });
    expect((await deliver()).status).toBe(200);
    server.refuseDeliveries(true);
    for (const body of ["{}", "x".repeat(3_000_000), "{}"]) {
      const { status, headers, json } = await deliver(body);
      expect(status).toBe(503);
      expect(headers.get("retry-after")).toBe("5");
      expect(json()).toMatchObject({ type: "urn:social-sync:problem:unavailable", status: 503 });
    }
    expect(received).toBe(1);
    expect((await server.ask("GET", "/webhooks/instagram")).body).toBe("challenge");
    expect((await server.ask("GET", "/health/live")).status).toBe(200);
    server.refuseDeliveries(false);
    expect((await deliver()).status).toBe(200);
    expect(received).toBe(2);
  });

  test("refuseDeliveries() at a stop gives way to answers that are their connection's last", async () => {
    await using server = openTestServer();
    server.refuseDeliveries(true);
    const stopped = server.stopTaking();
    server.refuseDeliveries(true);
    const answer = await server.ask("POST", "/webhooks/instagram", { body: "{}" });
    expect([answer.status, answer.headers.get("connection")]).toEqual([200, "close"]);
    await stopped;
  });

  test("stopTaking() answers what was on its way, as its connection's last, refuses what is new, and lets what is in flight end", async () => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
    await using server = openTestServer({
      receive: async () => {
        arrive();
        await held;
        return "kept";
      },
    });
    const inFlight = server.ask("POST", "/webhooks/instagram", { body: "{}" });
    await arrived;
    let ended = false;
    const stopped = server.stopTaking().then(() => {
      ended = true;
    });
    const late = await server.ask("GET", "/health/live");
    expect([late.status, late.headers.get("connection")]).toEqual([200, "close"]);
    await until(
      () =>
        server.ask("GET", "/health/live").then(
          () => false,
          () => true,
        ),
      lastAnswersMs * 20,
    );
    expect(ended).toBe(false);
    release();
    expect((await inFlight).status).toBe(200);
    await stopped;
    await server.stopTaking();
  });

  test("stopTaking() cuts a request that does not end in time", async () => {
    await using server = openTestServer({ receive: () => new Promise(() => {}) }, { lastRequestsMs: 200 });
    const cut = server.ask("POST", "/webhooks/instagram", { body: "{}" }).then(
      () => "answered",
      () => "cut",
    );
    await Bun.sleep(50);
    const startMs = performance.now();
    await server.stopTaking();
    expect(performance.now() - startMs).toBeLessThan(1500);
    expect(await cut).toBe("cut");
  });

  test("disposing it twice, or after stopTaking(), is no error", async () => {
    const server = openTestServer();
    await server.ask("GET", "/health/live");
    await server.stopTaking();
    await server[Symbol.asyncDispose]();
  });
});
