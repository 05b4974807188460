import type { Account } from "../domain/account.ts";
import { SyncError } from "../domain/error.ts";
import { type AccountId, parseAccountId } from "../domain/ids.ts";
import { nearest } from "./edit-distance.ts";
import { showWord } from "./strict-arguments.ts";

/**
 * The account that `text` names: its own id, its Instagram id, or `@username`.
 * Throws `account_unknown` with the nearest ones, and `account_conflict` where two accounts bear the username.
 */
export function findAccount(accounts: readonly Account[], text: string): Account {
  const wanted = text.trim();
  const byId = findById(accounts, wanted);
  if (byId !== null) return byId;
  const username = wanted.startsWith("@") ? wanted.slice(1).toLowerCase() : null;
  const named = accounts.filter((account) => username !== null && account.username?.toLowerCase() === username);
  if (named.length > 1)
    throw new SyncError(
      "account_conflict",
      `Cannot tell which account '${showWord(wanted)}' is: ${named.map(({ ownId }) => ownId).join(" and ")} bear that name`,
    );
  const [account] = named;
  if (account === undefined) throw unknownAccount(accounts, wanted);
  return account;
}

/** The account with exactly this own id or Instagram id; null where there is none. */
export function findById(accounts: readonly Account[], id: string): Account | null {
  return accounts.find(({ ownId }) => ownId === id) ?? accounts.find((account) => account.id === id) ?? null;
}

/** Says that no account is called `text`, and which ones come near. */
export function unknownAccount(accounts: readonly Account[], text: string): SyncError {
  const names = accounts.flatMap(({ ownId, id, username }) => [
    ownId,
    id,
    ...(username === null ? [] : [`@${username}`]),
  ]);
  const close = nearest(text, [...new Set(names)]);
  const hint =
    accounts.length === 0
      ? "there is none yet, see social-sync accounts add --help"
      : close.length > 0
        ? `did you mean ${close.join(" or ")}?`
        : "see social-sync accounts list";
  return new SyncError("account_unknown", `Cannot find the account '${showWord(text)}': ${hint}`);
}

/** The same; an Instagram id that nobody has added will do where `isKept` says that something of it is stored. */
export async function findKeptAccount(
  accounts: readonly Account[],
  text: string,
  isKept: (id: AccountId) => Promise<boolean>,
): Promise<AccountId> {
  try {
    return findAccount(accounts, text).id;
  } catch (error) {
    const id = parseAccountId(text.trim());
    const isUnknown = error instanceof SyncError && error.code === "account_unknown";
    if (isUnknown && id !== null && (await isKept(id))) return id;
    throw error;
  }
}
