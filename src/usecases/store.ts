import { SyncError } from "../domain/error.ts";
import type { InboundEvent, Quarantined } from "../domain/event.ts";
import { type ConversationId, conversationIdOf } from "../domain/ids.ts";
import type { Clock } from "../lib/clock.ts";
import { passFaultPoint } from "../lib/fault-point.ts";
import type { Log } from "../lib/log.ts";
import type { EventsRepository, SavedEvents } from "../repository/events.ts";
import type { ParsedWebhook } from "../webhook/parse-webhook.ts";
import type { Dispatcher } from "./dispatch.ts";

export type StoreDependencies = {
  events: Pick<EventsRepository, "saveEvents" | "saveQuarantine">;
  /** Told after the commit and never awaited: people who want a lookup. */
  lookups: Pick<Dispatcher, "hasRoomFor" | "takeUp" | "wake" | "wakeLost">;
  /** Told how many items and bodies were set aside. */
  onQuarantined: (items: number) => void;
  clock: Pick<Clock, "monotonicMs">;
  log: Log;
};

/** How long one statement may take, and all of them together, in ms. */
export type StoreBounds = { readonly statementMs: number; readonly allMs: number };

export type Store = ReturnType<typeof createStore>;

/** Makes the one way into the tables, for deliveries that come and for those that waited in the spool. */
export function createStore({ events, lookups, onQuarantined, clock, log }: StoreDependencies) {
  /**
   * Stores deliveries in one commit; where a row is refused, each half by itself, down to the row that is at fault,
   * which is set aside. Throws `storage_unavailable` where not all of it is stored within the bounds.
   */
  async function store(deliveries: readonly ParsedWebhook[], bounds: StoreBounds): Promise<void> {
    const endMs = clock.monotonicMs() + bounds.allMs;
    const leftMs = (): number => {
      const left = Math.min(bounds.statementMs, endMs - clock.monotonicMs());
      if (left > 0) return left;
      throw new SyncError("storage_unavailable", "Cannot store the messages: the database is too slow");
    };
    passFaultPoint("commit");
    const quarantined = deliveries.flatMap((delivery) => delivery.quarantined);
    if (quarantined.length > 0) await setAside(quarantined, leftMs());
    await storeEvents(
      deliveries.flatMap((delivery) => delivery.events),
      leftMs,
    );
    passFaultPoint("committed");
  }

  const setAside = async (items: readonly Quarantined[], boundMs: number): Promise<void> => {
    await events.saveQuarantine(items, boundMs);
    onQuarantined(items.length);
  };

  const storeEvents = async (batch: readonly InboundEvent[], leftMs: () => number): Promise<void> => {
    if (batch.length === 0) return;
    const lease = lookups.hasRoomFor(batch.length);
    try {
      const saved = await events.saveEvents(batch, leftMs(), lease);
      logStored(batch, saved);
      if (saved.leased !== null) lookups.takeUp(saved.leased);
      if (saved.wanted.length > 0) lookups.wake(saved.wanted);
    } catch (error) {
      if (!(error instanceof SyncError) || error.code !== "statement_refused") {
        // The commit may have been done all the same.
        if (lease) lookups.wakeLost(listPeople(batch));
        throw error;
      }
      if (batch.length === 1) {
        const raw = Buffer.from(batch[0]?.raw ?? "", "utf8");
        log.warn("Webhook item set aside: Postgres refused its row", context, { reason: error.message });
        await setAside([{ reason: "row_refused", raw }], leftMs());
        return;
      }
      const middle = Math.ceil(batch.length / 2);
      await storeEvents(batch.slice(0, middle), leftMs);
      await storeEvents(batch.slice(middle), leftMs);
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
    store,
    /** Keeps a whole body that cannot be stored whatever is done with it. Throws as the database does. */
    setAside: (body: Uint8Array, boundMs: number) => setAside([{ reason: "row_refused", raw: body }], boundMs),
    /** Whether the database takes writes now: a statement that writes nothing, which a read-only server refuses too. */
    async takesWrites(boundMs: number): Promise<boolean> {
      try {
        await events.saveEvents([], boundMs);
        return true;
      } catch {
        return false;
      }
    },
  };
}

const listPeople = (batch: readonly InboundEvent[]): ConversationId[] =>
  batch.flatMap(({ accountId, participantId }) =>
    participantId === null ? [] : [conversationIdOf(accountId, participantId)],
  );

const context = "WebhookMessageHandler";
