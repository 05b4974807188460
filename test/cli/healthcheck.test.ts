import { describe, expect, test } from "bun:test";
import { checkHealth } from "../../src/cli/healthcheck.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { runCli } from "./run-cli.ts";

async function check(answer: (path: string) => Response | Promise<Response>) {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => answer(new URL(request.url).pathname),
  });
  try {
    const { exitCode, stderr } = await runCli(["healthcheck"], { env: { PORT: String(server.port) } });
    return { exitCode, said: stderr.replaceAll(`http://127.0.0.1:${server.port}`, "HERE") };
  } finally {
    await server.stop(true);
  }
}

describe("healthcheck", () => {
  test("exits 0 where the daemon is alive and ready", async () => {
    const asked: string[] = [];
    const end = await check((path) => {
      asked.push(path);
      return Response.json({ ready: true, checks: [{ name: "redis", state: "degraded", detail: "away" }] });
    });
    expect(end).toEqual({ exitCode: 0, said: "Healthy: HERE can do its work: redis: away\n" });
    expect(asked).toEqual(["/health/live", "/health/ready"]);
  });

  test("exits 1 with the reasons where it is not ready", async () => {
    const checks = [
      { name: "database", state: "failed", detail: "does not answer" },
      { name: "spool", state: "ok", detail: "" },
    ];
    const end = await check((path) => Response.json({ checks }, { status: path === "/health/ready" ? 503 : 200 }));
    expect(end).toEqual({
      exitCode: 1,
      said: "Unhealthy: HERE runs but cannot do its work: database: does not answer\n",
    });
  });

  test("exits 1 where something else answers, or nothing", async () => {
    const end = await check(() => new Response("?", { status: 404 }));
    expect(end).toEqual({ exitCode: 1, said: "Unhealthy: HERE answers 404: is this social-sync?\n" });
    const { exitCode, stderr } = await runCli(["healthcheck"], { env: { PORT: "1" } });
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: "Unhealthy: nothing answers at http://127.0.0.1:1/health/live\n",
    });
  });

  test("waits two seconds in all for a daemon that hangs", async () => {
    const atMs = performance.now();
    const hang = (_: string, { signal }: RequestInit) =>
      new Promise<Response>((_resolve, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
    const { healthy, sentence } = await checkHealth("http://x", { clock: createSystemClock(), fetch: hang });
    expect({ healthy, sentence }).toEqual({
      healthy: false,
      sentence: "Unhealthy: http://x/health/live did not answer within 2000 ms",
    });
    expect(performance.now() - atMs).toBeLessThan(2_500);
  });
});
