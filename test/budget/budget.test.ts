import { describe, expect, test } from "bun:test";
import { createBudget, type Grant, lanes } from "../../src/budget/budget.ts";
import { bucketsPerWindow } from "../../src/budget/sliding-window.ts";
import { accountIdOf } from "../cache/profiles.ts";
import { createFakeClock } from "./fake-clock.ts";

const shop = accountIdOf("17841400000000001");
const hourMs = 3_600_000;

/** Most calls in any window of `windowMs`, both its ends included. */
function busiestWindow(calls: readonly { atMs: number; count: number }[], windowMs: number): number {
  let [most, sum, first] = [0, 0, 0];
  for (const call of calls) {
    sum += call.count;
    while (call.atMs - (calls[first]?.atMs ?? 0) > windowMs) sum -= calls[first++]?.count ?? 0;
    most = Math.max(most, sum);
  }
  return most;
}

describe("createBudget()", () => {
  test("counts each pool of an account for itself", async () => {
    const budget = createBudget({ ceilingPerWindow: 1, clock: createFakeClock() });
    const take = (pool: "profile" | "conversations") => budget.take({ accountId: shop, lane: "live", calls: 1, pool });
    expect((await take("profile")).granted).toBe(1);
    expect((await take("profile")).granted).toBe(0);
    expect((await take("conversations")).granted).toBe(1);
  });

  test("asks for nothing where nothing is wanted", async () => {
    const budget = createBudget({ ceilingPerWindow: null, clock: createFakeClock() });
    expect(await budget.take({ accountId: shop, lane: "live", calls: 0 })).toMatchObject({ granted: 0, resumeInMs: 0 });
  });

  test("does not care about the wall clock", async () => {
    const clock = createFakeClock();
    const budget = createBudget({ ceilingPerWindow: 1, clock });
    const take = async () => (await budget.take({ accountId: shop, lane: "live", calls: 1 })).granted;
    const { grant } = await budget.take({ accountId: shop, lane: "live", calls: 1 });
    await budget.settle(grant, { callsMade: 1, usage: null, throttle: null });
    clock.stepWall(24 * hourMs);
    expect(await take()).toBe(0);
    clock.stepWall(-48 * hourMs);
    clock.advance(hourMs + 2);
    expect(await take()).toBe(1);
  });

  for (let seed = 1; seed <= 40; seed += 1) {
    test(`never grants more than the ceiling in any window, seed ${seed}`, async () => {
      const clock = createFakeClock({ seed });
      const pick = (max: number) => Math.floor(clock.random() * max);
      const ceiling = 1 + pick(300);
      const windowMs = 1000 + pick(100_000);
      const budget = createBudget({ ceilingPerWindow: ceiling, windowMs, clock });
      const made: { atMs: number; count: number }[] = [];
      let flying: { grant: Grant; callsMade: number; counted: boolean }[] = [];
      const count = (calls: number) => void made.push({ atMs: clock.monotonicMs(), count: calls });
      for (let step = 0; step < 2000; step += 1) {
        // Bursts, trickles and long silences, on both sides of a bucket's edge; Instagram counts a call as it goes or as its answer comes.
        if (flying.length === 0 && pick(4) === 0) clock.advance(pick(windowMs));
        clock.advance((clock.random() * 3 * windowMs) / bucketsPerWindow);
        if (pick(5) > 0) {
          const lane = lanes[pick(3)] ?? "live";
          const { granted, grant } = await budget.take({ accountId: shop, lane, calls: 1 + pick(20) });
          if (granted === 0) continue;
          const callsMade = pick(4) === 0 ? pick(granted + 1) : granted;
          const counted = pick(2) === 0;
          if (counted) count(callsMade);
          flying.push({ grant, callsMade, counted });
        } else {
          for (const { grant, callsMade, counted } of flying) {
            if (!counted) count(callsMade);
            await budget.settle(grant, { callsMade, usage: null, throttle: null });
          }
          flying = [];
        }
      }
      expect(busiestWindow(made, windowMs)).toBeLessThanOrEqual(ceiling);
      expect(made.length).toBeGreaterThan(10);
    });
  }

  test("says where an account stands", async () => {
    const budget = createBudget({ ceilingPerWindow: 10, clock: createFakeClock() });
    const { grant } = await budget.take({ accountId: shop, lane: "live", calls: 1 });
    await budget.settle(grant, { callsMade: 1, usage: { percent: 50, regainMs: null }, throttle: null });
    expect(await budget.state(shop)).toMatchObject({ used: 1, percent: 50, allowance: 1, resumeInMs: 0 });
  });
});
