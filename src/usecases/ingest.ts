import { SyncError } from "../domain/error.ts";
import type { InboundEvent, Quarantined } from "../domain/event.ts";
import { type ConversationId, conversationIdOf } from "../domain/ids.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { EventsRepository, SavedEvents } from "../repository/events.ts";
import { parseWebhook } from "../webhook/parse-webhook.ts";
import { verifySignature } from "../webhook/verify-signature.ts";

/** Events of one commit: more would hold its rows' locks long; a full delivery of Meta's has up to 1,000. */
export const eventsPerCommitMax = 2_000;
/** Posts that may wait for their commit. Beyond that Meta is told to come again, before memory grows without bound. */
export const postsWaitingMax = 4_096;
/** Bytes of bodies that may wait, for the same reason: some few deliveries are megabytes. */
export const bytesWaitingMax = 64 * 1024 * 1024;
/** Commits under way at once: while Postgres flushes one, the posts read meanwhile are on their way. A third only makes them smaller. */
export const commitsInFlightMax = 2;
/** One statement of a commit, in ms. */
export const statementBoundMs = 1_000;
/** All statements of a commit together. A post waits for the commit under way and then for its own: 3 s at most (spec §3). */
export const commitBoundMs = 1_500;

export type IngestDependencies = {
  events: Pick<EventsRepository, "saveEvents" | "saveQuarantine">;
  /** Told after the commit and never awaited: people who want a lookup. */
  onWanted: (ids: readonly ConversationId[]) => void;
  clock: Pick<Clock, "nowMs" | "monotonicMs" | "soon">;
  log: Log;
};

export type IngestOptions = { appSecrets: readonly string[] };

/** What a delivery came to. `unavailable`: nothing was kept, let it be sent again. */
export type Receipt = "kept" | "unsigned" | "unavailable";

type Post = {
  readonly events: readonly InboundEvent[];
  readonly quarantined: readonly Quarantined[];
  readonly bytes: number;
  readonly settle: (receipt: Receipt) => void;
};

export type Ingest = ReturnType<typeof createIngest>;

/**
 * Makes the way in: verify the bytes, read them, store them, and only then say `kept`. Posts of one turn of the event
 * loop share a commit, and so do posts that wait for one. No Graph, cache or queue call stands in between.
 */
export function createIngest({ events, onWanted, clock, log }: IngestDependencies, { appSecrets }: IngestOptions) {
  let waiting: Post[] = [];
  let bytesWaiting = 0;
  let commitsInFlight = 0;
  let scheduled = false;

  /** Commits what waits, again and again until nothing does. Never rejects. */
  const commitAll = async () => {
    scheduled = false;
    commitsInFlight += 1;
    while (waiting.length > 0) await commit(takeBatch());
    commitsInFlight -= 1;
  };

  const takeBatch = (): Post[] => {
    let events = 0;
    let count = 0;
    for (const post of waiting) {
      events += post.events.length;
      if (count > 0 && events > eventsPerCommitMax) break;
      count += 1;
    }
    const batch = waiting.slice(0, count);
    waiting = waiting.slice(count);
    for (const post of batch) bytesWaiting -= post.bytes;
    return batch;
  };

  /** Stores these posts together; where a row is refused, each half by itself, down to the row that is at fault. */
  const commit = async (posts: readonly Post[]): Promise<void> => {
    const endMs = clock.monotonicMs() + commitBoundMs;
    try {
      const quarantined = posts.flatMap((post) => post.quarantined);
      if (quarantined.length > 0) await events.saveQuarantine(quarantined, leftUntil(endMs));
      await storeEvents(
        posts.flatMap((post) => post.events),
        endMs,
      );
    } catch (error) {
      log.error("Webhook not stored, Instagram will send it again", context, {
        posts: posts.length,
        reason: reasonOf(error),
      });
      for (const post of posts) post.settle("unavailable");
      return;
    }
    for (const post of posts) post.settle("kept");
  };

  const leftUntil = (endMs: number): number => {
    const leftMs = Math.min(statementBoundMs, endMs - clock.monotonicMs());
    if (leftMs > 0) return leftMs;
    throw new SyncError("storage_unavailable", "Cannot store the messages: the database is too slow");
  };

  const storeEvents = async (batch: readonly InboundEvent[], endMs: number): Promise<void> => {
    if (batch.length === 0) return;
    try {
      const saved = await events.saveEvents(batch, leftUntil(endMs));
      logStored(batch, saved);
      if (saved.wanted.length > 0) onWanted(saved.wanted);
    } catch (error) {
      if (!(error instanceof SyncError) || error.code !== "statement_refused") throw error;
      if (batch.length === 1) {
        const raw = Buffer.from(batch[0]?.raw ?? "", "utf8");
        log.warn("Webhook item set aside: Postgres refused its row", context, { reason: reasonOf(error) });
        await events.saveQuarantine([{ reason: "row_refused", raw }], leftUntil(endMs));
        return;
      }
      const middle = Math.ceil(batch.length / 2);
      await storeEvents(batch.slice(0, middle), endMs);
      await storeEvents(batch.slice(middle), endMs);
    }
  };

  const logStored = (batch: readonly InboundEvent[], saved: SavedEvents): void => {
    // Nearly always everything was new: only else is it worth telling which was.
    const skipped =
      saved.inserted === batch.length ? null : new Set(saved.known.map(([account, key]) => `${account} ${key}`));
    for (const event of batch) {
      if (event.kind !== "message" && event.kind !== "postback") continue;
      if (skipped !== null) {
        const key = `${event.accountId} ${event.eventKey}`;
        if (skipped.has(key)) continue;
        skipped.add(key);
      }
      const conversationId = conversationIdOf(event.accountId, event.participantId);
      log.log("Message processed", context, { conversationId, messageId: event.mid });
    }
  };

  return {
    /** Takes one delivery. Answers once it is committed, or refused. Never rejects. */
    receive(body: Uint8Array, signature: string | null): Promise<Receipt> {
      if (!verifySignature(body, signature, appSecrets)) return Promise.resolve("unsigned");
      if (waiting.length >= postsWaitingMax || bytesWaiting + body.length > bytesWaitingMax)
        return Promise.resolve("unavailable");
      const { events, quarantined } = parseWebhook(body, clock.nowMs());
      if (quarantined.length > 0)
        log.warn("Webhook item set aside", context, { reasons: [...new Set(quarantined.map((item) => item.reason))] });
      const receipt = Promise.withResolvers<Receipt>();
      waiting.push({ events, quarantined, bytes: body.length, settle: receipt.resolve });
      bytesWaiting += body.length;
      if (!scheduled && commitsInFlight < commitsInFlightMax) {
        scheduled = true;
        // Not at once: posts of one burst are read one after the other, and the first shall not go alone.
        clock.soon(() => void commitAll());
      }
      return receipt.promise;
    },
    /** Posts that wait for their commit now. */
    depth: () => waiting.length,
  };
}

const context = "WebhookMessageHandler";

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
