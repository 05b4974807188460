import type { Account, AccountAccess } from "../domain/account.ts";
import { type BlockedReason, readBlockedReason } from "../domain/profile.ts";
import type { AccountsRepository } from "../repository/accounts.ts";

export type OpenedInbox =
  | { readonly kind: "open"; readonly access: AccountAccess; readonly sealedToken: string }
  | { readonly kind: "blocked"; readonly reason: BlockedReason };

/** The account's token where its inbox may be read. An account that rests is not: the right to a probe is a lookup's. */
export async function openInbox(
  accounts: Pick<AccountsRepository, "getAccess">,
  { id, state, stateReason }: Account,
): Promise<OpenedInbox> {
  if (state !== "active") return { kind: "blocked", reason: readBlockedReason(stateReason) };
  const entry = await accounts.getAccess(id);
  if (entry.kind === "unknown") return { kind: "blocked", reason: "token_missing" };
  if (entry.kind === "parked") return { kind: "blocked", reason: readBlockedReason(entry.reason) };
  if (entry.probeOf !== null) return { kind: "blocked", reason: readBlockedReason(entry.probeOf.reason) };
  return { kind: "open", access: entry.access, sealedToken: entry.sealedToken };
}
