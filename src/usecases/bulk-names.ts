import type { Account, AccountAccess } from "../domain/account.ts";
import { lookupRules } from "../domain/lookup-rules.ts";
import { type BlockedReason, type FailureReason, readBlockedReason } from "../domain/profile.ts";
import type { ThreadPage } from "../domain/thread.ts";
import type { Refusal } from "../graph/classify-error.ts";
import type { GraphClient } from "../graph/graph-client.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { AccountsRepository } from "../repository/accounts.ts";
import type { InboxRepository, Listing } from "../repository/inbox.ts";
import { judgeAnswers, type VerdictDependencies } from "./account-verdict.ts";
import { type AskInboxDependencies, askInbox, type InboxIo } from "./ask-inbox.ts";
import { type ImportDependencies, importThread } from "./import-thread.ts";
import { type InboxPosition, pageSizeMax, parseInboxCursor, writeInboxCursor } from "./inbox-cursor.ts";
import { type InboxPage, type OwnNames, readInboxPage } from "./read-page.ts";

/** Threads asked for where more are "too much data" (meta-platform.md §7.2). */
const pageSteps = [pageSizeMax, 25, 10, 3, 1];
/** Pages in a row that go well before the next larger one is tried; doubles each time that was too early. */
export const growAfterPages = 3;
/** Instagram's clock and the database's may differ by so much: what is younger than that at a listing's start may have come after it. */
export const clockMarginMs = 60_000;
/** After this a listing is done to its end again: people rename themselves, and a right that an app gains uncovers threads. */
export const listingTrustMs = 7 * 86_400_000;
/** Expired cursors that a run survives: each costs the whole list again. */
export const restartsMax = 2;

/**
 * Running totals; a page counts with the cursor behind it, so a run that goes on from a cursor adds up. `named`: people
 * whose username the list told, new or not. `imported`: conversations that the listing created.
 */
export type BulkPage = {
  readonly calls: number;
  readonly listed: number;
  readonly named: number;
  readonly imported: number;
  /** Where a resumed run goes on, for nobody else to read; null: at the end. */
  readonly cursor: string | null;
  readonly pausedForMs: number | null;
};
/** `failed`: the list cannot be read on, for a reason that is neither the account's nor a limit. The last cursor holds. */
export type BulkEnd =
  | { readonly kind: "done" | "stopped" }
  | { readonly kind: "blocked"; readonly reason: BlockedReason }
  | { readonly kind: "failed"; readonly reason: FailureReason | "absent" };

export type BulkNamesDependencies = AskInboxDependencies &
  ImportDependencies & {
    graph: Pick<GraphClient, "fetchThreads" | "fetchThreadMessages">;
    accounts: Pick<AccountsRepository, "getAccess"> & VerdictDependencies["accounts"];
    lookups: VerdictDependencies["lookups"];
    inbox: Pick<InboxRepository, "getListing" | "saveListedNames" | "importConversation" | "endListing">;
    clock: Pick<Clock, "after" | "random" | "nowMs">;
    log: Log;
  };

type Totals = Pick<BulkPage, "calls" | "listed" | "named" | "imported">;
export type BulkNamesInput = {
  readonly account: Account;
  /** Creates the conversations that Instagram lists and nobody has told of. */
  readonly importMissing: boolean;
  readonly cursor: string | null;
  readonly totals: Totals;
};
export type BulkNamesIo = { readonly signal: AbortSignal; readonly onPage: (page: BulkPage) => Promise<void> };

/**
 * Reads the account's inbox page by page, newest thread first, and saves the usernames of everybody in it: 50 a call. Holds
 * one page at a time. `onPage` hears of every page, of each call of an import and, once a second, of a pause.
 *
 * It stops at what is known. The list is newest first, so all that stands behind a page is older than it. Once a listing
 * has gone to the end (or to what was known), it is noted when it began. A later one ends at the first page of which all is
 * true: each of its threads last changed a minute or more before that noted moment; saving it changed no name and no
 * state; and, when importing, none of its conversations is missing, with the noted listing one that imported too. What a
 * listing noted holds for a week and for the token that saw it. So a run right after another costs a call or two.
 *
 * An account that rests is not listed: the one question that may be asked of it is a lookup's. Throws
 * `storage_unavailable` only.
 */
export async function bulkNames(
  dependencies: BulkNamesDependencies,
  input: BulkNamesInput,
  { signal, onPage }: BulkNamesIo,
): Promise<BulkEnd> {
  const { inbox, clock, log } = dependencies;
  const { account, importMissing } = input;
  const opened = await openAccess(dependencies, account);
  if (opened.kind === "blocked") return opened;
  let { access, sealedToken } = opened;
  const listing = await inbox.getListing(account.id);
  if (listing === null) return { kind: "blocked", reason: "token_missing" };

  const totals = { ...input.totals };
  let position = resume(input.cursor, listing);
  const knownBeforeMs = readKnownBefore(importMissing ? listing.importListedAtMs : listing.listedAtMs, position);
  const own = readOwnNames(account, listing);
  let [goodPages, growAfter, restarts] = [0, growAfterPages, 0];
  const tell = (pausedForMs: number | null) => onPage({ ...totals, cursor: writeInboxCursor(position), pausedForMs });
  const io: InboxIo = {
    signal,
    onPause: (leftMs) => tell(leftMs),
    onCall() {
      totals.calls += 1;
    },
  };
  /** Marks the account. Answers true where another token has come meanwhile, so that it may go on. */
  const isRenewed = async (answer: Extract<Refusal, { kind: "blocked" }>): Promise<boolean> => {
    await judgeAnswers(dependencies, { accountId: account.id, sealedToken, probeOf: null, answers: [answer] });
    const again = await openAccess(dependencies, account);
    if (again.kind === "blocked" || again.sealedToken === sealedToken) return false;
    ({ access, sealedToken } = again);
    return true;
  };

  for (;;) {
    const { after, pageSize } = position;
    let askedAtMs = 0;
    const answer = await askInbox<{ readonly kind: "listed" } & ThreadPage>(
      dependencies,
      {
        ...{ access, about: "inbox", canShrink: pageSize > 1 },
        send: (stop) => {
          askedAtMs = clock.nowMs();
          return dependencies.graph.fetchThreads(access, { limit: pageSize, after }, stop);
        },
      },
      io,
    );
    switch (answer.kind) {
      case "stopped":
        return { kind: "stopped" };
      case "too_much":
        position = { ...position, pageSize: pageSteps.find((size) => size < pageSize) ?? 1 };
        [goodPages, growAfter] = [0, growAfter * 2];
        continue;
      case "blocked":
        if (await isRenewed(answer)) continue;
        return { kind: "blocked", reason: answer.reason };
      case "absent":
        return { kind: "failed", reason: "absent" };
      case "failed":
        if (after !== null && answer.reason === "bad_request" && restarts < restartsMax) {
          // All that is asked for is right on the first page, so it is the cursor: they die after a while.
          log.warn("Instagram takes the list's cursor no more: listing from the start again", context);
          restarts += 1;
          position = { ...position, after: null };
          Object.assign(totals, { listed: 0, named: 0, imported: 0 }); // counted again, each page once
          continue;
        }
        log.warn("The inbox cannot be listed", context, { reason: answer.reason, evidence: answer.evidence });
        return { kind: "failed", reason: answer.reason };
    }

    const page = readInboxPage(answer.threads, own);
    const people = [...page.people].map(([participantId, username]) => ({ participantId, username }));
    const named = { accountId: account.id, people, askedAtMs, namedReasons, startedAtMs: position.startedAtMs };
    const saved = await inbox.saveListedNames(named);
    const unknown = new Set(importMissing ? saved.missing : []);
    const missing = [...page.pairs].filter(([participantId]) => unknown.has(participantId));
    logOddities(log, page);
    let { hasGaps } = position;
    let imported = saved.imported;
    for (const [participantId, thread] of missing) {
      const about = { access, participantId, username: page.people.get(participantId) ?? null, thread };
      let end = await importThread(dependencies, about, io);
      if (end.kind === "blocked" && (await isRenewed(end.answer)))
        end = await importThread(dependencies, { ...about, access }, io);
      if (end.kind === "blocked") return { kind: "blocked", reason: end.answer.reason };
      if (end.kind === "stopped") return { kind: "stopped" };
      if (end.kind === "created") imported += 1;
      if (end.kind === "gap") hasGaps = true;
      await tell(null);
    }

    totals.listed += answer.threads.length;
    totals.named += people.filter(({ username }) => username !== null).length;
    totals.imported += imported;
    goodPages += 1;
    const grown = goodPages % growAfter === 0 ? pageSteps.findLast((size) => size > pageSize) : undefined;
    position = { ...position, hasGaps, after: answer.after, pageSize: grown ?? pageSize };
    const isKnown = saved.changed === 0 && missing.length === 0 && isOlder(page, knownBeforeMs);
    if (answer.after === null || isKnown) {
      await inbox.endListing(account.id, position.startedAtMs, importMissing && !hasGaps);
      await onPage({ ...totals, cursor: null, pausedForMs: null });
      return { kind: "done" };
    }
    if (answer.after === after) {
      log.warn("The inbox cannot be listed: its list leads back to the same page", context);
      return { kind: "failed", reason: "bad_answer" };
    }
    await tell(null);
  }
}

const context = "BulkNames";

/** Refusals that a name makes `username_only`: those of which the inbox may tell one at all. */
const namedReasons = Object.entries(lookupRules).flatMap(([reason, rule]) => (rule.asksForName ? [reason] : []));

type Opened =
  | { readonly kind: "open"; readonly access: AccountAccess; readonly sealedToken: string }
  | { readonly kind: "blocked"; readonly reason: BlockedReason };

async function openAccess(
  { accounts }: Pick<BulkNamesDependencies, "accounts">,
  { id, state, stateReason }: Account,
): Promise<Opened> {
  // Before anything is taken: the right to a probe is a lookup's.
  if (state !== "active") return { kind: "blocked", reason: readBlockedReason(stateReason) };
  const entry = await accounts.getAccess(id);
  if (entry.kind === "unknown") return { kind: "blocked", reason: "token_missing" };
  if (entry.kind === "parked") return { kind: "blocked", reason: readBlockedReason(entry.reason) };
  if (entry.probeOf !== null) return { kind: "blocked", reason: readBlockedReason(entry.probeOf.reason) };
  return { kind: "open", access: entry.access, sealedToken: entry.sealedToken };
}

/** Where an earlier run stopped; else the front of the list, from now on. */
function resume(cursor: string | null, { nowMs }: Listing): InboxPosition {
  const stored = cursor === null ? null : parseInboxCursor(cursor);
  return stored ?? { startedAtMs: nowMs, pageSize: pageSizeMax, hasGaps: false, after: null };
}

/** What changed before this was covered by an earlier listing; null: nothing was. */
function readKnownBefore(coveredAtMs: number | null, { startedAtMs }: InboxPosition): number | null {
  if (coveredAtMs === null || coveredAtMs < startedAtMs - listingTrustMs) return null;
  return coveredAtMs - clockMarginMs;
}

function isOlder({ newestAtMs }: InboxPage, beforeMs: number | null): boolean {
  return beforeMs !== null && newestAtMs !== null && newestAtMs > 0 && newestAtMs < beforeMs;
}

function readOwnNames({ id, pageId, username }: Account, listing: Listing): OwnNames {
  const ids = [id, pageId, listing.appScopedId].filter((one) => one !== null);
  return { ids: new Set<string>(ids), username: listing.username ?? username };
}

function logOddities(log: Pick<Log, "log">, { groups, hidden }: InboxPage): void {
  if (groups > 0) log.log(`${groups} group threads kept out: a conversation is with one person`, context, { groups });
  if (hidden > 0) log.log(`${hidden} threads kept out: the list does not tell who is in them`, context, { hidden });
}
