import type { EventKind, InboundEvent, QuarantineReason } from "../domain/event.ts";
import type { AccountId } from "../domain/ids.ts";
import { quoteLongNumbers, scanJson } from "./json-spans.ts";
import { depthMax } from "./parse-webhook.ts";
import { readChange } from "./read-change.ts";
import { readObject } from "./read-fields.ts";
import { type ItemContext, readItem } from "./read-item.ts";

/** A row of `events`, as far as it takes to read its item again. */
export type StoredEvent = {
  readonly accountId: AccountId;
  readonly eventKey: string;
  readonly kind: EventKind;
  readonly occurredAtMs: number;
  readonly receivedAtMs: number;
  readonly raw: string;
};

/** Why a stored item tells nothing any more; `kind_changed`: today's code would file it as something else. */
export type StoredEventTrouble = QuarantineReason | "kind_changed";

/**
 * Longest that a delivery may have waited between its arrival, when a time too far ahead was brought back to that
 * moment, and its row: it may have stood in the spool while the database was away.
 */
export const waitedMaxMs = 7 * 86_400_000;

/**
 * Reads a stored item again as `parseWebhook()` read it: an item of a conversation, a change, or a whole entry. What
 * the item itself does not say (account, fallback time) comes from the row, and the names that the row has given,
 * its key and the message's id in it, stay: by them it is found. A row of kind `other` or `test` is nobody's; whether
 * it came for Instagram at all is known of no comment, so its username is not read. Pure; never throws.
 */
export function readStoredEvent(row: StoredEvent): InboundEvent | StoredEventTrouble {
  const { accountId, eventKey, kind, occurredAtMs, raw } = row;
  if (kind === "other" || kind === "test")
    return { accountId, eventKey, kind, occurredAtMs, raw, standby: false, participantId: null, mid: null };
  const value = parse(raw);
  if (typeof value === "string") return value;
  const item = readObject(value.json);
  if (item === null) return "item_not_an_object";
  const context = contextOf(row);
  const readings = [...("field" in item ? [readChange(item.field, item.value, context)] : []), readItem(item, context)];
  const [first = "kind_changed"] = readings;
  const event = readings.find((one) => typeof one !== "string" && one.kind === kind && one.accountId === accountId);
  if (event === undefined || typeof event === "string") return typeof first === "string" ? first : "kind_changed";
  return named(event, eventKey);
}

function parse(raw: string): { json: unknown } | "too_deep" | "not_json" {
  const scan = scanJson(raw, depthMax);
  if (scan.tooDeep) return "too_deep";
  try {
    return { json: JSON.parse(scan.longNumber ? quoteLongNumbers(raw) : raw) };
  } catch {
    return "not_json";
  }
}

/** A time that was brought back stands in the row itself, whatever the database's clock said when it was stored. */
function contextOf({ accountId, kind, occurredAtMs, receivedAtMs, raw }: StoredEvent): ItemContext {
  const nowMs = receivedAtMs - occurredAtMs > waitedMaxMs ? receivedAtMs : occurredAtMs;
  const instagram = kind !== "comment" && kind !== "mention";
  return { accountId, fallbackMs: occurredAtMs, nowMs, standby: false, instagram, raw };
}

/** The event under its stored key, about the message that the key names. */
function named(event: InboundEvent, eventKey: string): InboundEvent {
  const prefix = `${event.kind}:`;
  if (!eventKey.startsWith(prefix)) return { ...event, eventKey };
  switch (event.kind) {
    case "message":
    case "postback":
    case "deletion":
      return { ...event, eventKey, mid: eventKey.slice(prefix.length) };
    case "edit":
    case "reaction": // an id may hold colons itself: what follows the last one is the number or the hash
      return { ...event, eventKey, mid: eventKey.slice(prefix.length, eventKey.lastIndexOf(":")) };
    default:
      return { ...event, eventKey };
  }
}
