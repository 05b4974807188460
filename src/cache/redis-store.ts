import type { Redis } from "ioredis";
import { type Clock, wait } from "../lib/clock.ts";
import type { TextStore } from "./text-store.ts";

/** How long a connection attempt may take, in ms; the next one follows. */
export const connectTimeoutMs = 1_000;
/** Pauses between connection attempts grow from and to these, in ms: a Redis that is back is used within a second. */
export const reconnectPauseMsMin = 50;
export const reconnectPauseMsMax = 1_000;

/** After a failover the same address may lead to the new primary; one that stays read-only keeps its connection, in ms. */
export const readOnlyReconnectEveryMs = 30_000;

/** ioredis's own name for an answer of a living server that says no (READONLY, OOM, LOADING, WRONGTYPE). */
export function isServerAnswer(cause: unknown): boolean {
  return cause instanceof Error && cause.name === "ReplyError";
}

/**
 * A store in Redis. ioredis waits for ever by default when Redis is away; here every command fails at once without a connection and
 * after `timeoutMs` with one (design §7). Reconnects by itself, without end. Imported late, so that a start without Redis does not pay for it.
 */
export async function openRedisStore(
  url: string,
  timeoutMs: number,
  clock: Pick<Clock, "after" | "monotonicMs">,
): Promise<TextStore> {
  const { Redis } = await import("ioredis");
  let renewedAtMs = Number.NEGATIVE_INFINITY;
  const redis: Redis = new Redis(url, {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    commandTimeout: timeoutMs,
    connectTimeout: connectTimeoutMs,
    retryStrategy: (times) => Math.min(reconnectPauseMsMin * times, reconnectPauseMsMax),
    reconnectOnError: (error) => {
      const nowMs = clock.monotonicMs();
      if (!error.message.startsWith("READONLY") || nowMs - renewedAtMs < readOnlyReconnectEveryMs) return false;
      renewedAtMs = nowMs;
      return true;
    },
  });
  // Every failure shows at the command that meets it; without a listener ioredis prints it.
  redis.on("error", () => {});
  // A start does not hang on Redis: the first connection gets the time of a command, and a command that comes too early is a miss.
  const waited = new AbortController();
  const failed = new Promise<void>((resolve) => redis.once("error", () => resolve()));
  await Promise.race([redis.connect().catch(() => {}), failed, wait(clock, timeoutMs, waited.signal)]);
  waited.abort();

  return {
    name: "redis",
    readMany: (keys) => redis.mget([...keys]),
    writeMany: async (entries) => {
      const pipeline = redis.pipeline();
      for (const { key, text, ttlSeconds } of entries) pipeline.set(key, text, "EX", ttlSeconds);
      for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error;
    },
    deleteMany: async (keys) => {
      await redis.del([...keys]);
    },
    listKeys: () => [],
    // A frozen or half-open connection looks whole from here: drop it, and let the pauses above bring a new one.
    renew: () => redis.disconnect(true),
    [Symbol.asyncDispose]: async () => redis.disconnect(),
  };
}
