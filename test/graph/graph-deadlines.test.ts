import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { createServer } from "node:net";
import { SyncError } from "../../src/domain/error.ts";
import { ask, direct, idsOf, page } from "./ask-graph.ts";
import { createTestClient, openGraphServer, profileBody, token } from "./graph-server.ts";

setDefaultTimeout(20_000);

describe("fetchProfiles() against time", () => {
  test("gives up at the deadline where nothing comes, and where a byte comes at a time", async () => {
    const dripping = () =>
      new ReadableStream({
        async pull(controller) {
          await Bun.sleep(20);
          controller.enqueue(new Uint8Array([0x20]));
        },
      });
    for (const reply of [() => new Promise<Response>(() => {}), () => new Response(dripping())]) {
      await using server = openGraphServer(reply);
      for (const access of [direct, page]) {
        const startedMs = performance.now();
        const { said } = await ask(createTestClient(server.url, { totalTimeoutMs: 300 }), access, idsOf(2));
        expect(said).toEqual(["failed timeout", "failed timeout"]);
        expect(performance.now() - startedMs).toBeLessThan(1500);
      }
    }
  });

  test("gives a host up that takes no connection, before the whole time is over", async () => {
    const options = {
      fetch: (_url: string, { signal }: RequestInit) =>
        new Promise<Response>((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason))),
      probeConnect: () => new Promise<void>(() => {}),
      connectTimeoutMs: 200,
      totalTimeoutMs: 5_000,
    };
    const startedMs = performance.now();
    const { said } = await ask(createTestClient("http://127.0.0.1:1", options), direct, idsOf(1));
    expect(said).toEqual(["failed timeout"]);
    expect(performance.now() - startedMs).toBeLessThan(1500);
  });

  test("waits for a slow answer of a host that takes connections", async () => {
    await using server = openGraphServer(async () => {
      await Bun.sleep(600);
      return Response.json(profileBody("1000"));
    });
    const client = createTestClient(server.url, { connectTimeoutMs: 200 });
    expect((await ask(client, direct, idsOf(1))).said).toEqual(["found"]);
  });

  test("takes a refused connection and one that is cut in mid-answer for network trouble", async () => {
    expect((await ask(createTestClient("http://127.0.0.1:1"), direct, idsOf(1))).said).toEqual(["failed network"]);
    const cutter = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"id":"1000"');
        setTimeout(() => socket.resetAndDestroy(), 20);
      });
    });
    const port = await new Promise<number>((resolve) => {
      cutter.listen(0, "127.0.0.1", () => {
        const address = cutter.address();
        resolve(typeof address === "object" && address !== null ? address.port : 0);
      });
    });
    const { said } = await ask(createTestClient(`http://127.0.0.1:${port}`), direct, idsOf(1));
    expect(["failed network", "failed bad_answer"]).toContain(said[0] ?? "");
    cutter.close();
  });

  test("waits out no deadline for each of many people where the host is away", async () => {
    await using server = openGraphServer(() => new Promise<Response>(() => {}));
    const client = createTestClient(server.url, { totalTimeoutMs: 150, concurrencyMax: 4 });
    const { said, callsMade } = await ask(client, direct, idsOf(40));
    expect(callsMade).toBeLessThan(12);
    expect(said.at(-1)).toBe("failed not_answered");
  });

  test("ends at once where it is told to stop, with the rest never sent", async () => {
    await using server = openGraphServer(() => new Promise<Response>(() => {}));
    const client = createTestClient(server.url, { concurrencyMax: 2 });
    for (const access of [direct, page]) {
      const stop = new AbortController();
      const asked = client.fetchProfiles(access, idsOf(100), stop.signal);
      setTimeout(() => stop.abort(), 50);
      const error = await asked.then(
        () => null,
        (cause: unknown) => cause,
      );
      expect(error).toBeInstanceOf(SyncError);
      expect(error instanceof SyncError ? error.code : null).toBe("interrupted");
      expect(String(error)).not.toContain(token);
    }
    expect(server.seen.length).toBeLessThanOrEqual(4);
  });
});
