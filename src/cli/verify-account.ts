import type { Login } from "../domain/account.ts";
import { SyncError } from "../domain/error.ts";
import type { AccountId } from "../domain/ids.ts";
import type { GraphClient } from "../graph/graph-client.ts";

export type Verified = { readonly scopedId: string | null; readonly username: string | null };
type Claimed = {
  readonly id: AccountId;
  readonly login: Login;
  readonly pageId: string | null;
  readonly token: string;
};

/**
 * Asks Instagram whose token it is. Throws `token_refused` where it is dead, lacks a permission, or belongs to another
 * account or Page; answers `unanswered` with the reason where Instagram could not say.
 */
export async function verifyAccount(
  graph: Pick<GraphClient, "fetchSelf">,
  { id, login, pageId, token }: Claimed,
  signal: AbortSignal,
): Promise<{ kind: "verified"; verified: Verified } | { kind: "unanswered"; reason: string }> {
  const answer = await graph.fetchSelf({ login, token }, signal);
  const refused = (why: string) => new SyncError("token_refused", `Cannot add the account ${id}: ${why}`);
  if (answer.kind === "found") {
    const { self } = answer;
    if (self.accountId !== id) {
      const whose = self.username === null ? self.accountId : `${self.accountId} (@${self.username})`;
      throw refused(`the token belongs to ${whose}`);
    }
    if (pageId !== null && self.pageId !== pageId)
      throw refused(`the token is of Page ${self.pageId ?? "unknown"}, not of Page ${pageId}`);
    return { kind: "verified", verified: { scopedId: self.scopedId, username: self.username } };
  }
  if (answer.kind === "throttled") return { kind: "unanswered", reason: "Instagram's limit is reached" };
  const words = answer.reason.replaceAll("_", " ");
  if (answer.kind === "failed") {
    // Graph says so of a token of a person where one of a Page is needed.
    if (login === "facebook" && answer.reason === "bad_request")
      throw refused("Instagram refused the token (is it a Page's token, not a person's?)");
    if (answer.reason !== "unknown_code") return { kind: "unanswered", reason: words };
  }
  throw refused(`Instagram refused the token (${words})`);
}
