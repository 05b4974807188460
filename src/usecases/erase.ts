import type { ProfileCache } from "../cache/profile-cache.ts";
import { SyncError } from "../domain/error.ts";
import type { AccountId, ParticipantId } from "../domain/ids.ts";
import { chunk } from "../lib/chunk.ts";
import { type Clock, wait } from "../lib/clock.ts";
import type { Erased, ErasedKey, ErasuresRepository, Stretch } from "../repository/erasures.ts";
import { pauseMs, removedMax, stretchBlocks } from "./retention.ts";

/** People of one pass over the raw events. */
export const peoplePerPass = 1_000;
/** People with their accounts of one statement. */
export const keysPerStatement = 500;
/** Bodies of the quarantine that are read at once: 16 MB at most. */
export const quarantinePage = 4;
/** Whoever writes is waited for so long: a webhook's statement takes a second at most, the longest batch of all ten. */
export const writersLastMs = 30_000;
/** A lookup that is under way is waited for until its lease has run out, whoever held it, and so much longer. */
const afterLeaseMs = 5_000;
/** How often both are asked after. */
const pollMs = 50;

export type EraseDependencies = {
  erasures: Omit<ErasuresRepository, "listErased">;
  cache: Pick<ProfileCache, "deleteProfiles">;
  clock: Pick<Clock, "after" | "monotonicMs">;
};

export type EraseInput = {
  readonly people: readonly ParticipantId[];
  /** null: from every account. */
  readonly accountId: AccountId | null;
};

export type EraseCounts = {
  conversations: number;
  messages: number;
  reactions: number;
  reads: number;
  names: number;
  events: number;
  quarantined: number;
};

export type EraseReport = {
  readonly removed: Readonly<EraseCounts>;
  /** False where the cache did not answer: what it holds ends by itself within a day, or by erasing again. */
  readonly cacheCleared: boolean;
  readonly interrupted: boolean;
};

/**
 * Takes people out of every table and the cache, and marks them, so that nothing of before comes back: not by a webhook
 * that is sent again or waited in a spool, not by a replay, not by a backfill, not by a lookup that was under way. What
 * they do later is new. In batches, idempotent, beside running daemons; `signal` ends it after the batch in hand, and
 * the marks stand from the first statement on. Throws `storage_unavailable`.
 */
export async function erase(
  { erasures, cache, clock }: EraseDependencies,
  { people, accountId }: EraseInput,
  signal: AbortSignal,
): Promise<EraseReport> {
  const removed = { conversations: 0, messages: 0, reactions: 0, reads: 0, names: 0, events: 0, quarantined: 0 };
  const pause = () => wait(clock, pauseMs, signal);

  /** Until every statement has ended that may have begun before the marks were there. */
  const outlastWriters = async (): Promise<void> => {
    const endMs = clock.monotonicMs() + writersLastMs;
    let left = await erasures.listWriters();
    while (left.size > 0 && !signal.aborted) {
      if (clock.monotonicMs() > endMs)
        throw new SyncError(
          "storage_unavailable",
          `Cannot finish the erasure: another session has been writing for ${writersLastMs / 1000} s (run it again)`,
        );
      await wait(clock, pollMs, signal);
      left = left.intersection(await erasures.listWriters());
    }
  };

  const eraseConversations = async (keys: readonly ErasedKey[]): Promise<void> => {
    const endMs = clock.monotonicMs() + erasures.lookupLeaseMs + afterLeaseMs;
    while (!signal.aborted) {
      const isLate = clock.monotonicMs() > endMs;
      const step = await erasures.eraseConversations(keys, isLate);
      removed.conversations += step.removed;
      if (step.left === 0 || isLate) return;
      await wait(clock, pollMs, signal);
    }
  };

  const eraseMessages = async (keys: readonly ErasedKey[]): Promise<void> => {
    while (!signal.aborted) {
      const step = await erasures.eraseMessages(keys, removedMax);
      removed.messages += step.messages;
      removed.reactions += step.reactions;
      if (step.messages < removedMax) return;
      await pause();
    }
  };

  /** One pass over a table that has no index to find people by. */
  const walk = async (step: (stretch: Stretch) => Promise<{ removed: number; blocks: number }>): Promise<void> => {
    let from = 0;
    while (!signal.aborted) {
      const done = await step({ from, blocks: stretchBlocks, rowsMax: removedMax });
      // A full batch may have left some in its stretch: the same one again.
      if (done.removed < removedMax) from += stretchBlocks;
      if (from >= done.blocks) return;
      await pause();
    }
  };

  const erasePass = async (erased: readonly Erased[]): Promise<void> => {
    const accounts = accountId === null ? await erasures.listAccountIds() : [accountId];
    const all = accounts.flatMap((account) => erased.map((one) => ({ ...one, accountId: account })));
    for (const keys of chunk(all, keysPerStatement)) {
      if (signal.aborted) return;
      await eraseConversations(keys);
      await eraseMessages(keys);
      const { reads, names } = await erasures.eraseMarks(keys);
      removed.reads += reads;
      removed.names += names;
    }
    await walk(async (stretch) => {
      const { events, reactions, blocks } = await erasures.eraseEvents(erased, accountId, stretch);
      removed.events += events;
      removed.reactions += reactions;
      return { removed: events, blocks };
    });
    await walk(async (stretch) => {
      const { reactions, blocks } = await erasures.eraseReactions(erased, accountId, stretch);
      removed.reactions += reactions;
      return { removed: reactions, blocks };
    });
  };

  const eraseQuarantine = async (): Promise<void> => {
    const wanted = new Set<string>(people);
    for (let after: string | null = null; !signal.aborted; ) {
      const step = await erasures.eraseQuarantine(wanted, after, quarantinePage);
      removed.quarantined += step.removed;
      after = step.last;
      if (after === null) return;
    }
  };

  const marked: Erased[] = [];
  for (const some of chunk(people, peoplePerPass)) marked.push(...(await erasures.saveErasures(some, accountId)));
  await outlastWriters();
  for (const erased of chunk(marked, peoplePerPass)) if (!signal.aborted) await erasePass(erased);
  // A body that mentions them may have been set aside for as long as they had a conversation.
  await outlastWriters();
  await eraseQuarantine();
  const cacheCleared = await cache.deleteProfiles(people);
  return { removed, cacheCleared, interrupted: signal.aborted };
}
