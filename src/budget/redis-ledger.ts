import { createHash } from "node:crypto";
import type { Redis } from "ioredis";
import { type Clock, wait } from "../lib/clock.ts";
import type { Ledger, LedgerRules, LogEntry, PoolSnapshot } from "./ledger.ts";
import script from "./ledger-script.lua" with { type: "text" };

/** How long a connection attempt may take, in ms; the next one follows. */
export const connectTimeoutMs = 1_000;
/** Pauses between connection attempts grow from and to these, in ms: a Redis that is back is used within a second. */
export const reconnectPauseMsMin = 50;
export const reconnectPauseMsMax = 1_000;
/** A server clock that is ahead of the caller's own watch by more than this part of the window, in ms at most this, has been stepped. */
export const clockStepShare = 1 / 100;
export const clockStepMsMax = 1_000;

/** What the shared book held is gone: `remember()` what this process knows, then ask again. */
export class LedgerLostError extends Error {
  override readonly name = "LedgerLostError";
}

export type RedisLedgerOptions = LedgerRules & {
  readonly url: string;
  /** Bounds every command and the first connection, in ms. */
  readonly timeoutMs: number;
  readonly clock: Pick<Clock, "after" | "monotonicMs" | "random">;
  /** Stands in for the server's time, in ms; tests of days need it. */
  readonly serverMs?: () => number;
  /** Keys begin with it. */
  readonly prefix?: string;
};

export type RedisLedger = Ledger & AsyncDisposable & { readonly renew: () => void };

/**
 * The book that all processes share: one script a step, on the server's time, so that whoever asks in whichever order is never granted
 * more than there is. Fails at once without a connection and after `timeoutMs` with one. Throws `LedgerLostError` where Redis has forgotten.
 */
export async function openRedisLedger(options: RedisLedgerOptions): Promise<RedisLedger> {
  const { windowMs, ceiling, timeoutMs, clock, serverMs, prefix = "social-sync:{budget}" } = options;
  const { Redis } = await import("ioredis");
  const redis: Redis = new Redis(options.url, {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    commandTimeout: timeoutMs,
    connectTimeout: connectTimeoutMs,
    retryStrategy: (times) => Math.min(reconnectPauseMsMin * times, reconnectPauseMsMax),
  });
  redis.on("error", () => {}); // Every failure shows at the command that meets it.
  const waited = new AbortController();
  const failed = new Promise<void>((resolve) => redis.once("error", () => resolve()));
  await Promise.race([redis.connect().catch(() => {}), failed, wait(clock, timeoutMs, waited.signal)]);
  waited.abort();

  const sha = createHash("sha1").update(script).digest("hex");
  const stepMs = Math.min(clockStepMsMax, windowMs * clockStepShare);
  let epoch = "";
  let seen: { readonly serverMs: number; readonly sentAtMs: number } | null = null;

  async function run(step: string, pool: string, given: readonly (string | number)[]): Promise<string[]> {
    const sentAtMs = clock.monotonicMs();
    const latestMs = seen === null ? "" : String(seen.serverMs + sentAtMs - seen.sentAtMs);
    const fresh = `${clock.random().toString(36).slice(2)}${clock.random().toString(36).slice(2)}`;
    const poolKey = `${prefix}:pool:${pool}`;
    const keys = [`${prefix}:app`, poolKey, `${poolKey}:log`, `${poolKey}:flights`, `${poolKey}:order`];
    const args = [step, windowMs, serverMs?.() ?? "", latestMs, stepMs, epoch, fresh, ...given];
    const reply: unknown = await redis.evalsha(sha, keys.length, ...keys, ...args).catch((error: Error) => {
      if (!error.message.startsWith("NOSCRIPT")) throw error;
      return redis.eval(script, keys.length, ...keys, ...args);
    });
    if (!Array.isArray(reply)) throw new Error("Cannot read the shared budget: Redis answered no list");
    const words = reply.map(String);
    const told = { serverMs: Number(words[2]), sentAtMs };
    if (words[0] === "lost") {
      // Its clock may be another one. The name is taken over by remember(), which comes next.
      seen = null;
      throw new LedgerLostError("Cannot use the shared budget: Redis has lost what it held");
    }
    if (epoch !== words[1]) seen = null;
    epoch = words[1] ?? "";
    if (seen === null || seen.sentAtMs <= sentAtMs) seen = told;
    return words;
  }

  const rest = (words: readonly string[]) => words.slice(8);
  return {
    async take({ pool, lane, calls, id, share, spacingMs, perRequest, firstCalls }) {
      const given = [lane, calls, id, ceiling ?? "", share, spacingMs * share, perRequest, firstCalls];
      const words = await run("take", pool, given);
      const [granted, resumeInMs] = rest(words).map(Number);
      return { granted: granted ?? 0, resumeInMs: resumeInMs ?? 0, snapshot: readSnapshot(words) };
    },
    async settle({ pool, id, lane, callsMade, usage, throttle }) {
      const words = await run("settle", pool, [
        id,
        lane,
        callsMade,
        usage?.percent ?? "",
        usage?.regainMs ?? "",
        throttle?.scope ?? "",
        throttle?.resumeInMs ?? "",
        clock.random(),
      ]);
      const pause = rest(words)[0] ?? "";
      return pause === "" ? null : Number(pause);
    },
    snapshot: async (pool) => readSnapshot(await run("state", pool, [])),
    async readLog(pool) {
      const words = await run("log", pool, []);
      return rest(words).map((entry): LogEntry => {
        const [at = 0, calls = 0, shared = 0] = entry.split(" ").map(Number);
        return { ageMs: Number(words[2]) - at, calls, shared };
      });
    },
    async remember({ pool, entries, owed, learned, percent, accountStopMs, appStopMs }) {
      const list = [...entries, ...owed].flatMap(({ ageMs, calls, shared }) => [ageMs, calls, shared]);
      const known = learned === Number.POSITIVE_INFINITY ? "inf" : (learned ?? "");
      await run("remember", pool, [known, percent ?? "", accountStopMs, appStopMs, entries.length, ...list]);
    },
    // A frozen or half-open connection looks whole from here: drop it, and let the pauses above bring a new one.
    renew: () => redis.disconnect(true),
    [Symbol.asyncDispose]: async () => redis.disconnect(),
  };
}

function readSnapshot(words: readonly string[]): PoolSnapshot {
  const [, , , used = "0", percent = "", learned = "", accountStopMs = "0", appStopMs = "0"] = words;
  return {
    used: Number(used),
    percent: percent === "" ? null : Number(percent),
    learned: learned === "" ? null : learned === "inf" ? Number.POSITIVE_INFINITY : Number(learned),
    accountStopMs: Number(accountStopMs),
    appStopMs: Number(appStopMs),
  };
}
