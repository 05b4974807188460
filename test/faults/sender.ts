/**
 * Sends deliveries as Instagram does: signed, over kept-alive connections, again and again until each is acknowledged.
 *
 *   const sender = createSender({ ports: [rig.daemon.port], secret: rig.appSecret, ledger, bodyOf: plan.buildBody });
 *   const load = sender.start({ lanes: 8, perSecond: 100, next: order.next });   // without perSecond: as fast as answers come
 *   …break things…
 *   load.stopTaking();                  // nothing new; what was refused or cut is still sent again
 *   await load.acknowledged(30_000);    // throws where something is not acknowledged by then
 *   await load.stop();                  // gives up: what is under way is waited for, the rest stays unacknowledged
 *
 * `sender.send(7)` sends one and answers its status (0: no whole answer).
 */
import { waitUntil } from "../support/bounded-wait.ts";
import type { Ledger } from "./ledger.ts";
import { type Lane, openLane } from "./request-lane.ts";

/** A request is given up after this: Meta does so within seconds. */
export const requestMsDefault = 10_000;
/** Pauses before a delivery is sent again: Meta's first is at once; bounded, so that a harness gets done. */
export const retryMsDefault = [10, 50, 100, 200] as const;

export type SenderOptions = {
  /** Lanes go to them in turns. */
  readonly ports: readonly number[];
  readonly secret: string;
  readonly ledger: Ledger;
  /** The body of a delivery, by its number. */
  readonly bodyOf: (delivery: number) => Uint8Array;
  readonly requestMs?: number;
  readonly retryMs?: readonly number[];
};
export type LoadOptions = {
  /** Requests under way at once. */
  readonly lanes: number;
  /** The next delivery, or null where there is none any more. */
  readonly next: () => number | null;
  /** Open loop: so many new deliveries a second, as far as lanes are free. Without it a lane takes the next at once. */
  readonly perSecond?: number;
  /** Whether a new delivery may be taken now: for a rhythm of one's own. */
  readonly pace?: () => boolean;
  /** False: what is not acknowledged is not sent again. */
  readonly sendAgain?: boolean;
  /** Told of each answer: `status` 0 where none came; `how` tells why. */
  readonly onAnswer?: (answer: Answer & { readonly delivery: number; readonly startMs: number }) => void;
};
export type Answer = {
  readonly status: number;
  /** `whole`; `refused`: no connection; `cut`: connected and closed without a byte; `torn`: closed within the answer; `late`. */
  readonly how: "whole" | "refused" | "cut" | "torn" | "late";
  readonly retryAfter: string | null;
  /** When the system had taken the whole request (`performance.now()`); null where it never did. */
  readonly writtenMs: number | null;
};
export type Sender = ReturnType<typeof createSender>;
export type Load = ReturnType<Sender["start"]>;

/** A whole signed request, as Instagram sends it. */
export function buildRequest(
  body: Uint8Array,
  { port, secret }: { readonly port: number; readonly secret: string },
): Buffer {
  const signature = new Bun.CryptoHasher("sha256", secret).update(body).digest("hex");
  const head =
    `POST /webhooks/instagram HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: facebookexternalua\r\nAccept: */*\r\n` +
    `Content-Type: application/json\r\nX-Hub-Signature-256: sha256=${signature}\r\nContent-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, "latin1"), body]);
}

/** Makes a sender. Nothing is connected before the first request. */
export function createSender(options: SenderOptions) {
  const { ports, secret, ledger, bodyOf, requestMs = requestMsDefault, retryMs = retryMsDefault } = options;

  const buildRequestOf = (delivery: number, port: number): Buffer => buildRequest(bodyOf(delivery), { port, secret });

  const sendOn = async (lane: Lane, delivery: number): Promise<Answer & { startMs: number }> => {
    const request = buildRequestOf(delivery, lane.port);
    const tick = ledger.sent(delivery);
    const answer = await lane.send(request, requestMs);
    ledger.answered(tick, answer.status, { counted: answer.how !== "refused" });
    return { ...answer, startMs: tick.startMs };
  };

  const start = ({ lanes, next, perSecond, pace, sendAgain = true, onAnswer }: LoadOptions) => {
    const again: { delivery: number; dueMs: number; tries: number }[] = [];
    const startedMs = performance.now();
    let taking = true;
    let stopped = false;
    let taken = 0;
    let busy = 0;

    const takeNew = (): number | null => {
      if (!taking || pace?.() === false) return null;
      if (perSecond !== undefined && taken >= ((performance.now() - startedMs) / 1000) * perSecond) return null;
      const delivery = next();
      if (delivery === null) taking = false;
      else taken += 1;
      return delivery;
    };
    const takeDue = () => {
      const nowMs = performance.now();
      const at = again.findIndex(({ dueMs }) => dueMs <= nowMs);
      return at === -1 ? null : (again.splice(at, 1)[0] ?? null);
    };

    const runLane = async (index: number): Promise<void> => {
      using lane = openLane(ports[index % ports.length] ?? 0);
      while (!stopped) {
        const due = takeDue();
        const delivery = due?.delivery ?? takeNew();
        if (delivery === null) {
          if (!taking && again.length === 0 && busy === 0) return;
          await Bun.sleep(2);
          continue;
        }
        busy += 1;
        const answer = await sendOn(lane, delivery);
        busy -= 1;
        onAnswer?.({ ...answer, delivery });
        if (answer.status === 200 || !sendAgain || ledger.isAcknowledged(delivery)) continue;
        const tries = due?.tries ?? 0;
        const pauseMs = retryMs[Math.min(tries, retryMs.length - 1)] ?? 0;
        again.push({ delivery, dueMs: performance.now() + pauseMs, tries: tries + 1 });
      }
    };
    const ended = Promise.all(Array.from({ length: lanes }, (_, index) => runLane(index))).then(() => {});
    ended.catch(() => {});

    return {
      /** Takes nothing new from `next`. */
      stopTaking: () => {
        taking = false;
      },
      /** Deliveries taken from `next` so far. */
      taken: () => taken,
      /** Deliveries that wait to be sent again, or are under way. */
      open: () => again.length + busy,
      /** Waits until everything that was taken is acknowledged. Call `stopTaking()` first, or let `next` end. */
      acknowledged: async (timeoutMs: number): Promise<void> => {
        const message = "Cannot finish the load: not every delivery is acknowledged";
        await waitUntil(() => !taking && again.length === 0 && busy === 0, timeoutMs, message);
        await ended;
      },
      /** Ends the load; waits for the requests under way. */
      stop: async (): Promise<void> => {
        taking = false;
        stopped = true;
        await ended;
      },
    };
  };

  return {
    start,
    /** Sends one delivery once, over a connection of its own. */
    send: async (delivery: number, port = ports[0] ?? 0): Promise<Answer> => {
      using lane = openLane(port);
      return await sendOn(lane, delivery);
    },
  };
}
