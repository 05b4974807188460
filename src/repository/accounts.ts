import armBlockedLookups from "../../sql/queries/arm-blocked-lookups.sql" with { type: "text" };
import claimAccountProbe from "../../sql/queries/claim-account-probe.sql" with { type: "text" };
import countPeopleSql from "../../sql/queries/count-people.sql" with { type: "text" };
import deleteAccountSql from "../../sql/queries/delete-account.sql" with { type: "text" };
import getAccountAccess from "../../sql/queries/get-account-access.sql" with { type: "text" };
import listAccountsSql from "../../sql/queries/list-accounts.sql" with { type: "text" };
import resumeAccount from "../../sql/queries/resume-account.sql" with { type: "text" };
import saveAccountSql from "../../sql/queries/save-account.sql" with { type: "text" };
import setAccountState from "../../sql/queries/set-account-state.sql" with { type: "text" };
import type { Account, AccountAccess, AccountState, Login } from "../domain/account.ts";
import { SyncError } from "../domain/error.ts";
import type { AccountId } from "../domain/ids.ts";
import { type ProfileStatus, profileStatuses } from "../domain/profile.ts";
import type { Database } from "./database.ts";
import type { Vault } from "./vault.ts";

export type NewAccount = Pick<Account, "id" | "ownId" | "login" | "pageId" | "username" | "tokenExpiresAtMs"> & {
  readonly appScopedId: string | null;
  readonly token: string;
};

type AccountRow = {
  id: AccountId;
  own_id: string;
  login: Login;
  page_id: string | null;
  username: string | null;
  state: AccountState;
  state_reason: string | null;
  state_since_ms: number;
  state_until_ms: number | null;
  token_saved_at_ms: number | null;
  token_expires_at_ms: number | null;
};
/** What get-account-access.sql tells. */
export type AccessRow = Pick<AccountRow, "id" | "login" | "page_id" | "state" | "state_reason"> & {
  token_sealed: string | null;
  probe_due: boolean;
};

/** An account's row on its way. */
export type AccessReading = { readonly reading: Promise<readonly AccessRow[]> };

/** A probe whose asker died is asked again after this. */
export const probeLeaseMs = 60_000;

/** What a lookup needs of an account: its token where it may be used, else why it may not. */
export type AccountEntry =
  | {
      readonly kind: "ready";
      readonly access: AccountAccess;
      readonly sealedToken: string;
      /** The account rests, and this caller may ask about one person; null: it does not rest. */
      readonly probeOf: { readonly reason: string | null } | null;
    }
  | { readonly kind: "parked"; readonly state: AccountState; readonly reason: string | null }
  | { readonly kind: "unknown" };

export type AccountsRepository = ReturnType<typeof createAccountsRepository>;

/** The `accounts` table. Tokens go in sealed and come out only through `getAccess()`. */
export function createAccountsRepository(database: Database, vault: Vault) {
  const openToken = (sealed: string, id: AccountId): string | null => {
    try {
      return vault.open(sealed, id);
    } catch (error) {
      if (error instanceof SyncError && error.code === "config_invalid") return null;
      throw error;
    }
  };
  const readAccess = (id: AccountId): AccessReading => {
    const reading = database.queryForLookups<AccessRow>(getAccountAccess, [id], "read the account");
    reading.catch(() => {});
    return { reading };
  };
  return {
    /** Every account, by its own id. */
    async listAccounts(): Promise<Account[]> {
      const rows = await database.query<AccountRow>(listAccountsSql, [], "list the accounts");
      return rows.map((row) => ({
        id: row.id,
        ownId: row.own_id,
        login: row.login,
        pageId: row.page_id,
        username: row.username,
        state: row.state,
        stateReason: row.state_reason,
        stateSinceMs: row.state_since_ms,
        stateUntilMs: row.state_until_ms,
        tokenSavedAtMs: row.token_saved_at_ms,
        tokenExpiresAtMs: row.token_expires_at_ms,
      }));
    },

    /** How many people of an account stand in each profile status. */
    async countPeople(id: AccountId): Promise<Record<ProfileStatus, number>> {
      type CountRow = { status: ProfileStatus | "everybody"; people: number };
      const rows = await database.query<CountRow>(countPeopleSql, [id], "count the account's people", countDeadlineMs);
      const counted = new Map(rows.map((row) => [row.status, row.people]));
      const people = Object.fromEntries(profileStatuses.map((status) => [status, counted.get(status) ?? 0]));
      const others = rows.filter((row) => row.status !== "everybody").reduce((sum, row) => sum + row.people, 0);
      return { ...(people as Record<ProfileStatus, number>), complete: (counted.get("everybody") ?? 0) - others };
    },

    /** Adds an account or replaces its token, and un-parks the people that waited for it. */
    async saveAccount(account: NewAccount): Promise<void> {
      const sealed = vault.seal(account.token, account.id);
      await database.query(
        saveAccountSql,
        [
          account.id,
          account.ownId,
          account.login,
          account.pageId,
          account.appScopedId,
          account.username,
          sealed,
          account.tokenExpiresAtMs,
        ],
        `save the account ${account.ownId}`,
      );
      await database.query(armBlockedLookups, [account.id], "un-park the account's lookups", armDeadlineMs);
    },

    /** Reads what `getAccess()` goes by, for a caller who may need it in a moment. Never rejects: the need tells. */
    readAccess,

    /** The token and state of one account. Once a pause is over, one caller gets the token for a probe. */
    async getAccess(id: AccountId, { reading }: AccessReading = readAccess(id)): Promise<AccountEntry> {
      const [row] = await reading;
      if (row === undefined) return { kind: "unknown" };
      const parked = { kind: "parked", state: row.state, reason: row.state_reason } as const;
      if (row.token_sealed === null || (row.state !== "active" && !row.probe_due)) return parked;
      const token = openToken(row.token_sealed, row.id);
      // Sealed with another key: this account waits for an operator, the others go on.
      if (token === null) return { ...parked, reason: "token_unreadable" };
      const probing = row.state !== "active";
      if (probing && (await database.query(claimAccountProbe, [id, probeLeaseMs], "ask for a probe")).length === 0)
        return parked;
      return {
        kind: "ready",
        access: { id: row.id, login: row.login, pageId: row.page_id, token },
        sealedToken: row.token_sealed,
        probeOf: probing ? { reason: row.state_reason } : null,
      };
    },

    /**
     * Marks an account; does nothing where its token was replaced meanwhile. Answers whether it did. After `probeInMs`
     * one person is asked as a probe; null: only a new token ends it.
     */
    async setState(
      id: AccountId,
      state: AccountState,
      reason: string,
      sealedToken: string,
      probeInMs: number | null = null,
    ): Promise<boolean> {
      const values = [id, state, reason, sealedToken, probeInMs];
      return (await database.query(setAccountState, values, "mark the account")).length > 0;
    },

    /** Ends a pause after a probe that was answered, and un-parks the people. Answers whether there was one. */
    async resume(id: AccountId, sealedToken: string): Promise<boolean> {
      const rows = await database.query(resumeAccount, [id, sealedToken], "end the account's pause");
      if (rows.length === 0) return false;
      await database.query(armBlockedLookups, [id], "un-park the account's lookups", armDeadlineMs);
      return true;
    },

    /** Forgets the account and its token. Answers whether it was there. */
    async deleteAccount(id: AccountId): Promise<boolean> {
      const rows = await database.query(deleteAccountSql, [id], "remove the account");
      return rows.length > 0;
    },
  };
}

/** A count walks the index entries of the account's people: about a tenth of a second for a million. */
const countDeadlineMs = 10_000;
/** Un-parking touches every conversation of the account that waits. */
const armDeadlineMs = 60_000;
