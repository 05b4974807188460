import type { Budget, BudgetState } from "../budget/budget.ts";
import type { AccountId } from "../domain/ids.ts";
import type { Clock } from "../lib/clock.ts";
import { limitedMs } from "../usecases/forecast.ts";

/** How often the budget is read for the time to the end: what answers teach it moves that by hours. */
export const limitEveryMs = 2_000;

/** Follows the account's budget until its scope ends. `limitMs` says how long it makes so many people last. */
export function watchLimit(
  { budget, clock }: { budget: Pick<Budget, "state">; clock: Pick<Clock, "after"> },
  { accountId, windowMs }: { accountId: AccountId; windowMs: number },
): Disposable & { readonly limitMs: (people: number) => number | null } {
  let latest: BudgetState | null = null;
  let open = true;
  let cancel = () => {};
  const read = async (): Promise<void> => {
    latest = await budget.state(accountId);
    if (open) cancel = clock.after(limitEveryMs, read);
  };
  void read();
  return {
    limitMs: (people) => (latest === null ? null : limitedMs(people, latest, windowMs)),
    [Symbol.dispose]() {
      open = false;
      cancel();
    },
  };
}
