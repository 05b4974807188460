import { describe, expect, test } from "bun:test";
import { type Budget, createBudget, type Lane, lanes } from "../../src/budget/budget.ts";
import { bucketsPerWindow } from "../../src/budget/sliding-window.ts";
import { accountIdOf } from "../cache/profiles.ts";
import { createFakeClock } from "./fake-clock.ts";

const shop = accountIdOf("17841400000000001");
const cafe = accountIdOf("17841400000000002");
const hourMs = 3_600_000;

function takeOne(budget: Budget, accountId = shop, lane: Lane = "live") {
  return budget.take({ accountId, lane, calls: 1 });
}

/** Most calls in any window of `windowMs`, both its ends included. */
function busiestWindow(calls: readonly { atMs: number; count: number }[], windowMs: number): number {
  let most = 0;
  let sum = 0;
  let first = 0;
  for (const call of calls) {
    sum += call.count;
    while (call.atMs - (calls[first]?.atMs ?? 0) > windowMs) sum -= calls[first++]?.count ?? 0;
    most = Math.max(most, sum);
  }
  return most;
}

describe("take()", () => {
  test("grants everything where there is no ceiling", () => {
    const budget = createBudget({ ceilingPerWindow: null, clock: createFakeClock() });
    expect(budget.take({ accountId: shop, lane: "backfill", calls: 100_000 })).toEqual({
      granted: 100_000,
      resumeInMs: 0,
    });
  });

  test("grants what is left, and says when the next call goes", () => {
    const clock = createFakeClock();
    const budget = createBudget({ ceilingPerWindow: 60, clock });
    expect(budget.take({ accountId: shop, lane: "live", calls: 50 })).toEqual({ granted: 50, resumeInMs: 0 });
    const { granted, resumeInMs } = budget.take({ accountId: shop, lane: "live", calls: 50 });
    expect(granted).toBe(10);
    clock.advance(resumeInMs - 2);
    expect(takeOne(budget).granted).toBe(0);
    clock.advance(2);
    expect(takeOne(budget)).toEqual({ granted: 1, resumeInMs: 0 });
  });

  test("never overshoots for callers that come at the same moment", async () => {
    const budget = createBudget({ ceilingPerWindow: 100, clock: createFakeClock() });
    const callers = Array.from({ length: 64 }, async () => {
      await Promise.resolve();
      const first = budget.take({ accountId: shop, lane: "live", calls: 3 }).granted;
      await Promise.resolve();
      return first + budget.take({ accountId: shop, lane: "live", calls: 3 }).granted;
    });
    const granted = (await Promise.all(callers)).reduce((sum, count) => sum + count, 0);
    expect(granted).toBe(100);
  });

  test("keeps a twentieth for live that refresh and backfill cannot touch", () => {
    const budget = createBudget({ ceilingPerWindow: 100, clock: createFakeClock() });
    expect(budget.take({ accountId: shop, lane: "backfill", calls: 80 }).granted).toBe(80);
    const refresh = budget.take({ accountId: shop, lane: "refresh", calls: 80 });
    expect(refresh.granted).toBe(15);
    expect(refresh.resumeInMs).toBeGreaterThan(0);
    expect(budget.take({ accountId: shop, lane: "live", calls: 80 }).granted).toBe(5);
  });

  test("moves every lane even under a ceiling of one", () => {
    const budget = createBudget({ ceilingPerWindow: 1, clock: createFakeClock() });
    expect(takeOne(budget, shop, "backfill").granted).toBe(1);
    expect(takeOne(budget).granted).toBe(0);
  });

  test("counts each account for itself", () => {
    const budget = createBudget({ ceilingPerWindow: 1, clock: createFakeClock() });
    expect([takeOne(budget).granted, takeOne(budget, cafe).granted]).toEqual([1, 1]);
  });

  test("does not care about the wall clock", () => {
    const clock = createFakeClock();
    const budget = createBudget({ ceilingPerWindow: 1, clock });
    takeOne(budget);
    clock.stepWall(24 * hourMs);
    expect(takeOne(budget).granted).toBe(0);
    clock.stepWall(-48 * hourMs);
    clock.advance(hourMs + 2);
    expect(takeOne(budget).granted).toBe(1);
  });

  for (let seed = 1; seed <= 40; seed += 1) {
    test(`never grants more than the ceiling in any window, seed ${seed}`, () => {
      const clock = createFakeClock({ seed });
      const pick = (max: number) => Math.floor(clock.random() * max);
      const ceiling = 1 + pick(300);
      const windowMs = 1000 + pick(100_000);
      const budget = createBudget({ ceilingPerWindow: ceiling, windowMs, clock });
      const made: { atMs: number; count: number }[] = [];
      let unspentBefore = 0;
      for (let step = 0; step < 5000; step += 1) {
        // Bursts, trickles and long silences, on both sides of a bucket's edge; calls are handed back at once or later.
        const silent = pick(8) === 0;
        if (silent) budget.giveBack(shop, unspentBefore);
        clock.advance(silent ? pick(windowMs) : (clock.random() * 3 * windowMs) / bucketsPerWindow);
        if (!silent) budget.giveBack(shop, unspentBefore);
        const lane = lanes[pick(3)] ?? "live";
        const { granted } = budget.take({ accountId: shop, lane, calls: 1 + pick(20) });
        unspentBefore = pick(4) === 0 ? pick(granted + 1) : 0;
        made.push({ atMs: clock.monotonicMs(), count: granted - unspentBefore });
      }
      expect(busiestWindow(made, windowMs)).toBeLessThanOrEqual(ceiling);
    });
  }

  test("uses 95 % of the ceiling and more where work always waits", () => {
    for (const everyMs of [7, 1000, 9_999]) {
      const clock = createFakeClock();
      const budget = createBudget({ ceilingPerWindow: 1000, clock });
      let granted = 0;
      const windows = 4;
      while (clock.monotonicMs() < windows * hourMs) {
        granted += budget.take({ accountId: shop, lane: "backfill", calls: 3 }).granted;
        granted += budget.take({ accountId: shop, lane: "live", calls: 3 }).granted;
        clock.advance(everyMs);
      }
      expect(granted).toBeGreaterThanOrEqual(0.95 * 1000 * windows);
      // The window at the very end has begun as well.
      expect(granted).toBeLessThanOrEqual(1000 * (windows + 1));
    }
  });
});
