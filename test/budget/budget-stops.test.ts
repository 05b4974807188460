import { describe, expect, test } from "bun:test";
import { type Budget, createBudget, type Lane } from "../../src/budget/budget.ts";
import { accountIdOf } from "../cache/profiles.ts";
import { createFakeClock } from "./fake-clock.ts";

const shop = accountIdOf("17841400000000001");
const cafe = accountIdOf("17841400000000002");
const hourMs = 3_600_000;
const quarterMs = hourMs / 4;

function takeOne(budget: Budget, accountId = shop, lane: Lane = "live") {
  return budget.take({ accountId, lane, calls: 1 });
}

describe("stop()", () => {
  test("grants nothing for a quarter of the window, then one probe", () => {
    const clock = createFakeClock();
    const budget = createBudget({ ceilingPerWindow: null, clock });
    const resumeInMs = budget.stop(shop, { scope: "account", resumeInMs: null });
    expect(resumeInMs).toBeGreaterThanOrEqual(quarterMs);
    expect(resumeInMs).toBeLessThanOrEqual(quarterMs * 1.1 + 1);
    expect(takeOne(budget)).toEqual({ granted: 0, resumeInMs });
    clock.advance(resumeInMs - 1);
    expect(takeOne(budget).granted).toBe(0);
    clock.advance(1);
    const probe = budget.take({ accountId: shop, lane: "backfill", calls: 50 });
    expect(probe.granted).toBe(1);
    expect(probe.resumeInMs).toBeGreaterThan(0);
    expect(takeOne(budget).granted).toBe(0);
    expect(budget.state(shop).account).toBe("probing");
    budget.learn(shop, null);
    expect(budget.take({ accountId: shop, lane: "backfill", calls: 50 }).granted).toBe(50);
  });

  test("never comes back before the time that Instagram named", () => {
    const budget = createBudget({ ceilingPerWindow: null, clock: createFakeClock(), windowMs: 5000 });
    expect(budget.stop(shop, { scope: "account", resumeInMs: 17 * 60_000 })).toBeGreaterThanOrEqual(17 * 60_000);
  });

  test("doubles up to two windows while probes are throttled, and starts anew after a success", () => {
    const clock = createFakeClock();
    const budget = createBudget({ ceilingPerWindow: null, clock });
    const pauses: number[] = [];
    for (let round = 0; round < 6; round += 1) {
      const pauseMs = budget.stop(shop, { scope: "account", resumeInMs: null });
      pauses.push(pauseMs);
      clock.advance(pauseMs);
      expect(takeOne(budget).granted).toBe(1);
    }
    expect(pauses.map((pauseMs) => Math.floor(pauseMs / quarterMs))).toEqual([1, 2, 4, 8, 8, 8]);
    budget.learn(shop, { percent: 12, regainMs: null });
    expect(budget.stop(shop, { scope: "account", resumeInMs: null })).toBeLessThan(2 * quarterMs);
  });

  test("counts sixteen throttled answers that come together as one", () => {
    const clock = createFakeClock();
    const budget = createBudget({ ceilingPerWindow: null, clock });
    for (let answer = 0; answer < 16; answer += 1) budget.stop(shop, { scope: "account", resumeInMs: null });
    const { resumeInMs } = takeOne(budget);
    expect(resumeInMs).toBeLessThanOrEqual(quarterMs * 1.1 + 1);
    clock.advance(resumeInMs);
    takeOne(budget);
    expect(budget.stop(shop, { scope: "account", resumeInMs: null })).toBeLessThan(3 * quarterMs);
  });

  test("of the app stops every account, and one probe serves all", () => {
    const clock = createFakeClock();
    const budget = createBudget({ ceilingPerWindow: null, clock });
    clock.advance(budget.stop(shop, { scope: "app", resumeInMs: null }) - 1);
    expect([takeOne(budget).granted, takeOne(budget, cafe).granted]).toEqual([0, 0]);
    clock.advance(1);
    expect([takeOne(budget, cafe).granted, takeOne(budget).granted]).toEqual([1, 0]);
    budget.learn(shop, null);
    expect(takeOne(budget).granted).toBe(0);
    budget.learn(cafe, null);
    expect(takeOne(budget).granted).toBe(1);
  });

  test("of an account leaves the others alone", () => {
    const budget = createBudget({ ceilingPerWindow: null, clock: createFakeClock() });
    budget.stop(shop, { scope: "account", resumeInMs: null });
    expect(takeOne(budget, cafe).granted).toBe(1);
  });

  test("gives the probe to somebody else where its holder never reports", () => {
    const clock = createFakeClock();
    const budget = createBudget({ ceilingPerWindow: null, clock });
    clock.advance(budget.stop(shop, { scope: "account", resumeInMs: null }));
    expect(takeOne(budget).granted).toBe(1);
    clock.advance(hourMs / 20);
    expect(takeOne(budget).granted).toBe(1);
  });
});

describe("learn()", () => {
  test("stops at 100 % and for a named time", () => {
    const budget = createBudget({ ceilingPerWindow: null, clock: createFakeClock() });
    budget.learn(shop, { percent: 99, regainMs: null });
    expect(takeOne(budget).granted).toBe(1);
    budget.learn(shop, { percent: 100, regainMs: null });
    expect(takeOne(budget).granted).toBe(0);
    budget.learn(cafe, { percent: 0, regainMs: 2 * hourMs });
    expect(takeOne(budget, cafe).resumeInMs).toBeGreaterThanOrEqual(2 * hourMs);
    expect(budget.state(shop).usagePercent).toBe(100);
  });

  test("of an answer that was under way when the pool stopped opens nothing", () => {
    const clock = createFakeClock();
    const budget = createBudget({ ceilingPerWindow: null, clock });
    takeOne(budget);
    budget.stop(shop, { scope: "account", resumeInMs: null });
    budget.learn(shop, { percent: 5, regainMs: null });
    expect(takeOne(budget).granted).toBe(0);
  });
});

describe("giveBack() and charge()", () => {
  test("hand calls back and count calls on top", () => {
    const budget = createBudget({ ceilingPerWindow: 10, clock: createFakeClock() });
    budget.take({ accountId: shop, lane: "live", calls: 10 });
    budget.giveBack(shop, 4);
    expect(budget.state(shop).used).toBe(6);
    budget.charge(shop, "live", 3);
    expect(budget.take({ accountId: shop, lane: "live", calls: 10 }).granted).toBe(1);
  });

  test("hand an unused probe on at once", () => {
    const clock = createFakeClock();
    const budget = createBudget({ ceilingPerWindow: null, clock });
    clock.advance(budget.stop(shop, { scope: "account", resumeInMs: null }));
    expect(takeOne(budget).granted).toBe(1);
    budget.giveBack(shop, 1);
    expect(takeOne(budget).granted).toBe(1);
  });
});
