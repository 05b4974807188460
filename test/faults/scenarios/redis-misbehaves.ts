/** Rows 22, 23: Redis answers, and what it says is no help: full, read-only, loading, forgetful, full of junk. */
import type { Redis } from "ioredis";
import { createRedisClient } from "../../support/redis-server.ts";
import { type RedisFault, redisLoad, runRedisFaults } from "../redis-faults.ts";
import { openRig, type Rig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";

/** How long Redis takes to load one key, in µs, and how often it looks up from that, in bytes: both for tests of Redis alone. */
const loadSettings = { "key-load-delay": "500", "loading-process-events-interval-bytes": "1024" };
const loadedKeys = 5_000; // At half a millisecond: longer than the fault lasts.
const keysPerCommand = 500;
const junkBytes = 20_000; // More than any value of ours.

/** What somebody else might have put there: no text of ours, half of one, one of another kind, one that is dangerous. */
const junk = [
  "junk",
  '{"v":1',
  "null",
  "[]",
  '{"v":"1"}',
  '{"v":1,"accountId":"1","fetchedAt":"yesterday","username":7,"name":[],"profilePic":"x"}',
  '{"v":1,"accountId":"$","fetchedAt":"2026-01-01T00:00:00.000Z","username":"u","name":null,"profilePic":"javascript:alert(1)","pictureExpiresAt":null}',
  '{"v":2,"accountId":"$","username":"from the future"}',
  "\u0000\u0000",
  "x".repeat(junkBytes),
];

function createFaults(): readonly RedisFault[] {
  /** Loading ends by itself; who mends waits for that. */
  let loading: Promise<void> = Promise.resolve();
  return [
    {
      name: "full (OOM)",
      breakIt: (rig) =>
        command(rig, (redis) => redis.config("SET", "maxmemory", "1", "maxmemory-policy", "noeviction")),
      mendIt: (rig) => command(rig, (redis) => redis.config("SET", "maxmemory", "0")),
      isMissed: true,
    },
    {
      name: "read-only replica (READONLY)",
      breakIt: (rig) => command(rig, (redis) => redis.call("REPLICAOF", "127.0.0.1", "1")),
      mendIt: (rig) => command(rig, (redis) => redis.call("REPLICAOF", "NO", "ONE")),
      isMissed: true,
    },
    {
      name: "loading (LOADING)",
      breakIt: async (rig) => {
        await command(rig, async (redis) => {
          for (let at = 0; at < loadedKeys; at += keysPerCommand) {
            const keys = Array.from({ length: keysPerCommand }, (_, one) => [`faults:${at + one}`, "loaded slowly"]);
            await redis.mset(...keys.flat());
          }
          await redis.save();
        });
        await rig.redis.stop("immediate");
        loading = rig.redis.start(); // It answers the harness too only once it has loaded.
        loading.catch(() => {});
      },
      mendIt: async (rig) => {
        await loading;
        await command(rig, (redis) => redis.flushall());
      },
      isMissed: true,
    },
    {
      name: "forgetful (eviction)",
      breakIt: (rig) =>
        command(rig, (redis) => redis.config("SET", "maxmemory", "1", "maxmemory-policy", "allkeys-random")),
      mendIt: (rig) => command(rig, (redis) => redis.config("SET", "maxmemory", "0", "maxmemory-policy", "noeviction")),
      isMissed: false,
    },
    {
      name: "full of junk",
      breakIt: (rig) =>
        command(rig, async (redis) => {
          const people = rig.plan.accounts.flatMap((account) =>
            account.people.map((id) => ({ id, account: account.id })),
          );
          for (let at = 0; at < people.length; at += keysPerCommand) {
            const part = people.slice(at, at + keysPerCommand);
            await redis.mset(...part.flatMap(({ id, account }, one) => [keyOf(id), junkFor(one, account)]));
          }
          // And a few that are no texts at all.
          for (const { id } of people.slice(0, keysPerCommand).filter((_, one) => one % junk.length === 0)) {
            await redis.del(keyOf(id));
            await redis.rpush(keyOf(id), "a list");
          }
        }),
      mendIt: (rig) => command(rig, (redis) => redis.flushall()),
      isMissed: false,
    },
  ];
}

export const redisMisbehaves: Scenario = {
  name: "redis-misbehaves",
  fault: "Redis full, read-only, loading, evicting everything, and full of junk, under load with lookups",
  rows: [22, 23],
  cycles: { short: 1, long: 10 },
  timeoutMs: 90_000,
  waits: true,
  async run(context) {
    const { batchMax, people } = redisLoad;
    await using rig = await openRig({
      seed: context.seed,
      batchMax,
      redis: { settings: loadSettings },
      sandbox: { people },
    });
    return await runRedisFaults(rig, context, createFaults());
  },
};

/** The key of a person's profile, as the README's operators look it up (spec §4). */
const keyOf = (personId: string) => `instagram:profile:${personId}`;
const junkFor = (at: number, accountId: string) => (junk[at % junk.length] ?? "").replaceAll("$", accountId);

async function command(rig: Rig, run: (redis: Redis) => Promise<unknown>): Promise<void> {
  const redis = createRedisClient(rig.redis.url);
  try {
    await run(redis);
  } finally {
    redis.disconnect();
  }
}
