import { describe, expect, test } from "bun:test";
import { openProfileCache, type ProfileCacheOptions } from "../../src/cache/profile-cache.ts";
import type { Profile } from "../../src/domain/profile.ts";
import { createLog } from "../../src/lib/log.ts";
import { createFakeClock } from "../budget/fake-clock.ts";
import { cafe, jane, profileOf, shop, tom } from "./profiles.ts";

const dayMs = 86_400_000;

async function openMemory(options: Partial<ProfileCacheOptions> = {}) {
  const clock = createFakeClock();
  const lines: string[] = [];
  const log = createLog("debug", (level, message, context) => void lines.push(`${level} ${context} ${message}`));
  const cache = await openProfileCache({ url: null, timeoutMs: 100, entriesMax: 10, clock, log, ...options });
  return { cache, clock, lines };
}

describe("openProfileCache() in this process", () => {
  test("gives back what was saved, and logs the lines of spec §8", async () => {
    const { cache, lines } = await openMemory();
    const profile = profileOf(jane);
    await cache.saveProfiles(shop, [profile]);
    expect(await cache.getProfiles(shop, [jane, tom])).toEqual(new Map([[jane, profile]]));
    expect(lines).toEqual([
      `debug InstagramApiService Profile cached for ${jane} with TTL 86400s`,
      `debug InstagramApiService Cache hit for profile ${jane}`,
    ]);
    expect(cache.describe()).toBe("in this process");
    expect(cache.health()).toEqual({ store: "in this process", working: true, failures: 0, skippedForMs: 0 });
  });

  test("forgets after a day of monotonic time, whatever the wall clock does", async () => {
    const { cache, clock } = await openMemory();
    await cache.saveProfiles(shop, [profileOf(jane)]);
    clock.stepWall(10 * dayMs);
    clock.advance(dayMs - 1);
    expect((await cache.getProfiles(shop, [jane])).size).toBe(1);
    clock.advance(1);
    expect((await cache.getProfiles(shop, [jane])).size).toBe(0);
  });

  test("keeps a profile no longer than its picture lives, and a dead one not at all", async () => {
    const { cache, clock, lines } = await openMemory();
    const dying: Profile = { ...profileOf(jane), pictureExpiresAtMs: clock.nowMs() + 5_500 };
    const dead: Profile = { ...profileOf(tom), pictureExpiresAtMs: clock.nowMs() + 999 };
    await cache.saveProfiles(shop, [dying, dead]);
    expect(lines).toEqual([`debug InstagramApiService Profile cached for ${jane} with TTL 5s`]);
    expect([...(await cache.getProfiles(shop, [jane, tom])).keys()]).toEqual([jane]);
    clock.advance(5_000);
    expect((await cache.getProfiles(shop, [jane])).size).toBe(0);
  });

  test("gives nothing to another account, and erases for every account", async () => {
    const { cache } = await openMemory();
    await cache.saveProfiles(shop, [profileOf(jane)]);
    expect((await cache.getProfiles(cafe, [jane])).size).toBe(0);
    expect(await cache.deleteProfiles([jane])).toBe(true);
    expect((await cache.getProfiles(shop, [jane])).size).toBe(0);
  });

  test("holds no more than entriesMax, the longest unused goes first", async () => {
    const { cache } = await openMemory({ entriesMax: 1 });
    await cache.saveProfiles(shop, [profileOf(jane), profileOf(tom)]);
    expect([...(await cache.getProfiles(shop, [jane, tom])).keys()]).toEqual([tom]);
  });
});
