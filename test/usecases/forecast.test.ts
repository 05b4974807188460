import { describe, expect, test } from "bun:test";
import type { BudgetState, PoolName } from "../../src/budget/budget.ts";
import type { Account } from "../../src/domain/account.ts";
import { type AccountId, parseAccountId } from "../../src/domain/ids.ts";
import type { RunOptions } from "../../src/domain/run.ts";
import { forecast, limitedMs } from "../../src/usecases/forecast.ts";

const hourMs = 3_600_000;
const account: Account = {
  ...{ id: parseAccountId("17841400000000001") as AccountId, ownId: "shop", login: "instagram", pageId: null },
  ...{ username: null, state: "active", stateReason: null, stateSinceMs: 0, stateUntilMs: null },
  ...{ tokenSavedAtMs: null, tokenExpiresAtMs: null },
};
const options: RunOptions = {
  ...{ batchSize: 10, scope: "missing", limit: null, since: null, sinceMs: null },
  ...{ bulk: true, profiles: true, importMissing: false },
};
const noLimit: BudgetState = {
  ...{ allowance: null, used: 0, resumeInMs: 0, percent: null, learned: null, accountStopMs: 0, appStopMs: 0 },
};

/** 1,000 people of 2,501 conversations have no profile. */
function run(
  more: { login?: Account["login"]; states?: Partial<Record<PoolName, Partial<BudgetState>>> } & Partial<RunOptions>,
) {
  const { login = "instagram", states = {}, ...asked } = more;
  return forecast(
    {
      candidates: {
        countCandidates: async (_, { scope }) => ({
          total: scope === "everybody" ? 2_501 : 1_000,
          byReason: { pending: scope === "everybody" ? 2_501 : 1_000 },
        }),
      },
      budget: { state: async (_, pool = "profile") => ({ ...noLimit, ...states[pool] }) },
    },
    {
      account: { ...account, login },
      options: { ...options, ...asked },
      ...{ windowMs: hourMs, inboxSpacingMs: 600 },
    },
  );
}

describe("forecast()", () => {
  test("counts list calls of fifty conversations, paced, and a profile call a person", async () => {
    expect(await run({})).toEqual({
      ...{ total: 1_000, byReason: { pending: 1_000 }, conversations: 2_501 },
      ...{ calls: { list: 51, profile: 1_000 }, requests: { list: 51, profile: 1_000 } },
      ...{ allowance: null, windowMs: hourMs, lastsMs: { list: 30_000, profile: null }, durationMs: null },
    });
  });

  test("of a page account counts fifty people a request", async () => {
    expect((await run({ login: "facebook", limit: 101 })).requests).toEqual({ list: 51, profile: 3 });
  });

  test("leaves out what is not asked for: the list with --no-bulk, the profiles with --names-only", async () => {
    expect(await run({ bulk: false })).toMatchObject({ calls: { list: 0, profile: 1_000 }, lastsMs: { list: 0 } });
    expect(await run({ profiles: false })).toMatchObject({
      ...{ total: 0, calls: { list: 51, profile: 0 }, durationMs: 30_000 },
    });
  });

  test("adds the two phases by the budget of each", async () => {
    const states = { profile: { allowance: 200 }, conversations: { allowance: 20 } };
    const { lastsMs, durationMs, allowance } = await run({ states });
    expect(allowance).toBe(200);
    expect(lastsMs.profile).toBeCloseTo((980 / 190) * hourMs, 0);
    expect(lastsMs.list).toBeCloseTo((49 / 19) * hourMs, 0);
    expect(durationMs).toBe(lastsMs.list + (lastsMs.profile ?? 0));
  });
});

describe("limitedMs()", () => {
  test("is nothing for nobody, unknown without a limit, and begins with the pause that is on", () => {
    const state = { allowance: 200, used: 0, resumeInMs: 0 };
    expect(limitedMs(0, { ...state, resumeInMs: 5_000 }, hourMs)).toBe(0);
    expect(limitedMs(10, { ...state, allowance: null }, hourMs)).toBeNull();
    expect(limitedMs(20, state, hourMs)).toBe(0);
    expect(limitedMs(20, { ...state, resumeInMs: 900_000 }, hourMs)).toBe(900_000);
  });

  test("what was used already goes at once no more", () => {
    const state = { allowance: 200, used: 0, resumeInMs: 0 };
    expect(limitedMs(210, state, hourMs)).toBe(hourMs);
    expect(limitedMs(190, { ...state, used: 50 }, hourMs)).toBe(hourMs);
  });
});
