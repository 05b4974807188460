/**
 * The account's own nodes and edges: `/me` with its two ids, the Page and its Instagram account, subscriptions, token
 * refresh, and debug_token (meta-platform.md §0.4, §1.6, §6).
 */
import { hashText } from "./chance.ts";
import { type GraphField, parseFields } from "./graph-fields.ts";
import { createReply, type GraphReply, requestErrors, unknownFieldError } from "./graph-reply.ts";
import { type AccountState, type Platform, type TokenState, tokenLifetimeMs, tokenRefreshAgeMs } from "./platform.ts";

export const sandboxAppId = "1000000000000001";
const appName = "social-sync sandbox";
/** §1.6. `messaging_seen` is not accepted on the Page edge (restfb#1210). */
const subscribable = {
  instagram: new Set(
    "comments live_comments message_echoes message_edit message_reactions messages messaging_handover messaging_optins messaging_postbacks messaging_referral messaging_seen standby".split(
      " ",
    ),
  ),
  facebook: new Set(
    "feed mention message_echoes message_edits message_reactions messages messaging_handovers messaging_optins messaging_postbacks messaging_referrals standby".split(
      " ",
    ),
  ),
} as const;

/** Answers `/me`, the account's or the Page's own node. `id` decides which of the two on graph.facebook.com. */
export function answerAccount(
  platform: Platform,
  state: AccountState,
  id: string,
  params: URLSearchParams,
): GraphReply {
  const { account } = state;
  const host = account.login;
  const fields = parseFields(params.get("fields") || (host === "facebook" ? "id,name" : "id"));
  if (fields === null) return platform.writeError(requestErrors.syntax, host);
  const isPage = account.pageId !== null && id !== account.instagramId;
  const node: Record<string, unknown> = isPage
    ? { id: account.pageId, name: "Sandbox Café", instagram_business_account: { id: account.instagramId } }
    : {
        id: host === "instagram" ? account.appScopedId : account.instagramId,
        user_id: account.instagramId,
        username: account.username,
        name: "Sandbox",
        account_type: "BUSINESS",
        profile_picture_url: `${platform.origin}/sandbox/account.svg`,
        followers_count: hashText(platform.world.seed, account.instagramId) % 100_000,
      };
  // `user_id` and `account_type` are Instagram Login's; the Page flavour's IG node does not know them.
  if (host === "facebook") for (const name of ["user_id", "account_type"]) delete node[name];
  const answer: Record<string, unknown> = {};
  for (const field of fields) {
    if (!(field.name in node))
      return platform.writeError(unknownFieldError(field.name, isPage ? "Page" : "IGUser"), host);
    answer[field.name] = field.name === "instagram_business_account" ? writeLinked(state, field) : node[field.name];
  }
  answer.id = node.id;
  return createReply(answer);
}

function writeLinked(state: AccountState, field: GraphField) {
  const { instagramId, username } = state.account;
  return { ...(field.fields.some(({ name }) => name === "username") ? { username } : {}), id: instagramId };
}

/** `/{id}/subscribed_apps`: whether and with which fields webhooks of the account flow. */
export function answerSubscriptions(
  platform: Platform,
  state: AccountState,
  method: string,
  params: URLSearchParams,
): GraphReply {
  const host = state.account.login;
  if (method === "GET") {
    const fields = state.subscribedFields;
    return createReply({
      data: fields.length === 0 ? [] : [{ id: sandboxAppId, name: appName, subscribed_fields: fields }],
    });
  }
  if (method === "DELETE") {
    state.subscribedFields = [];
    return createReply({ success: true });
  }
  const asked = (params.get("subscribed_fields") ?? "").split(",").filter((field) => field !== "");
  const allowed = subscribable[host];
  if (asked.length === 0 || asked.some((field) => !allowed.has(field))) {
    const message = `Param subscribed_fields must be one of {${[...allowed].join(", ")}}`;
    return platform.writeError({ status: 400, code: 100, message }, host);
  }
  state.subscribedFields = asked;
  return createReply({ success: true });
}

/** `/refresh_access_token` of graph.instagram.com: a new token of 60 days for one that is at least a day old (§6.1). */
export function answerRefresh(platform: Platform, token: TokenState, params: URLSearchParams): GraphReply {
  const isOldEnough = platform.clock.nowMs() - token.issuedAtMs >= tokenRefreshAgeMs;
  // Meta does not publish what a token that is too young answers; a plain 100 is the mildest reading.
  if (params.get("grant_type") !== "ig_refresh_token" || !isOldEnough) {
    return platform.writeError(requestErrors.parameter, "instagram");
  }
  return createReply({
    access_token: platform.issueToken(token.owner),
    token_type: "bearer",
    expires_in: Math.floor(tokenLifetimeMs / 1000),
  });
}

/** `/debug_token` of graph.facebook.com. Not documented for Instagram-Login tokens (§6.3), so those answer an error. */
export function answerDebugToken(platform: Platform, params: URLSearchParams): GraphReply {
  const input = params.get("input_token") ?? "";
  if (!input.startsWith("EAA")) return platform.writeError(requestErrors.parameter, "facebook");
  const token = platform.findToken(input);
  const trouble = token?.owner.trouble ?? null;
  if (token === null || trouble !== null) {
    const error = { code: 190, message: "Invalid OAuth access token.", subcode: 467 };
    return createReply({ data: { app_id: sandboxAppId, is_valid: false, error, scopes: [] } });
  }
  const issuedAt = Math.floor(token.issuedAtMs / 1000);
  return createReply({
    data: {
      app_id: sandboxAppId,
      type: "PAGE",
      application: appName,
      expires_at: 0,
      data_access_expires_at: issuedAt + 90 * 86_400,
      is_valid: true,
      issued_at: issuedAt,
      scopes: ["instagram_basic", "instagram_manage_messages", "pages_manage_metadata", "pages_show_list"],
      profile_id: token.owner.account.pageId,
      user_id: token.owner.account.appScopedId,
    },
  });
}
