import { type AccountId, type ConversationId, conversationIdOf } from "../domain/ids.ts";
import { chunk } from "../lib/chunk.ts";
import type { Clock } from "../lib/clock.ts";
import type { Difference, Found } from "../repository/difference.ts";
import type { ListedEvent, ReplayRepository } from "../repository/replay.ts";
import type { Mark } from "../repository/replay-marks.ts";
import type { MessageCorrection, MessageKey } from "../repository/replay-messages.ts";
import { readStoredEvent } from "../webhook/read-stored-event.ts";
import { createSupposed, createTouched } from "./replay-memory.ts";
import { createReplayTally, type Outcome, type ReplayTally } from "./replay-tally.ts";

/** Events in one page: a statement of some milliseconds, and some megabytes of items in memory. */
export const eventsPageSize = 500;
/** Conversations that are compared in one statement, which reads all of their messages. */
export const conversationsPageSize = 200;
/**
 * How much later than a message an event of it may be received that happened before: Instagram sends again for 36
 * hours. Within so much of the retention's edge an event may be gone while a younger one of the same message stands.
 */
export const strayMaxMs = 2 * 86_400_000;

export type ReplayDependencies = {
  replays: Pick<
    ReplayRepository,
    | "getTimeMs"
    | "listEvents"
    | "compareMessages"
    | "saveMessages"
    | "keepLatestMarks"
    | "compareReactions"
    | "saveReactions"
    | "compareReads"
    | "saveReads"
    | "reactionKey"
    | "readKey"
    | "listConversationIds"
    | "compareConversations"
    | "saveConversations"
  >;
  clock: Pick<Clock, "monotonicMs">;
};

export type ReplayInput = {
  /** null: every account. */
  readonly accountId: AccountId | null;
  /** Only what events tell that were received since; null: all that are stored. */
  readonly sinceMs: number | null;
  readonly dryRun: boolean;
  /** How long the retention keeps events. */
  readonly retentionDays: number;
};

export type ReplayReport = ReplayTally & {
  readonly durationMs: number;
  readonly interrupted: boolean;
  /** False where a dry run met more differences than it can keep in mind: it would compare with messages it never wrote. */
  readonly conversationsCompared: boolean;
};

export type ReplayWatch = {
  readonly signal: AbortSignal;
  readonly onProgress: (tally: ReplayTally) => void;
  readonly onDifference: (difference: Difference, outcome: Outcome) => void;
};

/**
 * Derives messages, reactions, read receipts and conversations again from the stored events, tells every difference
 * and, where it is no dry run, corrects it. In pages, so that any number of events takes the same memory; idempotent,
 * and safe beside running daemons: a row that was written meanwhile stays as it is. Nothing is removed because its
 * event is gone. `signal` ends it after the page in hand. Throws `storage_unavailable` and `statement_refused`.
 */
export async function replay(
  { replays, clock }: ReplayDependencies,
  { accountId, sinceMs, dryRun, retentionDays }: ReplayInput,
  { signal, onProgress, onDifference }: ReplayWatch,
): Promise<ReplayReport> {
  const startedMs = clock.monotonicMs();
  const untilMs = await replays.getTimeMs();
  const between = { sinceMs, untilMs };
  const completeSinceMs = untilMs - retentionDays * dayMs + strayMaxMs;
  const tally = createReplayTally();
  const touched = createTouched();
  const supposed = createSupposed();
  /** Where the account speaks to itself: seldom more than one an account. */
  const selves = new Set<ConversationId>();

  /** Writes what was found, unless it is a dry run, and tells each difference with what became of it. */
  const settle = async <C>(
    found: readonly Found<C>[],
    save: (corrections: readonly C[]) => Promise<(correction: C) => boolean>,
  ) => {
    if (found.length === 0) return;
    const isWritten = dryRun ? null : await save(found.map(({ correction }) => correction));
    for (const { difference, correction } of found) {
      const outcome = isWritten === null ? "found" : isWritten(correction) ? "corrected" : "changed_meanwhile";
      tally.count(difference, outcome);
      onDifference(difference, outcome);
    }
  };

  const replayMessages = async (page: readonly ListedEvent[]) => {
    const about = page.filter(({ kind }) => messageKinds.includes(kind));
    const { checked, found, ...told } = await replays.compareMessages(
      keysOf(about),
      new Set(about.map(({ accountId: account, eventKey }) => `${account} ${eventKey}`)),
      { between, completeSinceMs, read: readStoredEvent },
    );
    tally.check("messages", checked);
    tally.refuse(told.unreadable);
    for (const id of told.selves) selves.add(id);
    for (const { accountId: account, participantId } of about)
      if (participantId !== null) touched.add(conversationIdOf(account, participantId));
    for (const { correction } of found) {
      touched.add(correction.conversation_id);
      if (correction.wasIn !== null) touched.add(correction.wasIn);
      if (dryRun) supposed.add(correction);
    }
    await settle(found, async (corrections) => {
      const written = new Set((await replays.saveMessages(corrections)).map(nameOf));
      return ({ account_id: account, mid }: MessageCorrection) => written.has(`${account} ${mid}`);
    });
  };

  const replayMarks = async (marks: readonly Mark[]) => {
    if (marks.length === 0) return;
    tally.check("reactions", marks.filter(({ kind }) => kind === "reaction").length);
    tally.check("read_receipts", marks.filter(({ kind }) => kind === "read").length);
    await settle(await replays.compareReactions(marks), async (rows) => {
      const written = await replays.saveReactions(rows);
      return (row) => written.has(replays.reactionKey(row));
    });
    await settle(await replays.compareReads(marks), async (rows) => {
      const written = await replays.saveReads(rows);
      return (row) => written.has(replays.readKey(row));
    });
  };

  const replayConversations = async (ids: readonly ConversationId[]) => {
    tally.check("conversations", ids.length);
    const found = await replays.compareConversations(ids, selves, supposed.listOf(ids));
    await settle(found, async (corrections) => {
      const written = await replays.saveConversations(corrections);
      return ({ id }) => written.has(id);
    });
    onProgress(tally.state());
  };

  let last: ListedEvent | null = null;
  let waiting: Mark[] = []; // the latest of the rows that the next page may tell more of
  while (!signal.aborted) {
    const page: readonly ListedEvent[] = await replays.listEvents({ accountId, ...between }, last, eventsPageSize);
    last = page.at(-1) ?? null;
    if (last === null) break;
    await replayMessages(page);
    const { marks, unreadable } = readMarks(page);
    tally.refuse(unreadable);
    const latest = replays.keepLatestMarks([...waiting, ...marks]);
    const openGroup = groupOf(last);
    waiting = latest.filter((mark) => groupOf(mark) === openGroup);
    await replayMarks(latest.filter((mark) => groupOf(mark) !== openGroup));
    tally.read(page.length);
    onProgress(tally.state());
  }
  await replayMarks(waiting);

  const conversationsCompared = !(dryRun && supposed.overflowed());
  const ids = touchedIds();
  for await (const page of conversationsCompared ? ids : []) {
    if (signal.aborted) break;
    await replayConversations(page);
  }
  return {
    ...tally.state(),
    durationMs: Math.round(clock.monotonicMs() - startedMs),
    interrupted: signal.aborted,
    conversationsCompared,
  };

  /**
   * The conversations in scope, in pages. With `sinceMs` those that the events touched, as long as they can be kept in
   * mind; else every one that has messages, and those that a dry run would have made.
   */
  async function* touchedIds(): AsyncGenerator<readonly ConversationId[]> {
    if (sinceMs !== null && !touched.overflowed()) {
      yield* chunk(touched.list(), conversationsPageSize);
      return;
    }
    const first = supposed.conversations();
    yield* chunk(first, conversationsPageSize);
    const seen = new Set(first);
    for (let after: ConversationId | null = null; !signal.aborted; ) {
      const page: readonly ConversationId[] = await replays.listConversationIds(
        accountId,
        after,
        conversationsPageSize,
      );
      after = page.at(-1) ?? null;
      if (after === null) return;
      yield page.filter((id) => !seen.has(id));
    }
  }
}

const dayMs = 86_400_000;
const messageKinds: readonly string[] = ["message", "postback", "deletion", "edit"];
const nameOf = ({ accountId, mid }: MessageKey) => `${accountId} ${mid}`;
/** Events about one row, or one message's rows, stand side by side in key order: they share all but the last part. */
const groupOf = ({ accountId, eventKey }: Pick<ListedEvent, "accountId" | "eventKey">) =>
  `${accountId} ${eventKey.slice(0, eventKey.lastIndexOf(":"))}`;

function keysOf(page: readonly ListedEvent[]): MessageKey[] {
  const keys = new Map<string, MessageKey>();
  for (const { accountId, mid } of page) if (mid !== null) keys.set(`${accountId} ${mid}`, { accountId, mid });
  return [...keys.values()];
}

function readMarks(page: readonly ListedEvent[]): { marks: Mark[]; unreadable: string[] } {
  const marks: Mark[] = [];
  const unreadable: string[] = [];
  for (const { raw, ...row } of page) {
    if (raw === null) continue;
    const event = readStoredEvent({ ...row, raw });
    if (typeof event === "string") unreadable.push(event);
    else if (event.kind === "reaction" || event.kind === "read") marks.push(event);
  }
  return { marks, unreadable };
}
