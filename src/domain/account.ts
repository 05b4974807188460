import type { AccountId } from "./ids.ts";

/** Which of Meta's two log-ins gave the token: it decides the Graph host and what it can do (meta-platform.md §0.3). */
export const logins = ["instagram", "facebook"] as const;
export type Login = (typeof logins)[number];

/** `reauth_required`: the token is dead. `paused`: Instagram refuses the whole account (permission, access level, link). */
export const accountStates = ["active", "reauth_required", "paused"] as const;
export type AccountState = (typeof accountStates)[number];

/** An Instagram professional account that we look people up for. Never carries its token. */
export type Account = {
  readonly id: AccountId;
  /** The operator's own name for it; its Instagram id where none was given. */
  readonly ownId: string;
  readonly login: Login;
  /** The linked Facebook Page; null for Instagram Login. */
  readonly pageId: string | null;
  readonly username: string | null;
  readonly state: AccountState;
  readonly stateReason: string | null;
  readonly stateSinceMs: number;
  /** When a pause ends and one person is asked as a probe; null: only an operator ends it. */
  readonly stateUntilMs: number | null;
  readonly tokenSavedAtMs: number | null;
  readonly tokenExpiresAtMs: number | null;
};

/** What a Graph call needs to know of an account. The token is plain here: hold it for the call, log it never. */
export type AccountAccess = Pick<Account, "id" | "login" | "pageId"> & { readonly token: string };
