/** What operators are told of the way in: the spool's depth, age and bytes, and what was refused. */
import { describe, expect, test } from "bun:test";
import { checkHealth } from "../../src/daemon/health.ts";
import { countReceipts, watchDaemon } from "../../src/daemon/watch-daemon.ts";
import { createMetrics } from "../../src/metrics/metrics.ts";
import type { Spool } from "../../src/spool/spool.ts";
import { drain, inFolder, mebibyte, openTestSpool, recordOf } from "../spool/test-spool.ts";
import { openTestRepositories, systemClock } from "../support/test-repositories.ts";

/** Long enough ago that a slow machine changes nothing. */
const ageMs = 3_600_000;
const wellCache = { health: () => ({ working: true, failures: 0 }), describe: () => "in process" };
const wellCircuit = { state: () => ({ failingSinceMs: null }) };

/** The daemon's figures by their names. */
async function readFigures(
  spool: Pick<Spool, "state">,
  { isShut = false, shutMs = 0 }: { isShut?: boolean; shutMs?: number } = {},
) {
  const metrics = createMetrics({ clock: systemClock });
  watchDaemon(metrics, {
    ...{ ingest: { depth: () => 0, isShut: () => isShut, shutMs: () => shutMs }, spool, clock: systemClock },
    ...{ dispatcher: { depth: () => 0 }, usage: () => ({ residentBytes: 1, cpuSeconds: 1 }) },
    ...{ cache: wellCache as never, circuit: wellCircuit as never },
  });
  const text = await metrics.render();
  return (name: string) => Number(new RegExp(`^social_sync_${name} (\\S+)$`, "m").exec(text)?.[1]);
}

describe("the spool's figures", () => {
  test("are its depth, age and bytes, in the health check and in the metrics alike", async () => {
    await using db = await openTestRepositories();
    await inFolder(async (folder) => {
      await using spool = await openTestSpool(folder);
      const look = async () => {
        const runtime = { database: db.database, clock: systemClock, config: { verifyToken: "word" } };
        const parts = { ...runtime, circuit: wellCircuit, cache: wellCache };
        const { ready, checks } = await checkHealth(parts as never, spool, null);
        return { ready, check: checks.find(({ name }) => name === "spool"), figure: await readFigures(spool) };
      };

      const empty = await look();
      expect(empty.check).toMatchObject({ state: "ok", values: { records: 0, oldestAgeSeconds: 0 } });
      expect(["records", "oldest_age_seconds"].map((name) => empty.figure(`spool_${name}`))).toEqual([0, 0]);

      const receivedAtMs = Date.now() - ageMs;
      for (const n of [1, 2, 3]) await spool.append({ ...recordOf(n, 1_000), receivedAtMs: receivedAtMs + n * 1_000 });
      const { ready, check, figure } = await look();
      expect([ready, check?.state]).toEqual([true, "degraded"]);
      const { records, bytes, oldestAgeSeconds, damaged } = check?.values ?? {};
      expect([records, bytes, damaged]).toEqual([3, spool.state().bytes, 0]);
      expect(bytes).toBeGreaterThan(3_000);
      expect(oldestAgeSeconds).toBeWithin(ageMs / 1000 - 1, ageMs / 1000 + 60);
      expect([figure("spool_records"), figure("spool_bytes")]).toEqual([3, spool.state().bytes]);
      expect(figure("spool_oldest_age_seconds")).toBeWithin(ageMs / 1000 - 1, ageMs / 1000 + 60);
      expect(figure("spool_damaged_records")).toBe(0);

      await drain(spool);
      await spool.trim();
      const drained = await look();
      expect(drained.check).toMatchObject({ state: "ok", values: { records: 0, bytes: 0, oldestAgeSeconds: 0 } });
      expect(drained.figure("spool_bytes")).toBe(0);
    });
  });

  test("say that it is full, or cannot be written, before somebody needs it", async () => {
    await using db = await openTestRepositories();
    const runtime = { database: db.database, clock: systemClock, config: { verifyToken: "word" } };
    const parts = { ...runtime, circuit: wellCircuit, cache: wellCache };
    const state = { records: 1, bytes: 0, bytesMax: mebibyte, oldestReceivedAtMs: 0, writable: true, damaged: 0 };
    for (const [changed, word] of [
      [{ bytes: mebibyte }, "full"],
      [{ writable: false }, "cannot be written"],
    ] as const) {
      const { checks } = await checkHealth(
        parts as never,
        { state: () => ({ ...state, cutBytes: 0, ...changed }) },
        null,
      );
      expect(checks.find(({ name }) => name === "spool")).toMatchObject({
        state: "failed",
        detail: expect.stringContaining(word),
      });
    }
  });
});

describe("refused deliveries", () => {
  const noSpool = { state: () => ({ records: 0, bytes: 0, oldestReceivedAtMs: null, damaged: 0 }) } as never;

  test("that the HTTP server refuses by itself show as the time in which it does", async () => {
    const figure = await readFigures(noSpool, { isShut: true, shutMs: 1_500 });
    expect([figure("webhook_refusing"), figure("webhook_shut_seconds_total")]).toEqual([1, 1.5]);
  });

  test("are counted as unavailable where a bug refused them", async () => {
    const metrics = createMetrics({ clock: systemClock });
    const answers = [Promise.resolve("kept" as const), Promise.reject(new Error("a bug"))];
    const receive = countReceipts(() => answers.shift() ?? Promise.resolve("unsigned"), metrics, systemClock);
    expect(await receive(new Uint8Array(), new Headers())).toBe("kept");
    expect(receive(new Uint8Array(), new Headers())).rejects.toThrow("a bug");
    expect(await receive(new Uint8Array(), new Headers())).toBe("unsigned");
    const text = await metrics.render();
    for (const receipt of ["kept", "unavailable", "unsigned"])
      expect(text).toContain(`social_sync_webhook_deliveries_total{receipt="${receipt}"} 1\n`);
    expect(text).toContain("social_sync_webhook_seconds_count 3\n");
  });
});
