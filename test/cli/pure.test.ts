import { describe, expect, test } from "bun:test";
import { exitCodeOfReport, renderOutcomes } from "../../src/cli/backfill-report.ts";
import { editDistance, nearest } from "../../src/cli/edit-distance.ts";
import { explainError } from "../../src/cli/explain-error.ts";
import { findAccount } from "../../src/cli/find-account.ts";
import { readHidden } from "../../src/cli/read-hidden.ts";
import { createRunId } from "../../src/cli/run-id.ts";
import { renderTable } from "../../src/cli/text-table.ts";
import { renderDuration } from "../../src/cli/text-values.ts";
import type { Account } from "../../src/domain/account.ts";
import { errorCodes, SyncError } from "../../src/domain/error.ts";
import { parseAccountId } from "../../src/domain/ids.ts";

describe("editDistance()", () => {
  test.each([
    ["", "abc", 3],
    ["shop", "shop", 0],
    ["shpo", "shop", 1],
    ["backfil", "backfill", 1],
    ["kitten", "sitting", 3],
  ])("of %p and %p is %i", (a, b, distance) => {
    expect([editDistance(a, b), editDistance(b, a)]).toEqual([distance, distance]);
  });

  test("nearest() offers what was meant and nothing far-fetched", () => {
    expect(nearest("shpo", ["shop", "cafe", "shoe"])).toEqual(["shop", "shoe"]);
    expect(nearest("zzzzzz", ["shop", "cafe"])).toEqual([]);
    expect(nearest("1784140", ["17841400000000001"])).toEqual(["17841400000000001"]);
    expect(nearest("x".repeat(100_000), ["shop"])).toEqual([]);
  });
});

describe("explainError()", () => {
  test("gives every operating failure its sentence and a code of the help", () => {
    for (const code of errorCodes) {
      const { text, exitCode } = explainError(new SyncError(code, "Cannot do it: no"), {});
      expect(text).toBe("Cannot do it: no\n");
      expect(exitCode).toBeOneOf([1, 2, 3, 4, 5]);
    }
  });

  test("calls anything else a bug in one line without a stack", () => {
    const { text, exitCode } = explainError(new TypeError("x is\nundefined"), {});
    expect({ text, exitCode }).toEqual({
      text: "Cannot go on: this is a bug in social-sync, please report it (TypeError: x is undefined)\n",
      exitCode: 70,
    });
  });

  test("shows the causes at the debug level, a ring of them too, and never a secret", () => {
    const env = {
      SOCIAL_SYNC_LOG_LEVEL: "debug",
      META_APP_SECRET: "secret-one,secret-two",
      DATABASE_URL: "postgres://me:p%40ssword@db/x",
    };
    const cause = Object.assign(new Error("login me:p@ssword refused, secret-two, p%40ssword"), { code: "28P01" });
    cause.cause = cause;
    const { text } = explainError(new SyncError("storage_unavailable", "Cannot list: away", { cause }), env);
    expect(text).toStartWith("Cannot list: away\n");
    expect(text).toContain("Caused by [28P01]");
    expect(text).not.toMatch(/secret-two|p@ssword|p%40ssword/);
    expect(text.split("Caused by").length).toBeLessThanOrEqual(8);
  });
});

const account = (id: string, ownId: string, username: string | null): Account => ({
  id: parseAccountId(id) ?? (id as never),
  ownId,
  login: "instagram",
  pageId: null,
  username,
  state: "active",
  stateReason: null,
  stateSinceMs: 0,
  stateUntilMs: null,
  tokenSavedAtMs: 0,
  tokenExpiresAtMs: null,
});

describe("findAccount()", () => {
  const all = [
    account("178411", "shop", "shop.one"),
    account("178412", "178411x", "twin"),
    account("178413", "c", "Twin"),
  ];

  test("finds by own id, Instagram id and @username", () => {
    expect(findAccount(all, "shop").id).toBe(all[0]?.id as never);
    expect(findAccount(all, " 178413 ").ownId).toBe("c");
    expect(findAccount(all, "@SHOP.ONE").ownId).toBe("shop");
  });

  test("does not guess between two accounts of one username", () => {
    expect(() => findAccount(all, "@twin")).toThrow("178411x and c bear that name");
  });

  test("names the nearest of an unknown one, and says where there is none at all", () => {
    expect(() => findAccount(all, "shopp")).toThrow("Cannot find the account 'shopp': did you mean shop?");
    expect(() => findAccount([], "shop")).toThrow("there is none yet");
  });
});

describe("readHidden()", () => {
  function type(keys: string[]) {
    const shown: string[] = [];
    const raw: boolean[] = [];
    const answer = readHidden(
      {
        setRaw: (on) => raw.push(on),
        onKeys(listener) {
          queueMicrotask(() => {
            for (const key of keys) listener(key);
          });
          return () => {};
        },
      },
      (text) => shown.push(text),
      "Token: ",
    );
    return { answer, shown, raw };
  }

  test("takes a line, lets it be corrected, ignores arrows and shows nothing", async () => {
    const { answer, shown, raw } = type(["wrong\u0015IGx\u007f", "\u001b[A", "AAtoken\r"]);
    expect(await answer).toBe("IGAAtoken");
    expect([shown, raw]).toEqual([
      ["Token: ", "\n"],
      [true, false],
    ]);
  });

  test("is interrupted by Ctrl-C with the keyboard restored", async () => {
    const { answer, raw } = type(["abc\u0003"]);
    expect(answer).rejects.toThrow("Cannot go on: interrupted");
    await answer.catch(() => {});
    expect(raw).toEqual([true, false]);
  });
});

test("createRunId() is short, readable and sorts by time", () => {
  expect(createRunId(Date.UTC(2026, 10, 22, 22, 23, 31), () => 0)).toBe("20261122-222331-aaaa");
  const ids = [0, 1, 2].map((second) => createRunId(second * 1_000, () => 0.999));
  expect(ids.toSorted()).toEqual(ids);
});

test("renderDuration() names the two largest units", () => {
  const shown = [0, 400, 59_000, 60_000, 185_000, 7_800_000, 3_599_900, 800_000_000].map(renderDuration);
  expect(shown).toEqual(["0 s", "1 s", "59 s", "1 min", "3 min 5 s", "2 h 10 min", "1 h", "9 d"]);
});

test("renderTable() leaves out empty columns and lets nothing move the cursor", () => {
  expect(
    renderTable(
      ["A", "B", "C"],
      [
        ["1", "", "x\u001b[2J"],
        ["22", "", "y"],
      ],
    ),
  ).toBe("A   C\n1   x?[2J\n22  y\n");
});

describe("a backfill's report", () => {
  test("names each reason with what to do next, within the columns", () => {
    const outcomes = { complete: 1_200, no_consent: 12, token_dead: 3, never_heard_of: 1 };
    expect(renderOutcomes({ outcomes }, 40)).toBe(
      [
        "  1,200  complete",
        "     12  no consent: they appear when",
        "         the person writes again",
        "      3  token dead: make a new token",
        "         and hand it over with",
        "         social-sync accounts add, then",
        "         run this again",
        "      1  never heard of",
        "",
      ].join("\n"),
    );
  });

  test("decides the exit code: refused before interrupted before failed", () => {
    expect(exitCodeOfReport({ blockedReason: "token_dead", interrupted: true, errors: 1 })).toBe(4);
    expect(exitCodeOfReport({ blockedReason: null, interrupted: true, errors: 1 })).toBe(3);
    expect(exitCodeOfReport({ blockedReason: null, interrupted: false, errors: 1 })).toBe(2);
    expect(exitCodeOfReport({ blockedReason: null, interrupted: false, errors: 0 })).toBe(0);
  });
});
