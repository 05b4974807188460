/**
 * A steady stream of messages while the box is open: first a few newcomers of account 0 at once, then both accounts
 * in turn. A receiver that is slow gets fewer, never a pile.
 */
import type { EventSource } from "./event-source.ts";
import type { Platform } from "./platform.ts";
import type { SandboxEvent } from "./webhook-item.ts";
import type { SendWebhook } from "./webhook-sender.ts";
import { buildWebhookBodies } from "./webhooks.ts";

export const burstPeople = 5;
/** The receiver often starts beside the box; a moment spares it the first refusals. */
const startDelayMs = 250;
/** Above 100 messages a second several go in one tick. */
const tickMinMs = 10;
/** POSTs under way or waiting for their next attempt; beyond it ticks are skipped. */
const postsInFlightMax = 512;

export type StreamDependencies = { platform: Platform; source: EventSource; send: SendWebhook };

/** Starts the stream. `stop` ends the timer; the sender's own signal ends what is under way. */
export function startWebhookStream(dependencies: StreamDependencies, messagesPerSecond: number) {
  const { platform, source, send } = dependencies;
  const { clock, accounts } = platform;
  const underWay = new Set<Promise<unknown>>();
  const tickMs = Math.max(tickMinMs, 1000 / messagesPerSecond);
  let cancel = clock.after(startDelayMs, () => start());
  let lastMs = 0;
  let due = 0;
  let turn = 0;

  const sendEvents = (events: readonly SandboxEvent[]): void => {
    const nowMs = Math.floor(clock.nowMs());
    for (const body of buildWebhookBodies(events, {
      batchSize: 1,
      duplicateShare: 0,
      reorder: false,
      seed: turn,
      nowMs,
    })) {
      const sending: Promise<unknown> = send(body).finally(() => underWay.delete(sending));
      underWay.add(sending);
    }
  };
  const take = (accountIndex: number, newcomer: boolean): SandboxEvent[] => {
    const state = accounts[accountIndex];
    const event = state ? source.nextStreamed(state, Math.floor(clock.nowMs()), newcomer) : null;
    return event === null ? [] : [event];
  };

  const start = (): void => {
    sendEvents(Array.from({ length: burstPeople }, () => take(0, true)).flat());
    lastMs = clock.monotonicMs();
    cancel = clock.after(tickMs, tick);
  };
  const tick = (): void => {
    cancel = clock.after(tickMs, tick);
    const nowMs = clock.monotonicMs();
    // At most a second's worth: after a stall the stream goes on, it does not catch up.
    due = Math.min(due + ((nowMs - lastMs) * messagesPerSecond) / 1000, Math.max(1, messagesPerSecond));
    lastMs = nowMs;
    while (due >= 1 && underWay.size < postsInFlightMax) {
      due -= 1;
      turn += 1;
      sendEvents(take(turn % accounts.length, false));
    }
  };

  return {
    /** Ends the timer and waits for what is under way (abort the sender's signal first). */
    stop: async (): Promise<void> => {
      cancel();
      await Promise.all(underWay);
    },
  };
}
