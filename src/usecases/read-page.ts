import type { Account } from "../domain/account.ts";
import { type ParticipantId, parseParticipantId } from "../domain/ids.ts";
import type { Thread, ThreadPerson } from "../domain/thread.ts";
import type { Log } from "../lib/log.ts";
import type { Listing } from "../repository/inbox.ts";

/** What the account itself may be called in a list of threads; grows as lists show more. */
export type OwnNames = { readonly ids: Set<string>; readonly username: string | null };

/** One page of the list, seen from the account. */
export type InboxPage = {
  /** Everybody in it but the account, each once. */
  readonly people: ReadonlyMap<ParticipantId, string | null>;
  /** The threads with one person, by person. */
  readonly pairs: ReadonlyMap<ParticipantId, Thread>;
  /** Threads with several people: Instagram's inbox is one-to-one (meta-platform.md §7.2), and so are conversations. */
  readonly groups: number;
  /** Threads whose people the list does not tell. */
  readonly hidden: number;
  /** When the latest of its threads last changed; null where one does not say. */
  readonly newestAtMs: number | null;
};

/**
 * Parts the people of a page from the account, which may stand there under its Instagram id, its Page's, an app-scoped one
 * or, where none of these is known, under an id that is in every thread (§7.1). Pure but for `own`, which learns.
 */
export function readInboxPage(threads: readonly Thread[], own: OwnNames): InboxPage {
  learnOwnId(threads, own);
  const people = new Map<ParticipantId, string | null>();
  const pairs = new Map<ParticipantId, Thread>();
  let [groups, hidden] = [0, 0];
  for (const thread of threads) {
    if (thread.people.length === 0) hidden += 1;
    const others = othersOf(thread, own);
    for (const { participantId, username } of others) {
      if (username !== null || !people.has(participantId)) people.set(participantId, username);
    }
    const [first, second] = others;
    if (second !== undefined) groups += 1;
    else if (first !== undefined && !pairs.has(first.participantId)) pairs.set(first.participantId, thread);
  }
  const times = threads.map(({ updatedAtMs }) => updatedAtMs);
  const told = times.filter((atMs) => atMs !== null);
  return { people, pairs, groups, hidden, newestAtMs: told.length < times.length ? null : Math.max(0, ...told) };
}

function othersOf(thread: Thread, own: OwnNames) {
  const byId = new Map<ParticipantId, ThreadPerson>();
  for (const person of thread.people) {
    const participantId = parseParticipantId(person.id);
    if (participantId !== null && !own.ids.has(person.id)) byId.set(participantId, person);
  }
  const all = [...byId].map(([participantId, { username }]) => ({ participantId, username }));
  if (all.length < 2 || own.username === null) return all;
  const ownUsername = own.username.toLowerCase();
  return all.filter(({ username }) => username?.toLowerCase() !== ownUsername);
}

/** A customer has one thread; who is in all of several is the account, by whatever id. */
function learnOwnId(threads: readonly Thread[], own: OwnNames): void {
  const shown = threads.filter(({ people }) => people.length > 1);
  const [first, ...rest] = shown;
  if (first === undefined || rest.length === 0) return;
  if (shown.some(({ people }) => people.some(({ id }) => own.ids.has(id)))) return;
  const everywhere = first.people.filter(({ id }) => rest.every(({ people }) => people.some((one) => one.id === id)));
  const [only, another] = everywhere;
  if (only !== undefined && another === undefined) own.ids.add(only.id);
}

/** What the account is known to be called before any page was read. */
export function readOwnNames({ id, pageId, username }: Account, listing: Listing): OwnNames {
  const ids = [id, pageId, listing.appScopedId].filter((one) => one !== null);
  return { ids: new Set<string>(ids), username: listing.username ?? username };
}

/** Says what of a page becomes no conversation. */
export function logOddities(log: Pick<Log, "log">, { groups, hidden }: InboxPage): void {
  if (groups > 0)
    log.log(`${groups} group threads kept out: a conversation is with one person`, "BulkNames", { groups });
  if (hidden > 0) log.log(`${hidden} threads kept out: the list does not tell who is in them`, "BulkNames", { hidden });
}
