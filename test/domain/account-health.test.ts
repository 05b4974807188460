import { describe, expect, test } from "bun:test";
import type { Account } from "../../src/domain/account.ts";
import { judgeAccount, tokenWarningMs } from "../../src/domain/account-health.ts";
import { parseAccountId } from "../../src/domain/ids.ts";

const nowMs = Date.UTC(2026, 10, 22, 12);
const id = parseAccountId("17841400000000001");
if (id === null) throw new Error("unreachable");
const fine: Account = {
  id,
  ownId: "shop",
  login: "instagram",
  pageId: null,
  username: null,
  state: "active",
  stateReason: null,
  stateSinceMs: nowMs,
  stateUntilMs: null,
  tokenSavedAtMs: nowMs,
  tokenExpiresAtMs: null,
};
const judged = (changes: Partial<Account>) =>
  judgeAccount({ account: { ...fine, ...changes }, budget: null, graph: null }, nowMs);

describe("judgeAccount()", () => {
  test("finds nothing amiss with an active account, and does not guess about a budget it cannot see", () => {
    expect(judged({})).toEqual({ state: "ok", problems: [] });
  });

  test("a dead token, a missing one and an expired one block the account and name the remedy", () => {
    for (const changes of [
      { state: "reauth_required", stateReason: "token_dead" },
      { tokenSavedAtMs: null },
      { tokenExpiresAtMs: nowMs },
    ] as const) {
      const { state, problems } = judged(changes);
      expect(state).toBe("blocked");
      expect(problems[0]).toContain("social-sync accounts add");
    }
  });

  test("a pause that ends by itself says when, one that does not says who ends it", () => {
    const paused = { state: "paused", stateReason: "access_level" } as const;
    expect(judged({ ...paused, stateUntilMs: nowMs + 60_000 }).problems[0]).toContain("2026-11-22 12:01:00 UTC");
    expect(judged({ ...paused, stateUntilMs: null }).problems[0]).toContain("until a token is handed over");
  });

  test("a token that ends soon and calls that rest want attention only", () => {
    expect(judged({ tokenExpiresAtMs: nowMs + tokenWarningMs }).state).toBe("attention");
    expect(judged({ tokenExpiresAtMs: nowMs + tokenWarningMs + 1 }).state).toBe("ok");
    const budget = { used: 1, ceiling: null, usagePercent: 100, stoppedForMs: 1_000 };
    expect(judgeAccount({ account: fine, budget, graph: { failingSinceMs: null } }, nowMs).state).toBe("attention");
    const failing = judgeAccount({ account: fine, budget: null, graph: { failingSinceMs: nowMs } }, nowMs);
    expect([failing.state, failing.problems.length]).toEqual(["attention", 1]);
  });
});
