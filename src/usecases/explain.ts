import type { Account, Login } from "../domain/account.ts";
import type { AccountHealth, BudgetUse, GraphHealth } from "../domain/account-health.ts";
import type { AccountId, ConversationId } from "../domain/ids.ts";
import type { LookupRecord } from "../domain/lookup-record.ts";
import { isEchoOnly, type Story, tellStory } from "../domain/story.ts";
import { describeMoment } from "../domain/story-time.ts";
import type { Clock } from "../lib/clock.ts";
import type { AccountsRepository } from "../repository/accounts.ts";
import type { ConversationsRepository } from "../repository/conversations.ts";

/** What an account has used of its allowance; null where this process cannot know. */
export type ReadBudget = (accountId: AccountId) => Promise<BudgetUse | null>;

export type ExplainDependencies = {
  conversations: Pick<ConversationsRepository, "getLookupRecord" | "armLookup">;
  accounts: Pick<AccountsRepository, "listAccounts" | "countPeople">;
  readBudget: ReadBudget;
  /** Whether Graph works at a host; null where this process cannot know. */
  readGraph: (login: Login) => GraphHealth | null;
  clock: Pick<Clock, "nowMs">;
  /** How old a stored profile may grow before a message renews it. */
  profileMaxAgeMs: number;
};

export type Explained = { readonly record: LookupRecord; readonly story: Story };

/** What became of a wish for a lookup. `refused`: nothing but `detail` can change it. `limited`: ask again then. */
export type EnrichmentAnswer =
  | { readonly kind: "accepted" }
  | { readonly kind: "refused"; readonly detail: string }
  | { readonly kind: "limited"; readonly retryAfterMs: number; readonly detail: string };

export type Explain = ReturnType<typeof createExplain>;

/** Answers why a profile looks as it does, how the accounts stand, and whether a lookup can be asked for. */
export function createExplain(dependencies: ExplainDependencies) {
  const { conversations, accounts, readBudget, readGraph, clock, profileMaxAgeMs } = dependencies;
  const findAccount = async (id: AccountId): Promise<Account | null> =>
    (await accounts.listAccounts()).find((account) => account.id === id) ?? null;

  return {
    /** The story of one conversation; null: there is none with this id. Throws `storage_unavailable`. */
    async explain(id: ConversationId): Promise<Explained | null> {
      const record = await conversations.getLookupRecord(id);
      if (record === null) return null;
      const account = await findAccount(record.instagramId);
      const budget = await readBudget(record.instagramId);
      const graph = account === null ? null : readGraph(account.login);
      return { record, story: tellStory({ record, account, budget, graph, profileMaxAgeMs }, clock.nowMs()) };
    },

    /** Every account, or `only` those, with its people counted. Throws `storage_unavailable`. */
    async checkAccounts(only: ReadonlySet<AccountId> | null = null): Promise<AccountHealth[]> {
      const all = await accounts.listAccounts();
      const health: AccountHealth[] = [];
      // One after the other: a count may walk millions of entries, and nobody waits for two.
      for (const account of all.filter(({ id }) => only?.has(id) ?? true))
        health.push({
          account,
          people: await accounts.countPeople(account.id),
          budget: await readBudget(account.id),
          graph: readGraph(account.login),
        });
      return health;
    },

    /** Arms a lookup of the conversation's person where one can be made; null: no such conversation. */
    async requestEnrichment(id: ConversationId): Promise<EnrichmentAnswer | null> {
      const record = await conversations.getLookupRecord(id);
      if (record === null) return null;
      const refusal = refuse(record, await findAccount(record.instagramId));
      if (refusal !== null) return { kind: "refused", detail: refusal };
      const budget = await readBudget(record.instagramId);
      if (budget !== null && budget.stoppedForMs > 0) {
        const until = describeMoment(clock.nowMs() + budget.stoppedForMs);
        const detail = `Cannot look the person up now: Instagram's limit is reached, the account's calls rest until ${until}`;
        return { kind: "limited", retryAfterMs: budget.stoppedForMs, detail };
      }
      return (await conversations.armLookup(id)) ? { kind: "accepted" } : null;
    },
  };
}

/** Why this person cannot be looked up until something changes; null where they can. */
function refuse(record: LookupRecord, account: Account | null): string | null {
  const refused = (why: string) => `Cannot look the person up: ${why}`;
  if (record.self) return refused("these are the account's notes to itself");
  if (isEchoOnly(record)) return refused("they have never written, and Instagram shows nobody's profile before that");
  if (account === null) return refused("nobody has added the account");
  if (account.tokenSavedAtMs === null) return refused("the account has no token");
  if (account.state === "active") return null;
  const reason = account.stateReason === null ? "" : ` (${account.stateReason.replaceAll("_", " ")})`;
  if (account.state === "reauth_required") return refused(`the account must be authorised again${reason}`);
  const until = account.stateUntilMs === null ? "" : ` until ${describeMoment(account.stateUntilMs)}`;
  return refused(`the account is paused${until}${reason}`);
}
