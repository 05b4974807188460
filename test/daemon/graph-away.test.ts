import { describe, expect, test } from "bun:test";
import { checkHealth } from "../../src/daemon/health.ts";
import { watchDaemon } from "../../src/daemon/watch-daemon.ts";
import { createMetrics } from "../../src/metrics/metrics.ts";
import { openTestRepositories, systemClock } from "../support/test-repositories.ts";

describe("a Graph that fails of itself", () => {
  const circuit = {
    state: (login: string) => ({ failingSinceMs: login === "facebook" ? Date.UTC(2026, 10, 22) : null }),
  };
  const spoolState = { records: 0, bytes: 0, bytesMax: 1, oldestReceivedAtMs: null, writable: true, damaged: 0 };

  test("degrades the health check by name, and leaves the daemon ready", async () => {
    await using db = await openTestRepositories();
    const runtime = {
      ...{ database: db.database, clock: systemClock, config: { verifyToken: "word" } },
      ...{ circuit, cache: { health: () => ({ working: true, failures: 0 }), describe: () => "in process" } },
    };
    const { ready, checks } = await checkHealth(runtime as never, { state: () => spoolState } as never, null);
    expect(ready).toBe(true);
    const graph = checks.find(({ name }) => name === "graph");
    expect(graph?.state).toBe("degraded");
    expect(graph?.detail).toStartWith(
      "graph.facebook.com: Instagram's own servers have failed since 2026-11-22 00:00:00",
    );
  });

  test("shows in the metrics, a host each", async () => {
    const metrics = createMetrics({ clock: systemClock });
    watchDaemon(metrics, {
      ...{
        ingest: { depth: () => 0, isShut: () => false, shutMs: () => 0 },
        dispatcher: { depth: () => 0 },
        clock: systemClock,
      },
      ...{
        spool: { state: () => spoolState } as never,
        cache: { health: () => ({ working: true, failures: 0 }) } as never,
      },
      ...{ circuit: circuit as never, usage: () => ({ residentBytes: 1, cpuSeconds: 1 }) },
    });
    const text = await metrics.render();
    expect(text).toContain("social_sync_graph_circuit_open_instagram 0\n");
    expect(text).toContain("social_sync_graph_circuit_open_facebook 1\n");
  });
});
