/**
 * Counting, throttling, and the usage headers of both hosts (meta-platform.md §5). Each call takes a place in the
 * sliding window of its (account, pool); a refused call takes none.
 *
 * A window is an hour to Meta. Where a test makes it shorter, the minutes in `estimated_time_to_regain_access` shrink
 * with it: they are sixtieths of the window.
 */
import { pickAt } from "./chance.ts";
import type { GraphReply } from "./graph-reply.ts";
import { type AccountState, conversationsPerSecond, type Platform, type Pool, pools } from "./platform.ts";
import type { SandboxLogin } from "./world.ts";

/** HTTP statuses under throttling are not documented and all three occur (§5.4), so they take turns. */
const throttleStatuses = [400, 403, 429] as const;
const useCaseTypes = {
  instagram: { profile: "instagram", conversations: "messenger", account: "instagram" },
  facebook: { profile: "messenger", conversations: "messenger", account: "pages" },
} as const satisfies Record<SandboxLogin, Record<Pool, string>>;
const throttleCodeOf = {
  instagram: { profile: 80002, conversations: 80002, account: 80002 },
  facebook: { profile: 80006, conversations: 80006, account: 80001 },
} as const satisfies Record<SandboxLogin, Record<Pool, number>>;
const paceCodeOf = { instagram: 613, facebook: 80006 } as const satisfies Record<SandboxLogin, number>;

/** Takes a place for one call. `null`: let through; else the throttle error to answer. */
export function takeCall(platform: Platform, state: AccountState, pool: Pool): GraphReply | null {
  const limit = platform.ratePerWindow;
  if (limit === null) return null;
  const nowMs = platform.clock.monotonicMs();
  const host = state.account.login;
  const refuse = (code: number): GraphReply => {
    const status = pickAt(throttleStatuses, Math.floor(nowMs));
    return platform.writeError(
      { status, code, message: "There have been too many calls. Wait a bit and try again." },
      host,
    );
  };
  if (state.windows[pool].used(nowMs) >= limit) return refuse(throttleCodeOf[host][pool]);
  if (pool === "conversations" && !state.conversationPace.take(nowMs, conversationsPerSecond))
    return refuse(paceCodeOf[host]);
  state.windows[pool].take(nowMs, limit);
  // Without a bound of its own: the app's usage is told, and never what stops a call here.
  platform.appWindow.take(nowMs, Number.POSITIVE_INFINITY);
  return null;
}

/** Whether a call in this pool would be refused now; takes no place. */
export function isExhausted(platform: Platform, state: AccountState, pool: Pool): boolean {
  const limit = platform.ratePerWindow;
  return limit !== null && state.windows[pool].used(platform.clock.monotonicMs()) >= limit;
}

/** The headers of one answer. Without a rate everything reads zero. */
export function createUsageHeaders(
  platform: Platform,
  host: SandboxLogin,
  owner: { state: AccountState; pool: Pool } | null,
): Record<string, string> {
  const nowMs = platform.clock.monotonicMs();
  const limit = platform.ratePerWindow;
  const appLimit = limit === null ? null : limit * platform.accounts.length * pools.length;
  const app = toPercent(appLimit === null ? 0 : platform.appWindow.used(nowMs), appLimit);
  const headers: Record<string, string> =
    host === "facebook"
      ? { "X-App-Usage": `{"call_count":${app},"total_time":${app >> 1},"total_cputime":${app >> 2}}` }
      : { "X-App-Usage": `{"call_volume":${app},"cpu_time":${app >> 2}}` };
  if (owner === null) return headers;
  const { state, pool } = owner;
  const window = state.windows[pool];
  const used = toPercent(limit === null ? 0 : window.used(nowMs), limit);
  const waitMs = limit === null ? 0 : window.waitMs(nowMs, limit);
  const minutes = Math.ceil((waitMs * 60) / platform.windowMs);
  const entry = `[{"type":"${useCaseTypes[host][pool]}","call_count":${used},"total_cputime":${used >> 2},"total_time":${used >> 1},"estimated_time_to_regain_access":${minutes}}]`;
  // A Page's answers name the Page and the account behind it (§5.2).
  const ids =
    state.account.pageId === null ? [state.account.instagramId] : [state.account.pageId, state.account.instagramId];
  headers["X-Business-Use-Case-Usage"] = `{${ids.map((id) => `"${id}":${entry}`).join(",")}}`;
  return headers;
}

/** Whole per cent. Rounded down, so that 100 is said only when nothing is left. */
function toPercent(used: number, limit: number | null): number {
  if (limit === null) return 0;
  return limit === 0 ? 100 : Math.floor((used * 100) / limit);
}
