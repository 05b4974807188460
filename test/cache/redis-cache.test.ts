import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Redis } from "ioredis";
import { breakerFailuresMax } from "../../src/cache/breaker.ts";
import { openProfileCache } from "../../src/cache/profile-cache.ts";
import { type Clock, createSystemClock } from "../../src/lib/clock.ts";
import { createLog } from "../../src/lib/log.ts";
import { waitUntil } from "../support/bounded-wait.ts";
import type { RedisServer } from "../support/redis-server.ts";
import { openRedis } from "../support/services.ts";
import { cafe, jane, participantIdOf, profileOf, shop, tom } from "./profiles.ts";

setDefaultTimeout(30_000); // The breaker alone rests for 5 s.

const timeoutMs = 100;
let server: RedisServer;
let direct: Redis;

beforeAll(async () => {
  server = await openRedis();
  direct = new Redis(server.url);
  direct.on("error", () => {});
});
afterAll(async () => {
  direct.disconnect();
  await server[Symbol.asyncDispose]();
});

async function open(url = server.url, clock: Clock = createSystemClock()) {
  const warnings: string[] = [];
  const debug: string[] = [];
  const log = createLog("debug", (level, message, _context, fields) => {
    if (level === "debug") debug.push(message);
    else warnings.push(`${level} ${message} ${JSON.stringify(fields)}`);
  });
  const cache = await openProfileCache({ url, timeoutMs, entriesMax: 10, clock, log });
  return { cache, warnings, debug, [Symbol.asyncDispose]: cache[Symbol.asyncDispose] };
}

const keyOfJane = `instagram:profile:${jane}`;

describe("openProfileCache() with Redis", () => {
  test("keeps profiles under the documented key for a day, for their account alone", async () => {
    await using opened = await open();
    const { cache, debug, warnings } = opened;
    await cache.saveProfiles(shop, [profileOf(jane), profileOf(tom)]);
    expect(await direct.ttl(keyOfJane)).toBe(86_400);
    expect(JSON.parse((await direct.get(keyOfJane)) ?? "").accountId).toBe(shop);
    const hits = await cache.getProfiles(shop, [jane, tom, participantIdOf("999")]);
    expect(hits).toEqual(
      new Map([
        [jane, profileOf(jane)],
        [tom, profileOf(tom)],
      ]),
    );
    expect((await cache.getProfiles(cafe, [jane])).size).toBe(0);
    expect(debug).toContain(`Profile cached for ${jane} with TTL 86400s`);
    expect(await cache.deleteProfiles([jane, tom])).toBe(true);
    expect(await direct.exists(keyOfJane)).toBe(0);
    expect(cache.describe()).toBe("redis");
    expect(warnings).toEqual([]);
  });

  test("deletes a poisoned value, leaves another version, and writes over a wrong type", async () => {
    await using opened = await open();
    await direct.set(keyOfJane, '{"v":1,"name":');
    await direct.set(`instagram:profile:${tom}`, '{"v":7}');
    expect((await opened.cache.getProfiles(shop, [jane, tom])).size).toBe(0);
    expect(await direct.exists(keyOfJane)).toBe(0);
    expect(await direct.exists(`instagram:profile:${tom}`)).toBe(1);
    await direct.lpush(keyOfJane, "a list");
    expect((await opened.cache.getProfiles(shop, [jane])).size).toBe(0);
    await opened.cache.saveProfiles(shop, [profileOf(jane)]);
    expect((await opened.cache.getProfiles(shop, [jane])).size).toBe(1);
    expect(opened.warnings).toEqual([]);
  });

  test("reads from a read-only replica, and says once that it cannot write", async () => {
    await using opened = await open();
    await opened.cache.saveProfiles(shop, [profileOf(jane)]);
    await direct.config("SET", "replica-serve-stale-data", "yes");
    await direct.replicaof("127.0.0.1", "1");
    try {
      for (let round = 0; round < 8; round += 1) await opened.cache.saveProfiles(shop, [profileOf(tom)]);
      await waitUntil(
        async () => (await opened.cache.getProfiles(shop, [jane])).size === 1,
        3000,
        "Cannot read from the replica",
      );
      expect(await opened.cache.deleteProfiles([jane])).toBe(false);
    } finally {
      await direct.replicaof("NO", "ONE");
    }
    expect(opened.warnings.length).toBe(1);
    expect(opened.warnings[0]).toContain("warn Cache write failure, going on: ");
  });

  test("skips saves where Redis is out of memory", async () => {
    await using opened = await open();
    await direct.config("SET", "maxmemory", "1");
    try {
      await opened.cache.saveProfiles(shop, [profileOf(jane)]);
      expect(opened.warnings[0]).toContain("OOM");
    } finally {
      await direct.config("SET", "maxmemory", "0");
    }
    await opened.cache.saveProfiles(shop, [profileOf(jane)]);
    expect((await opened.cache.getProfiles(shop, [jane])).size).toBe(1);
  });

  test("waits no longer than its time-out for a frozen Redis, then not at all, and recovers by itself", async () => {
    await using opened = await open();
    await opened.cache.saveProfiles(shop, [profileOf(jane)]);
    server.signal("SIGSTOP");
    try {
      const startedMs = performance.now();
      expect((await opened.cache.getProfiles(shop, [jane])).size).toBe(0);
      expect(performance.now() - startedMs).toBeLessThan(timeoutMs + 200);
      await Promise.all(
        Array.from({ length: breakerFailuresMax }, () => opened.cache.saveProfiles(shop, [profileOf(tom)])),
      );
      const skippedAtMs = performance.now();
      for (let round = 0; round < 100; round += 1) await opened.cache.getProfiles(shop, [jane]);
      expect(performance.now() - skippedAtMs).toBeLessThan(50);
      expect(opened.cache.health()).toMatchObject({ working: false, failures: 1 + breakerFailuresMax });
    } finally {
      server.signal("SIGCONT");
    }
    await waitUntil(
      async () => (await opened.cache.getProfiles(shop, [jane])).size === 1,
      10_000,
      "Cannot read after the thaw",
      50,
    );
    expect(opened.warnings).toEqual([
      'warn Cache read failure, fetching instead: no answer within 100 ms {"failures":1}',
    ]);
    expect(opened.cache.health().working).toBe(true);
  });

  test("goes on while Redis is killed, and uses it again after a restart", async () => {
    await using opened = await open();
    await server.stop("immediate");
    try {
      const startedMs = performance.now();
      for (let round = 0; round < 20; round += 1) await opened.cache.getProfiles(shop, [jane]);
      await opened.cache.saveProfiles(shop, [profileOf(jane)]);
      expect(performance.now() - startedMs).toBeLessThan(1000);
      expect(opened.warnings.length).toBe(1);
    } finally {
      await server.start();
    }
    await waitUntil(
      async () => {
        await opened.cache.saveProfiles(shop, [profileOf(jane)]);
        return (await opened.cache.getProfiles(shop, [jane])).size === 1;
      },
      3_000,
      "Cannot use Redis after its restart",
      50,
    );
  });

  test("opens at once where there is no Redis, where it is frozen and where the password is wrong, and tells no password", async () => {
    const clock = createSystemClock();
    const wrong = new URL(server.url);
    wrong.password = "s3cret%21word";
    const nowhere = new URL(wrong);
    nowhere.port = "1";
    for (const url of [wrong.href, nowhere.href]) {
      const startedMs = performance.now();
      await using opened = await open(url, clock);
      expect((await opened.cache.getProfiles(shop, [jane])).size).toBe(0);
      expect(performance.now() - startedMs).toBeLessThan(1000);
      expect(opened.warnings.length).toBe(1);
      expect(opened.warnings.join()).not.toContain("s3cret");
    }
    server.signal("SIGSTOP");
    try {
      const startedMs = performance.now();
      await using opened = await open();
      expect((await opened.cache.getProfiles(shop, [jane])).size).toBe(0);
      expect(performance.now() - startedMs).toBeLessThan(1000);
    } finally {
      server.signal("SIGCONT");
    }
  });

  test("tells a failing cache once in 30 s, with a count", async () => {
    const real = createSystemClock();
    let ahead = 0;
    await using opened = await open("redis://127.0.0.1:1", { ...real, monotonicMs: () => real.monotonicMs() + ahead });
    await opened.cache.getProfiles(shop, [jane]);
    await opened.cache.getProfiles(shop, [jane]);
    await opened.cache.getProfiles(shop, [jane]);
    expect(opened.warnings.length).toBe(1);
    ahead += 30_000;
    await opened.cache.getProfiles(shop, [jane]);
    expect(opened.warnings.length).toBe(2);
    expect(opened.warnings[1]).toContain('{"failures":3}');
  });
});
