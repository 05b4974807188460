/**
 * What Instagram would send: a seeded plan of distinct events, any of which can be made again from its number.
 *
 *   const plan = createEventPlan({ seed, startMs: Date.now() - 8 * 3_600_000, accounts: makePlanAccounts(seed, 4, 250) });
 *   plan.buildBody(7)          // the bytes of delivery 7, unsigned
 *   plan.eventsOf(7)           // what it says, in the harness's own words: the model reads this, never the bytes
 *   const order = createSendOrder(plan, { count: 500 });
 *   order.next()               // the number to send next: 5 % come twice, 5 % come some deliveries late; null: all sent
 *
 * Delivery `n` holds `sizeOf(n)` events in slots 0, 1, …; an event's number is `n * slotsMax + slot`, and its time is
 * `startMs` plus that number: so a row of any table names the event it came from.
 */
import { createChance, hash } from "./chance.ts";

/** Events of one delivery at most, and the places that each delivery's numbers have. */
export const slotsMax = 200;
/** Starts every message id of a plan: what a tap on the wire can look for. */
export const midPrefix = "aWdfZAG1faXRlbToxOkZhdWx0";

const midDigits = 8; // 36^8 events are more than any run has.

export type PlanAccount = { readonly id: string; readonly people: readonly string[] };

type PlanEventBase = {
  readonly number: number;
  readonly accountId: string;
  readonly personId: string;
  readonly occurredAtMs: number;
  /** Who sends it: the person or the account. */
  readonly fromPerson: boolean;
  readonly mid: string;
};
export type PlanEvent = PlanEventBase &
  (
    | { readonly kind: "message"; readonly text: string | null; readonly attachments: readonly object[] | null }
    | { readonly kind: "postback"; readonly text: string }
    | { readonly kind: "edit"; readonly text: string; readonly editNumber: number }
    | { readonly kind: "unsend" }
    | { readonly kind: "reaction"; readonly reaction: string | null; readonly emoji: string | null }
    | { readonly kind: "read" }
  );

export type EventPlanOptions = {
  readonly seed: number;
  /** Time of event 0. Hours in the past, as event `e` happens `e` ms later and none may lie in the future. */
  readonly startMs: number;
  readonly accounts: readonly PlanAccount[];
  /** Events of one delivery at most; 200. */
  readonly batchMax?: number;
};
export type EventPlan = ReturnType<typeof createEventPlan>;

/** Accounts that nobody has added, with their people: `count` × `people`. Ids look like Meta's. */
export function makePlanAccounts(seed: number, count: number, people: number): PlanAccount[] {
  const digits = (length: number, ...place: [number, number]) =>
    String(hash(seed, ...place))
      .padStart(10, "0")
      .slice(-length);
  return Array.from({ length: count }, (_, at) => ({
    id: `17841${digits(5, at, 1)}${String(at).padStart(7, "0")}`,
    people: Array.from(
      { length: people },
      (_, one) => `6${digits(8, at + 1, one)}${at % 10}${String(one).padStart(6, "0")}`,
    ),
  }));
}

// Which deliveries ago the message stands that an event is about, always in the same slot: so no two edits of a
// message share a number, and no message is unsent twice.
const editDistances = [3, 5, 11];
const unsendDistance = 7;
const reactionDistances = [1, 2, 4];

const words = [
  "size",
  "M",
  "blau",
  "please",
  "когда",
  "livraison",
  "😀",
  "تم",
  "ok",
  "Ünïcode",
  '"quoted"',
  "back\\slash",
  "new\nline",
];
const reactions = [
  ["love", "❤"],
  ["wow", "😮"],
  ["other", "🎉"],
] as const;

/** Makes a plan. Everything it answers is pure: the same options, the same events. */
export function createEventPlan({ seed, startMs, accounts, batchMax = slotsMax }: EventPlanOptions) {
  const sizeOf = (delivery: number): number => {
    const draw = hash(seed, delivery, 1) % 100;
    const spread = hash(seed, delivery, 2);
    const size = draw < 60 ? 1 + (spread % 3) : draw < 90 ? 4 + (spread % 17) : 21 + (spread % 180);
    return Math.min(size, batchMax);
  };
  const numberOf = (delivery: number, slot: number) => delivery * slotsMax + slot;
  const placeOf = (number: number) => ({ delivery: Math.floor(number / slotsMax), slot: number % slotsMax });

  /** What the event would like to be; it is a message after all where there is none to edit. */
  const wishOf = (number: number) => {
    const draw = hash(seed, number, 3) % 100;
    if (draw < 60) return "inbound";
    if (draw < 73) return "echo";
    if (draw < 80) return "edit";
    if (draw < 84) return "unsend";
    if (draw < 92) return "reaction";
    return draw < 97 ? "read" : "postback";
  };
  const isPlainMessage = (delivery: number, slot: number) => {
    if (delivery < 0 || slot >= sizeOf(delivery)) return false;
    const wish = wishOf(numberOf(delivery, slot));
    return wish === "inbound" || wish === "echo";
  };
  /** The message that an event of the wish is about, or null. Only plain messages: so it asks one step back at most. */
  const targetOf = (number: number, distance: number): number | null => {
    const { delivery, slot } = placeOf(number);
    return isPlainMessage(delivery - distance, slot) ? numberOf(delivery - distance, slot) : null;
  };

  const sidesOf = (number: number) => {
    const { delivery } = placeOf(number);
    // Most of a delivery is about one account, as Meta batches.
    const place = hash(seed, number, 4) % 8 === 0 ? number : delivery;
    const account = pick(accounts, hash(seed, place, 5));
    // Few people write much, many write little.
    const draw = hash(seed, number, 6) / 2 ** 32;
    return { accountId: account.id, personId: pick(account.people, Math.floor(draw * draw * account.people.length)) };
  };
  const midOf = (number: number) =>
    `${midPrefix}${number.toString(36).padStart(midDigits, "0")}ZD${hash(seed, number, 7).toString(36)}`;
  const textOf = (number: number) => {
    const draw = hash(seed, number, 8);
    const said = Array.from({ length: 1 + (draw % 12) }, (_, at) => pick(words, draw + at * (1 + (draw % 7))));
    return `${number} ${said.join(" ")}`;
  };

  const eventAt = (number: number): PlanEvent => {
    const base = { number, occurredAtMs: startMs + number };
    const chance = hash(seed, number, 9);
    const wish = wishOf(number);
    /** Sides and id of the message it is about; the same side that sent it changes it. */
    const about = (target: number) => ({
      ...base,
      ...sidesOf(target),
      fromPerson: wishOf(target) === "inbound",
      mid: midOf(target),
    });
    if (wish === "edit") {
      const target = targetOf(number, pick(editDistances, chance));
      const editNumber = 1 + (chance % editDistances.length);
      if (target !== null) return { ...about(target), kind: "edit", text: `edited ${textOf(number)}`, editNumber };
    }
    if (wish === "unsend") {
      const target = targetOf(number, unsendDistance);
      if (target !== null) return { ...about(target), kind: "unsend" };
    }
    if (wish === "reaction") {
      const target = targetOf(number, pick(reactionDistances, chance));
      if (target !== null) {
        const [reaction, emoji] = chance % 10 < 3 ? [null, null] : pick(reactions, chance >>> 4);
        return { ...about(target), fromPerson: chance % 5 !== 0, kind: "reaction", reaction, emoji };
      }
    }
    if (wish === "read") {
      const target = targetOf(number, 1);
      if (target !== null) return { ...about(target), fromPerson: true, kind: "read" };
    }
    const own = { ...base, ...sidesOf(number), mid: midOf(number) };
    if (wish === "postback") return { ...own, fromPerson: true, kind: "postback", text: `tapped ${number}` };
    const fromPerson = wish !== "echo";
    if (chance % 12 === 0) {
      const attachments = [
        { type: "image", payload: { url: `https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=${number}` } },
      ];
      return { ...own, fromPerson, kind: "message", text: null, attachments };
    }
    return { ...own, fromPerson, kind: "message", text: textOf(number), attachments: null };
  };

  const eventsOf = (delivery: number): PlanEvent[] =>
    Array.from({ length: sizeOf(delivery) }, (_, slot) => eventAt(numberOf(delivery, slot)));

  return {
    seed,
    startMs,
    accounts,
    sizeOf,
    numberOf,
    placeOf,
    eventAt,
    eventsOf,
    midOf,
    /** The event that says the message `mid`; null where the plan has no such message. */
    numberOfMid: (mid: string): number | null => {
      const number = Number.parseInt(mid.slice(midPrefix.length, midPrefix.length + midDigits), 36);
      return Number.isSafeInteger(number) && midOf(number) === mid ? number : null;
    },
    /** The body as Instagram would send it: items grouped by account. */
    buildBody: (delivery: number): Buffer => buildBody(eventsOf(delivery)),
    /** Numbers of the events that may be about message `number`, whatever they turn out to be. */
    listFollowers: (number: number): number[] => {
      const { delivery, slot } = placeOf(number);
      return [...editDistances, unsendDistance, ...reactionDistances]
        .filter((distance) => slot < sizeOf(delivery + distance))
        .map((distance) => numberOf(delivery + distance, slot));
    },
  };
}

function pick<T>(list: readonly T[], at: number): T {
  const found = list[at % list.length];
  if (found === undefined) throw new Error("Cannot pick from an empty list");
  return found;
}

/** One delivery's bytes from its events. */
export function buildBody(events: readonly PlanEvent[]): Buffer {
  const byAccount = Map.groupBy(events, (event) => event.accountId);
  const entry = [...byAccount].map(([id, own]) => ({
    time: Math.max(...own.map((event) => event.occurredAtMs)) + 500,
    id,
    messaging: own.map(buildItem),
  }));
  return Buffer.from(JSON.stringify({ object: "instagram", entry }), "utf8");
}

function buildItem(event: PlanEvent): object {
  const { accountId, personId, fromPerson, mid } = event;
  const [sender, recipient] = fromPerson ? [personId, accountId] : [accountId, personId];
  const item = { sender: { id: sender }, recipient: { id: recipient }, timestamp: event.occurredAtMs };
  const side = fromPerson ? {} : { is_echo: true };
  switch (event.kind) {
    case "message": {
      const content = event.attachments === null ? { text: event.text } : { attachments: event.attachments };
      return { ...item, message: { mid, ...content, ...side } };
    }
    case "postback":
      return { ...item, postback: { mid, title: event.text, payload: "START" } };
    case "edit":
      return { ...item, message_edit: { mid, text: event.text, num_edit: event.editNumber } };
    case "unsend":
      return { ...item, message: { mid, is_deleted: true, ...side } };
    case "reaction":
      return {
        ...item,
        reaction:
          event.reaction === null
            ? { mid, action: "unreact" }
            : { mid, action: "react", reaction: event.reaction, emoji: event.emoji },
      };
    case "read":
      return { ...item, read: { mid } };
  }
}

export type SendOrderOptions = {
  /** Deliveries in all; without it there is no end. */
  readonly count?: number;
  readonly from?: number;
  readonly againShare?: number;
  readonly lateShare?: number;
};
export type SendOrder = ReturnType<typeof createSendOrder>;

/** The order to send a plan in: some deliveries twice, some late. Ends with null once all are handed out. */
export function createSendOrder(
  plan: Pick<EventPlan, "seed" | "sizeOf">,
  { count = Number.POSITIVE_INFINITY, from = 0, againShare = 0.05, lateShare = 0.05 }: SendOrderOptions = {},
) {
  const chance = createChance(hash(plan.seed, from, 11));
  const later: { delivery: number; at: number }[] = [];
  let upcoming = from;
  let turn = 0;
  let events = 0;
  const put = (delivery: number) => later.push({ delivery, at: turn + chance.between(1, 12) });
  return {
    next(): number | null {
      for (;;) {
        turn += 1;
        const ended = upcoming >= from + count;
        const due = later.findIndex(({ at }) => at <= turn);
        if (due !== -1) return later.splice(due, 1)[0]?.delivery ?? null;
        if (ended) {
          if (later.length === 0) return null;
          continue;
        }
        const delivery = upcoming;
        upcoming += 1;
        events += plan.sizeOf(delivery);
        if (chance.next() < againShare) put(delivery);
        if (chance.next() < lateShare) {
          put(delivery);
          continue;
        }
        return delivery;
      }
    },
    /** The first number that was not handed out yet. */
    upcoming: () => upcoming,
    /** Distinct events handed out so far, or about to be. */
    events: () => events,
  };
}
