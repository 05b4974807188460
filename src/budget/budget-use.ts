import type { BudgetUse } from "../domain/account-health.ts";
import type { AccountId } from "../domain/ids.ts";
import type { Budget } from "./budget.ts";

/** An account's use of its allowance, for people and programs that ask how it stands. */
export async function readBudgetUse(budget: Pick<Budget, "state">, accountId: AccountId): Promise<BudgetUse> {
  const { used, allowance, percent, resumeInMs } = await budget.state(accountId);
  return { used, ceiling: allowance, usagePercent: percent, stoppedForMs: resumeInMs };
}
