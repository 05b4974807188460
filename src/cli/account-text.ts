import type { Account } from "../domain/account.ts";
import { renderTable } from "./text-table.ts";
import { renderDuration } from "./text-values.ts";

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
