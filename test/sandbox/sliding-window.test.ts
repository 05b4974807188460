import { expect, test } from "bun:test";
import { createChance } from "../../src/sandbox/chance.ts";
import { createSlidingWindow } from "../../src/sandbox/sliding-window.ts";

test("createSlidingWindow() never lets more than the limit through in any window, and wastes nothing", () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const chance = createChance(seed);
    const limit = 1 + chance.below(50);
    const windowMs = 100 + chance.below(1000);
    const window = createSlidingWindow(windowMs);
    const taken: number[] = [];
    let nowMs = 0;
    for (let call = 0; call < 5000; call += 1) {
      nowMs += chance.next() < 0.02 ? chance.below(windowMs * 2) : chance.next() * 3;
      const inWindow = taken.filter((atMs) => atMs > nowMs - windowMs).length;
      const accepted = window.take(nowMs, limit);
      expect(accepted).toBe(inWindow < limit);
      if (accepted) taken.push(nowMs);
      if (taken.length > 200) taken.splice(0, taken.length - 100);
    }
  }
});

test("createSlidingWindow() refuses at the seam where a fixed window would let twice the limit through", () => {
  const window = createSlidingWindow(1000);
  for (let call = 0; call < 10; call += 1) expect(window.take(990, 10)).toBe(true);
  for (const nowMs of [1000, 1010, 1989]) expect(window.take(nowMs, 10)).toBe(false);
  expect(window.waitMs(1500, 10)).toBe(490);
  expect(window.take(1990, 10)).toBe(true);
  expect(window.used(1990)).toBe(1);
});
