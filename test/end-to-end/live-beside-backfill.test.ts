import { describe, expect, test } from "bun:test";
import { percentileOf } from "../bench/statistics.ts";
import { runLiveBesideBackfill } from "../support/live-beside-backfill.ts";

describe("a backfill beside two daemons", () => {
  test("of 10,000 people keeps no new customer waiting for their name, and breaks no limit", async () => {
    const options = { backlog: 10_000, newPeople: 75, newPeoplePerSecond: 15, callsPerSecond: 2_000, daemons: 2 };
    const { waitsMs, beside, backfill, named, throttled } = await runLiveBesideBackfill(options);
    expect(beside).toBeGreaterThan(options.newPeople / 2);
    expect(percentileOf(waitsMs, 0.95)).toBeLessThan(2_000);
    expect([backfill.code, named, throttled]).toEqual([0, options.backlog, 0]);
  }, 180_000);
});
