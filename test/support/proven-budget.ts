import { type Budget, createBudget } from "../../src/budget/budget.ts";
import type { AccountId } from "../../src/domain/ids.ts";
import { systemClock } from "./test-repositories.ts";

/** A budget that has heard an answer without usage for each account: the first call of all, which goes alone, is behind it. */
export async function createProvenBudget(...accounts: readonly AccountId[]): Promise<Budget> {
  const budget = createBudget({ ceilingPerWindow: null, clock: systemClock });
  for (const accountId of accounts) {
    const { grant } = await budget.take({ accountId, lane: "live", calls: 1 });
    await budget.settle(grant, { callsMade: 1, usage: null, throttle: null });
  }
  return budget;
}
