import type { Account } from "../domain/account.ts";
import { type AccountHealth, judgeAccount } from "../domain/account-health.ts";
import { wrap } from "./help-text.ts";
import { renderTable } from "./text-table.ts";
import { plainText, renderCount, renderDuration } from "./text-values.ts";

/** Version of the lines that `accounts … --json` prints. */
export const accountLineVersion = 1;

/** An account as one NDJSON value. Never a token. */
export function accountJson(account: Account): Record<string, unknown> {
  return {
    v: accountLineVersion,
    id: account.ownId,
    instagramId: account.id,
    username: account.username,
    login: account.login,
    pageId: account.pageId,
    state: account.state,
    stateReason: account.stateReason,
    tokenSavedAt: isoOf(account.tokenSavedAtMs),
    tokenExpiresAt: isoOf(account.tokenExpiresAtMs),
  };
}

/** The accounts as a table for people. */
export function renderAccounts(accounts: readonly Account[], nowMs: number): string {
  const rows = accounts.map((account) => [
    account.ownId,
    account.id === account.ownId ? "" : account.id,
    account.username === null ? "" : `@${account.username}`,
    account.login,
    stateText(account),
    tokenText(account, nowMs),
  ]);
  return renderTable(["ACCOUNT", "INSTAGRAM ID", "USERNAME", "LOGIN", "STATE", "TOKEN"], rows);
}

/** One account, a line a value. */
export function renderAccount(account: Account, nowMs: number): string {
  const rows = [
    ["account", account.ownId],
    ["instagram id", account.id],
    ["username", account.username === null ? "unknown" : `@${account.username}`],
    ["login", account.login],
    ...(account.pageId === null ? [] : [["page id", account.pageId]]),
    ["state", stateText(account)],
    ["token", tokenText(account, nowMs)],
  ];
  return renderTable(null, rows);
}

/** An account's health: who it is, its people, its allowance, then what is wrong in sentences. */
export function renderHealth(health: AccountHealth, nowMs: number): string {
  const { account, people, budget, graph } = health;
  const { state, problems } = judgeAccount(health, nowMs);
  const counted = Object.entries(people).filter(([, count]) => count > 0);
  const use =
    budget === null
      ? unknownHere
      : `${renderCount(budget.used)} of ${budget.ceiling === null ? "no ceiling of its own" : renderCount(budget.ceiling)} calls${budget.usagePercent === null ? "" : `, ${budget.usagePercent} % by Instagram's count`}`;
  const rows = [
    ["account", account.ownId === account.id ? account.id : `${account.ownId} (${account.id})`],
    ["health", state],
    ["state", stateText(account)],
    ["token", tokenText(account, nowMs)],
    [
      "people",
      counted.length === 0
        ? "none yet"
        : counted.map(([status, count]) => `${renderCount(count)} ${status.replaceAll("_", " ")}`).join(", "),
    ],
    ["calls", use],
    ["instagram", graph === null ? unknownHere : graph.failingSinceMs === null ? "answers" : "fails of itself"],
  ];
  const sentences = problems.flatMap((problem) => wrap(`  ${plainText(problem)}`, healthColumns, "  "));
  return renderTable(null, rows) + sentences.map((line) => `${line}\n`).join("");
}

/** What a command cannot know: its own counts are as old as itself. */
const unknownHere = "unknown here; the daemon's GET /accounts tells";

/** Width of the sentences about what is wrong. */
const healthColumns = 100;

function stateText({ state, stateReason }: Account): string {
  const words = state.replaceAll("_", " ");
  return stateReason === null ? words : `${words} (${stateReason.replaceAll("_", " ")})`;
}

function tokenText({ tokenSavedAtMs, tokenExpiresAtMs }: Account, nowMs: number): string {
  if (tokenSavedAtMs === null) return "none";
  const age = `saved ${renderDuration(Math.max(0, nowMs - tokenSavedAtMs))} ago`;
  if (tokenExpiresAtMs === null) return `${age}, expiry unknown`;
  const leftMs = tokenExpiresAtMs - nowMs;
  return leftMs <= 0 ? `${age}, expired` : `${age}, expires in ${renderDuration(leftMs)}`;
}

const isoOf = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
