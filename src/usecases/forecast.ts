import type { Budget } from "../budget/budget.ts";
import type { Account } from "../domain/account.ts";
import type { RunOptions } from "../domain/run.ts";
import type { CandidatesRepository } from "../repository/candidates.ts";
import { peoplePerRequest } from "./profiles-phase.ts";

/** What a backfill may use of an allowance beside live's reserve (spec §5), and at once before it is paced. */
const paceShare = 0.95;
const atOnceShare = 0.1;

/** What a run would do. Calls are counted as Instagram counts them: one a person, however many share a request. */
export type Forecast = {
  readonly total: number;
  readonly byReason: Readonly<Record<string, number>>;
  readonly calls: { readonly profile: number };
  readonly requests: { readonly profile: number };
  /** Calls that one window of `windowMs` holds; null: as far as is known, any number. */
  readonly allowance: number | null;
  readonly windowMs: number;
  /** How long Instagram's limit makes it last; null: no limit is known. */
  readonly durationMs: number | null;
};

/** Says what a backfill of the account would take. Writes nothing. Throws `storage_unavailable`. */
export async function forecast(
  { candidates, budget }: { candidates: Pick<CandidatesRepository, "countCandidates">; budget: Pick<Budget, "state"> },
  { account, options, windowMs }: { account: Account; options: RunOptions; windowMs: number },
): Promise<Forecast> {
  const { total: found, byReason } = await candidates.countCandidates(account.id, { ...options, runNumber: null });
  const total = Math.min(found, options.limit ?? found);
  const { allowance, resumeInMs } = await budget.state(account.id);
  const requests = account.login === "facebook" ? Math.ceil(total / peoplePerRequest) : total;
  const paced = allowance === null ? 0 : Math.max(0, total - allowance * atOnceShare);
  const durationMs = allowance === null ? null : resumeInMs + (paced / (allowance * paceShare)) * windowMs;
  return {
    total,
    byReason,
    calls: { profile: total },
    requests: { profile: requests },
    allowance,
    windowMs,
    durationMs,
  };
}
