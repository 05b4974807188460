import type { Account } from "../domain/account.ts";
import { lookupRules } from "../domain/lookup-rules.ts";
import type { BlockedReason, FailureReason } from "../domain/profile.ts";
import type { NamesTotals, RunHold } from "../domain/run.ts";
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
import { isOlder, readKnownBefore } from "./known-listing.ts";
import { createNamesBuffer } from "./names-buffer.ts";
import { createNamesSaver, nothingSaved, type PagesSaved } from "./names-saver.ts";
import { openInbox } from "./open-inbox.ts";
import { logOddities, readInboxPage, readOwnNames } from "./read-page.ts";

/** Threads asked for where more are "too much data" (meta-platform.md §7.2). */
const pageSteps = [pageSizeMax, 25, 10, 3, 1];
/** Pages in a row that go well before the next larger one is tried; doubles each time that was too early. */
export const growAfterPages = 3;
/** Expired cursors that a run survives: each costs the whole list again. */
export const restartsMax = 2;

/**
 * Running totals; a page counts with the cursor behind it, so a run that goes on from a cursor adds up. `named`: people
 * whose username the list told, new or not. `imported`: conversations that the listing created.
 */
export type BulkPage = NamesTotals & {
  /** Where a resumed run goes on, for nobody else to read; null: at the end. */
  readonly cursor: string | null;
  readonly pausedForMs: number | null;
  /** The run's row does not have the cursor yet. */
  readonly unsaved: boolean;
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
    clock: Pick<Clock, "after" | "random" | "nowMs" | "monotonicMs">;
    log: Log;
  };

export type BulkNamesInput = {
  readonly account: Account;
  /** Creates the conversations that Instagram lists and nobody has told of. */
  readonly importMissing: boolean;
  readonly cursor: string | null;
  readonly totals: NamesTotals;
  /** The run that this is part of: totals and cursor go into its row with the names, and no names without it. */
  readonly run: RunHold | null;
};
export type BulkNamesIo = { readonly signal: AbortSignal; readonly onPage: (page: BulkPage) => Promise<void> };

/**
 * Reads the account's inbox page by page, newest thread first, and saves the usernames of everybody in it: 50 a call. A long
 * list is read on while pages are saved; it holds 50 at most. `onPage` hears of pages once they are saved, of each call of an import and, once a second, of a pause.
 *
 * It stops at what is known. The list is newest first, so all that stands behind a page is older than it. Once a listing
 * has gone to the end (or to what was known), it is noted when it began. A later one ends at the first pages that were saved
 * together and of which all is true: each of its threads last changed a minute or more before that noted moment; saving it changed no name and no
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
  const { account, importMissing, run } = input;
  const opened = await openInbox(dependencies.accounts, account);
  if (opened.kind === "blocked") return opened;
  let { access, sealedToken } = opened;
  const listing = await inbox.getListing(account.id);
  if (listing === null) return { kind: "blocked", reason: "token_missing" };

  const totals = { ...input.totals };
  let position = resume(input.cursor, listing);
  const knownBeforeMs = readKnownBefore(importMissing ? listing.importListedAtMs : listing.listedAtMs, position);
  const own = readOwnNames(account, listing);
  let [goodPages, growAfter, restarts] = [0, growAfterPages, 0];
  const buffer = createNamesBuffer(clock, { single: importMissing });
  // What is told is what is saved: a run that goes on from a cursor must not count its pages twice.
  let told: Omit<BulkPage, "pausedForMs" | "unsaved"> = { ...totals, cursor: writeInboxCursor(position) };
  const tell = (pausedForMs: number | null, unsaved = false) =>
    onPage({ ...told, calls: totals.calls, pausedForMs, unsaved });
  /** Marks the account. Answers true where another token has come meanwhile, so that it may go on. */
  const isRenewed = async (answer: Extract<Refusal, { kind: "blocked" }>): Promise<boolean> => {
    await judgeAnswers(dependencies, { accountId: account.id, sealedToken, probeOf: null, answers: [answer] });
    const again = await openInbox(dependencies.accounts, account);
    if (again.kind === "blocked" || again.sealedToken === sealedToken) return false;
    ({ access, sealedToken } = again);
    return true;
  };

  /** Saves what was read, and creates the conversations that are missing. */
  const saveRead = async (): Promise<BulkEnd | PagesSaved> => {
    const at = position;
    const read = buffer.take();
    if (read === null) return nothingSaved;
    const { people, askedAtMs } = read;
    const named = totals.named + people.filter(({ username }) => username !== null).length;
    const counted = { calls: totals.calls, listed: totals.listed + read.listed, named, imported: totals.imported };
    // An import moves on once its conversations are there, which the names alone do not tell.
    const withRun = run !== null && !importMissing;
    const place = withRun ? { ...run, cursor: writeInboxCursor(at), names: counted } : null;
    const names = { accountId: account.id, people, askedAtMs, namedReasons, startedAtMs: at.startedAtMs };
    const saved = await inbox.saveListedNames({ ...names, place });
    if (saved.lost) return { kind: "stopped" };
    const missing = importMissing ? saved.missing : [];
    let imported = saved.imported;
    for (const participantId of missing) {
      const thread = read.pairs.get(participantId);
      if (thread === undefined) continue; // only groups have them
      const username = people.find((one) => one.participantId === participantId)?.username ?? null;
      const about = { participantId, username, thread };
      let end = await importThread(dependencies, { ...about, access }, io);
      if (end.kind === "blocked" && (await isRenewed(end.answer)))
        end = await importThread(dependencies, { ...about, access }, io);
      if (end.kind === "blocked") return { kind: "blocked", reason: end.answer.reason };
      if (end.kind === "stopped") return { kind: "stopped" };
      if (end.kind === "created") imported += 1;
      if (end.kind === "gap") position = { ...position, hasGaps: true };
      await tell(null);
    }
    Object.assign(totals, { ...counted, calls: totals.calls, imported: totals.imported + imported });
    told = { ...totals, cursor: writeInboxCursor({ ...at, hasGaps: position.hasGaps }) };
    await tell(null, !withRun);
    const known = saved.changed === 0 && missing.length === 0 && isOlder(read.newestAtMs, knownBeforeMs);
    return { kind: "saved", known };
  };
  const saver = createNamesSaver(buffer, saveRead);
  const io: InboxIo = {
    signal: AbortSignal.any([signal, saver.failed]),
    async onPause(leftMs) {
      await saver.quiet(); // calls that are told before their pages let a beat of the run take the pages back
      await tell(leftMs);
    },
    onCall() {
      totals.calls += 1;
    },
  };

  const list = async (): Promise<BulkEnd> => {
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
            await saver.save();
            restarts += 1;
            position = { ...position, after: null };
            Object.assign(totals, { listed: 0, named: 0, imported: 0 }); // counted again, each page once
            told = { ...totals, cursor: writeInboxCursor(position) };
            continue;
          }
          log.warn("The inbox cannot be listed", context, { reason: answer.reason, evidence: answer.evidence });
          return { kind: "failed", reason: answer.reason };
      }

      const page = readInboxPage(answer.threads, own);
      logOddities(log, page);
      // What may be known is saved by itself, so that what is new before it does not hide it.
      const older = isOlder(page.newestAtMs, knownBeforeMs);
      const before = older ? await saver.save() : null;
      if (before !== null && before.kind !== "saved") return before;
      buffer.add(page, { threads: answer.threads.length, atMs: askedAtMs });
      goodPages += 1;
      const grown = goodPages % growAfter === 0 ? pageSteps.findLast((size) => size > pageSize) : undefined;
      position = { ...position, after: answer.after, pageSize: grown ?? pageSize };
      const looped = answer.after !== null && answer.after === after;
      const goesOn = answer.after !== null && !looped && !older;
      const saved = await (goesOn ? saver.saveDue() : saver.save());
      if (saved.kind !== "saved") return saved;
      if (answer.after === null || saved.known) {
        await inbox.endListing(account.id, position.startedAtMs, importMissing && !position.hasGaps);
        told = { ...totals, cursor: null };
        await tell(null, true);
        return { kind: "done" };
      }
      if (looped) {
        log.warn("The inbox cannot be listed: its list leads back to the same page", context);
        return { kind: "failed", reason: "bad_answer" };
      }
    }
  };
  const end = await list().finally(saver.quiet);
  if (end.kind !== "done") await saver.save(); // what was read before is kept
  return end;
}

const context = "BulkNames";

/** Refusals that a name makes `username_only`: those of which the inbox may tell one at all. */
const namedReasons = Object.entries(lookupRules).flatMap(([reason, rule]) => (rule.asksForName ? [reason] : []));

/** Where an earlier run stopped; else the front of the list, from now on. */
function resume(cursor: string | null, { nowMs }: Listing): InboxPosition {
  const stored = cursor === null ? null : parseInboxCursor(cursor);
  return stored ?? { startedAtMs: nowMs, pageSize: pageSizeMax, hasGaps: false, after: null };
}
