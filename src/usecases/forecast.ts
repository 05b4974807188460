import type { Budget, BudgetState } from "../budget/budget.ts";
import type { Account } from "../domain/account.ts";
import { batchSizeMax } from "../domain/profile.ts";
import { everybody, type RunOptions } from "../domain/run.ts";
import type { CandidatesRepository } from "../repository/candidates.ts";
import { pageSizeMax } from "./inbox-cursor.ts";

/** What a backfill may use of an allowance beside live's reserve (spec §5), and at once before it is paced. */
const paceShare = 0.95;
const atOnceShare = 0.1;

/** Calls of a run by kind. `list`: of the inbox, where all of it has to be read; `profile`: one a person. */
type ByKind = { readonly list: number; readonly profile: number };

/** What a run would do. Calls are counted as Instagram counts them: one a person, however many share a request. */
export type Forecast = {
  /** People whose profile is asked for. */
  readonly total: number;
  /** Who has none, by what is known of them; `--limit` may leave some of them out. */
  readonly byReason: Readonly<Record<string, number>>;
  /** Conversations that the account has here: what its inbox is expected to list. */
  readonly conversations: number;
  readonly calls: ByKind;
  readonly requests: ByKind;
  /** Profile calls that one window of `windowMs` holds; null: as far as is known, any number. */
  readonly allowance: number | null;
  readonly windowMs: number;
  /** How long each kind lasts by its pace and by Instagram's limit; null: as long as Instagram takes to answer. */
  readonly lastsMs: { readonly list: number; readonly profile: number | null };
  /** Both one after the other; null: no limit is known. */
  readonly durationMs: number | null;
};

/** How long a limit makes so many calls of a backfill last from now on, its pauses included, in ms; null: none is known. */
export function limitedMs(
  calls: number,
  { allowance, used, resumeInMs }: Pick<BudgetState, "allowance" | "used" | "resumeInMs">,
  windowMs: number,
): number | null {
  if (calls === 0) return 0;
  if (allowance === null) return null;
  const paced = Math.max(0, calls - Math.max(0, allowance * atOnceShare - used));
  return resumeInMs + (paced / (allowance * paceShare)) * windowMs;
}

export type ForecastDependencies = {
  candidates: Pick<CandidatesRepository, "countCandidates">;
  budget: Pick<Budget, "state">;
};
export type ForecastInput = {
  readonly account: Account;
  readonly options: RunOptions;
  readonly windowMs: number;
  /** Between two calls of the inbox. */
  readonly inboxSpacingMs: number;
};

/** Says what a backfill of the account would take. Writes nothing. Throws `storage_unavailable`. */
export async function forecast(
  { candidates, budget }: ForecastDependencies,
  { account, options, windowMs, inboxSpacingMs }: ForecastInput,
): Promise<Forecast> {
  const { bulk, profiles, limit } = options;
  const { total: found, byReason } = await candidates.countCandidates(account.id, { ...options, runNumber: null });
  const total = profiles ? Math.min(found, limit ?? found) : 0;
  const conversations = (await candidates.countCandidates(account.id, everybody)).total;
  // An inbox is read although it may be empty: that takes a call to see.
  const list = bulk ? Math.max(1, Math.ceil(conversations / pageSizeMax)) : 0;
  const profile = account.login === "facebook" ? Math.ceil(total / batchSizeMax) : total;
  const ofList = await budget.state(account.id, "conversations");
  const ofProfiles = await budget.state(account.id);
  const listMs = Math.max(Math.max(0, list - 1) * inboxSpacingMs, limitedMs(list, ofList, windowMs) ?? 0);
  const profileMs = limitedMs(total, ofProfiles, windowMs);
  return {
    ...{ total, byReason, conversations },
    calls: { list, profile: total },
    requests: { list, profile },
    ...{ allowance: ofProfiles.allowance, windowMs },
    lastsMs: { list: listMs, profile: profileMs },
    durationMs: profileMs === null ? null : listMs + profileMs,
  };
}
