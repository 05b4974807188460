/** A box on a free port with a clock whose hands the test moves, and short ways to ask it. */
import type { Clock } from "../../src/lib/clock.ts";
import { createLog } from "../../src/lib/log.ts";
import { openSandbox, type Sandbox, type SandboxOptions } from "../../src/sandbox/sandbox.ts";

export const appSecret = "test_app_secret";
export const silentLog = createLog("error", () => undefined);

/** Time stands still until `pass` is called; timers fire in order of their moment. */
export function createManualClock(startMs = Date.UTC(2026, 10, 22)) {
  let elapsedMs = 0;
  let timers: { atMs: number; run: () => void }[] = [];
  const clock: Clock = {
    nowMs: () => startMs + elapsedMs,
    monotonicMs: () => elapsedMs,
    random: () => 0.5,
    soon: (run) => void setImmediate(run),
    after: (delayMs, run) => {
      const timer = { atMs: elapsedMs + delayMs, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
  };
  const pass = (durationMs: number): void => {
    const untilMs = elapsedMs + durationMs;
    for (;;) {
      const next = timers.filter((timer) => timer.atMs <= untilMs).sort((left, right) => left.atMs - right.atMs)[0];
      if (next === undefined) break;
      timers = timers.filter((timer) => timer !== next);
      elapsedMs = Math.max(elapsedMs, next.atMs);
      next.run();
    }
    elapsedMs = untilMs;
  };
  return { clock, pass, waiting: () => timers.length };
}

export async function openTestSandbox(options: Partial<SandboxOptions> = {}) {
  const manual = createManualClock();
  const sandbox = await openSandbox({
    host: "127.0.0.1",
    port: 0,
    seed: 7,
    people: 60,
    ratePerWindow: null,
    windowMs: 3_600_000,
    latencyMs: 0,
    messagesPerSecond: 0,
    appSecret,
    webhookUrl: null,
    clock: manual.clock,
    log: silentLog,
    troubleShare: 0,
    requireProof: false,
    retryDelaysMs: [],
    ...options,
  });
  return { sandbox, manual, [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose]() };
}

/** Parsed JSON of the box itself, whose shape the tests claim by reading it. */
export type Json = ReturnType<typeof JSON.parse>;
export type Answer = { status: number; headers: Headers; body: Json };

export async function ask(url: string, token?: string | null, init: RequestInit = {}): Promise<Answer> {
  const headers = new Headers(init.headers);
  if (token) headers.set("Authorization", `Bearer ${token}`);
  const response = await fetch(url, { redirect: "manual", ...init, headers });
  const text = await response.text();
  let body: unknown = text;
  try {
    body = JSON.parse(text);
  } catch {}
  return { status: response.status, headers: response.headers, body };
}

export function accountOf(sandbox: Sandbox, index: number) {
  const account = sandbox.world.accounts[index];
  if (account === undefined) throw new Error(`The world has no account ${index}`);
  return account;
}

export function personOf(sandbox: Sandbox, account: number, index: number) {
  const person = accountOf(sandbox, account).people[index];
  if (person === undefined) throw new Error(`Account ${account} has no person ${index}`);
  return person;
}

/** A receiver of webhooks that keeps the bytes and answers what `answer` says. */
export function openReceiver(answer: (count: number) => number = () => 200) {
  const deliveries: { bytes: Uint8Array; headers: Headers }[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      deliveries.push({ bytes: new Uint8Array(await request.arrayBuffer()), headers: request.headers });
      return new Response("", { status: answer(deliveries.length) });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/webhooks/instagram`,
    deliveries,
    bodies: (): Json[] => deliveries.map(({ bytes }) => JSON.parse(new TextDecoder().decode(bytes))),
    [Symbol.asyncDispose]: async () => {
      await server.stop(true);
    },
  };
}
