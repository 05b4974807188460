import { expect, test } from "bun:test";
import type { BudgetState } from "../../src/budget/budget.ts";
import { limitEveryMs, watchLimit } from "../../src/cli/limit-watch.ts";
import { type AccountId, parseAccountId } from "../../src/domain/ids.ts";
import { createManualClock } from "./manual-clock.ts";

test("watchLimit() knows nothing at first, follows the budget, and leaves no timer behind", async () => {
  const { clock, advance, timers } = createManualClock();
  const blank = { used: 0, percent: null, learned: null, accountStopMs: 0, appStopMs: 0, resumeInMs: 0 };
  let state: BudgetState = { ...blank, allowance: null };
  let reads = 0;
  const budget = {
    async state() {
      reads += 1;
      return state;
    },
  };
  const accountId = parseAccountId("17841") as AccountId;
  const watch = watchLimit({ budget, clock }, { accountId, windowMs: 3_600_000 });
  expect(watch.limitMs(210)).toBeNull();
  await Bun.sleep(0);
  expect(watch.limitMs(210)).toBeNull();
  state = { ...blank, allowance: 200, resumeInMs: 5_000 };
  advance(limitEveryMs);
  await Bun.sleep(0);
  expect(watch.limitMs(210)).toBe(3_605_000);
  expect([reads, timers()]).toEqual([2, 1]);
  watch[Symbol.dispose]();
  expect(timers()).toBe(0);
});
