import type { ParticipantId } from "../domain/ids.ts";
import type { Thread } from "../domain/thread.ts";
import type { Clock } from "../lib/clock.ts";
import type { InboxPage } from "./read-page.ts";

/** Pages whose names one statement saves at most. */
export const pagesMax = 25;
/** Pages that are read meanwhile: with those being saved 50, so many calls a crash makes good again. */
export const aheadMax = 25;
/** Read pages wait no longer than this: at Instagram's pace that is four of them. */
const waitMsMax = 2_000;

/** Several pages of the list as one. */
export type ReadPages = {
  readonly people: readonly { readonly participantId: ParticipantId; readonly username: string | null }[];
  readonly pairs: ReadonlyMap<ParticipantId, Thread>;
  /** Threads in them. */
  readonly listed: number;
  /** When the first was asked for: nothing in them is younger. */
  readonly askedAtMs: number;
  /** When the latest of their threads last changed; null where one does not say. */
  readonly newestAtMs: number | null;
};

/**
 * Gathers pages until it is worth a statement: one at first, since the list may be known already, then twice as many
 * each time. `single`: each page by itself.
 */
export function createNamesBuffer(clock: Pick<Clock, "monotonicMs">, { single }: { readonly single: boolean }) {
  let dueAt = 1;
  let takenAtMs = clock.monotonicMs();
  let pages = 0;
  let listed = 0;
  let askedAtMs = Number.POSITIVE_INFINITY;
  let newestAtMs: number | null = 0;
  let people = new Map<ParticipantId, string | null>();
  let pairs = new Map<ParticipantId, Thread>();
  return {
    add(page: InboxPage, { threads, atMs }: { readonly threads: number; readonly atMs: number }): void {
      pages += 1;
      listed += threads;
      askedAtMs = Math.min(askedAtMs, atMs);
      newestAtMs = newestAtMs === null || page.newestAtMs === null ? null : Math.max(newestAtMs, page.newestAtMs);
      // The list is newest first: what it told of a person first is the latest.
      for (const [id, username] of page.people) people.set(id, people.get(id) ?? username);
      for (const [id, thread] of page.pairs) if (!pairs.has(id)) pairs.set(id, thread);
    },
    isDue: (): boolean => pages >= dueAt || clock.monotonicMs() - takenAtMs >= waitMsMax,
    /** So many pages wait that no more may be read beside a save. */
    isAhead: (): boolean => pages >= aheadMax,
    /** The list is long: what is read while pages are saved is hardly in vain. */
    isLong: (): boolean => dueAt === pagesMax,
    /** Hands the pages over; null: there are none. */
    take(): ReadPages | null {
      if (pages === 0) return null;
      const all = [...people].map(([participantId, username]) => ({ participantId, username }));
      const read = { people: all, pairs, listed, askedAtMs, newestAtMs };
      if (!single) dueAt = Math.min(dueAt * 2, pagesMax);
      [pages, listed, askedAtMs, newestAtMs] = [0, 0, Number.POSITIVE_INFINITY, 0];
      [people, pairs] = [new Map(), new Map()];
      takenAtMs = clock.monotonicMs();
      return read;
    },
  };
}
