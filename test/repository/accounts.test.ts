import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { type AccountId, parseAccountId } from "../../src/domain/ids.ts";
import { createAccountsRepository, type NewAccount } from "../../src/repository/accounts.ts";
import { createVault } from "../../src/repository/vault.ts";
import { openTestRepositories } from "../support/test-repositories.ts";

const id = parseAccountId("17841400000000001") as AccountId;
const shop: NewAccount = {
  id,
  ownId: "shop",
  login: "facebook",
  pageId: "645699000000000",
  appScopedId: null,
  username: "my_shop",
  token: "EAAtoken",
  tokenExpiresAtMs: 1_900_000_000_000,
};

for (const kind of ["postgres", "embedded"] as const) {
  describe(`createAccountsRepository() on ${kind}`, async () => {
    const db = await openTestRepositories(kind);
    afterAll(() => db[Symbol.asyncDispose]());
    beforeEach(() => db.empty());

    test("keeps a token sealed and hands it out for a lookup only", async () => {
      await db.accounts.saveAccount(shop);
      const [row] = await db.rows("accounts", "id");
      expect(JSON.stringify(row)).not.toContain("EAAtoken");
      expect(JSON.stringify(await db.accounts.listAccounts())).not.toContain("EAAtoken");
      expect(await db.accounts.getAccess(id)).toMatchObject({
        kind: "ready",
        access: { id, login: "facebook", pageId: "645699000000000", token: "EAAtoken" },
      });
    });

    test("lists accounts with their state and their token's age, by own id", async () => {
      await db.accounts.saveAccount(shop);
      await db.accounts.saveAccount({
        ...shop,
        id: parseAccountId("17841400000000002") as AccountId,
        ownId: "bar",
        pageId: "2",
      });
      const [bar, first] = await db.accounts.listAccounts();
      expect(bar?.ownId).toBe("bar");
      expect(first).toMatchObject({ id, state: "active", username: "my_shop", tokenExpiresAtMs: 1_900_000_000_000 });
      expect(Math.abs((first?.tokenSavedAtMs ?? 0) - Date.now())).toBeLessThan(60_000);
    });

    test("a new token makes a parked account active again", async () => {
      await db.accounts.saveAccount(shop);
      const entry = await db.accounts.getAccess(id);
      if (entry.kind !== "ready") throw new Error("not ready");
      expect(await db.accounts.setState(id, "reauth_required", "token_dead", entry.sealedToken)).toBe(true);
      expect(await db.accounts.getAccess(id)).toEqual({
        kind: "parked",
        state: "reauth_required",
        reason: "token_dead",
      });
      await db.accounts.saveAccount({ ...shop, token: "EAAnew" });
      expect(await db.accounts.getAccess(id)).toMatchObject({ kind: "ready", access: { token: "EAAnew" } });
    });

    test("an answer about the old token does not park the account of a new one", async () => {
      await db.accounts.saveAccount(shop);
      const before = await db.accounts.getAccess(id);
      if (before.kind !== "ready") throw new Error("not ready");
      await db.accounts.saveAccount({ ...shop, token: "EAAnew" });
      expect(await db.accounts.setState(id, "reauth_required", "token_dead", before.sealedToken)).toBe(false);
      expect((await db.accounts.getAccess(id)).kind).toBe("ready");
    });

    test("a token sealed with a key that is gone parks its account and stops nothing else", async () => {
      const other = createAccountsRepository(db.database, createVault(Buffer.alloc(32, 9)));
      await other.saveAccount(shop);
      expect(await db.accounts.getAccess(id)).toMatchObject({ kind: "parked", reason: "token_unreadable" });
    });

    test("forgets an account and its token, once", async () => {
      await db.accounts.saveAccount(shop);
      expect(await db.accounts.deleteAccount(id)).toBe(true);
      expect(await db.accounts.deleteAccount(id)).toBe(false);
      expect(await db.accounts.getAccess(id)).toEqual({ kind: "unknown" });
    });
  });
}
