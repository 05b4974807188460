import type { InboundEvent, Quarantined, QuarantineReason } from "../domain/event.ts";
import { type AccountId, parseAccountId } from "../domain/ids.ts";
import {
  findMember,
  type JsonScan,
  quoteLongNumbers,
  readElements,
  type Span,
  scanJson,
  skipSpace,
} from "./json-spans.ts";
import { readChange } from "./read-change.ts";
import { type JsonObject, readId, readObject, readTimeMs } from "./read-fields.ts";
import { type ItemContext, readItem } from "./read-item.ts";

/** Meta's payloads nest some eight levels. Deeper ones are kept unread: parsers and databases choke on them. */
export const depthMax = 32;

/**
 * Items of one delivery that are set aside one by one; Meta's largest holds 1,000 items in all. With more the whole body
 * is kept instead, beside what of it could be read: a million numbers in a list would cost the event loop two seconds.
 */
export const quarantinedItemsMax = 1_000;

/** One delivery, read: every item of it is either an event or in quarantine. */
export type ParsedWebhook = { readonly events: readonly InboundEvent[]; readonly quarantined: readonly Quarantined[] };

/** What is being read: values come from `JSON.parse`, and beside each walks its place in the text, for keeping it as it came. */
type Reading = {
  readonly scan: JsonScan;
  readonly nowMs: number;
  readonly events: InboundEvent[];
  readonly quarantined: Quarantined[];
};

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads a verified body (meta-platform.md §2): every entry, every item of `messaging[]`, `standby[]` and `changes[]`,
 * entry-level `field`/`value`, an outer array. Never throws: what cannot be read is quarantined with its reason, each
 * item alone. `nowMs` stands in for missing times. Pure.
 */
export function parseWebhook(body: Uint8Array, nowMs: number): ParsedWebhook {
  const whole = (reason: QuarantineReason): ParsedWebhook => ({ events: [], quarantined: [{ reason, raw: body }] });
  let text: string;
  try {
    text = utf8.decode(body);
  } catch {
    return whole("not_utf8");
  }
  const scan = scanJson(text, depthMax);
  if (scan.tooDeep) return whole("too_deep");
  let root: unknown;
  try {
    root = JSON.parse(text);
    if (scan.longNumber) root = JSON.parse(quoteLongNumbers(text));
  } catch {
    return whole("not_json");
  }
  const reading: Reading = { scan, nowMs, events: [], quarantined: [] };
  const { events, quarantined } = reading;
  if (!readRoot(reading, root)) return whole("not_a_delivery");
  return {
    events,
    quarantined: quarantined.length > quarantinedItemsMax ? whole("too_many_items").quarantined : quarantined,
  };
}

function readRoot(reading: Reading, root: unknown): boolean {
  const { scan } = reading;
  const span = { start: skipSpace(scan.text, 0), end: scan.text.length };
  if (!Array.isArray(root)) return readDelivery(reading, root, span);
  const spans = readElements(scan, span.start);
  return root.length > 0 && root.every((value, at) => readDelivery(reading, value, placeOf(spans, at)));
}

function readDelivery(reading: Reading, value: unknown, span: Span): boolean {
  const delivery = readObject(value);
  if (delivery === null) return false;
  const { entry: entries, object } = delivery;
  if (entries === undefined) {
    // The dashboard's preview shows a change without its envelope.
    if (!("field" in delivery && "value" in delivery)) return false;
    const context = { accountId: testAccount, fallbackMs: reading.nowMs, standby: false, instagram: true };
    keep(reading, readChange(delivery.field, delivery.value, contextAt(reading, span, context)), span);
    return true;
  }
  if (!Array.isArray(entries)) return false;
  const instagram = typeof object === "string" && object.toLowerCase() === "instagram";
  const spans = elementsAt(reading, span, "entry");
  for (let at = 0; at < entries.length; at++) readEntry(reading, entries[at], placeOf(spans, at), instagram);
  return true;
}

/** The dashboard's own account id. */
const testAccount = readTestAccount();
function readTestAccount(): AccountId {
  const id = parseAccountId("0");
  if (id === null) throw new Error("Bug: the dashboard's id is no id");
  return id;
}

function readEntry(reading: Reading, value: unknown, span: Span, instagram: boolean): void {
  const entry = readObject(value);
  if (entry === null) {
    setAside(reading, "item_not_an_object", span);
    return;
  }
  const id = readId(entry.id);
  const accountId = parseAccountId(id);
  if (accountId === null) {
    setAside(reading, id === "inexact" ? "id_not_exact" : "account_unreadable", span);
    return;
  }
  const fallbackMs = readTimeMs(entry.time, reading.nowMs) ?? reading.nowMs;
  const context = { accountId, fallbackMs, standby: false, instagram };
  readList(reading, entry, "messaging", span, (item, place) => readItem(item, contextAt(reading, place, context)));
  readList(reading, entry, "standby", span, (item, place) =>
    readItem(item, contextAt(reading, place, { ...context, standby: true })),
  );
  readList(reading, entry, "changes", span, (item, place) => {
    const change = readObject(item);
    if (change === null) return "item_not_an_object";
    return readChange(change.field, change.value, contextAt(reading, place, context));
  });
  // Flavour B's documents put the change right on the entry; `changed_fields` is an entry whose values are switched off.
  if ("field" in entry) keep(reading, readChange(entry.field, entry.value, contextAt(reading, span, context)), span);
  else if ("changed_fields" in entry)
    keep(reading, readChange("changed_fields", {}, contextAt(reading, span, context)), span);
}

function readList(
  reading: Reading,
  entry: JsonObject,
  name: string,
  span: Span,
  read: (item: unknown, place: Span) => InboundEvent | QuarantineReason,
): void {
  const items = entry[name];
  if (items === undefined || items === null) return;
  if (!Array.isArray(items)) {
    setAside(reading, "item_not_an_object", findMember(reading.scan, span.start, name) ?? span);
    return;
  }
  const places = elementsAt(reading, span, name);
  for (let at = 0; at < items.length; at++) {
    const place = placeOf(places, at);
    keep(reading, read(items[at], place), place);
  }
}

function elementsAt({ scan }: Reading, span: Span, name: string): Span[] {
  const list = findMember(scan, span.start, name);
  return list === null ? [] : readElements(scan, list.start);
}

/** `JSON.parse` and the places come from one text, so that a value without a place is a bug. */
function placeOf(spans: readonly Span[], at: number): Span {
  const span = spans[at];
  if (span === undefined) throw new Error("Bug: a value has no place in its text");
  return span;
}

type Surroundings = Omit<ItemContext, "raw" | "nowMs">;

function contextAt({ scan, nowMs }: Reading, { start, end }: Span, around: Surroundings): ItemContext {
  return { ...around, nowMs, raw: scan.text.slice(start, end) };
}

function keep(reading: Reading, outcome: InboundEvent | QuarantineReason, span: Span): void {
  if (typeof outcome === "string") setAside(reading, outcome, span);
  else reading.events.push(outcome);
}

function setAside({ scan, quarantined }: Reading, reason: QuarantineReason, { start, end }: Span): void {
  if (quarantined.length > quarantinedItemsMax) return; // the whole body is
  quarantined.push({ reason, raw: Buffer.from(scan.text.slice(start, end), "utf8") });
}
