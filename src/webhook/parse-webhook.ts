import type { InboundEvent, Quarantined, QuarantineReason } from "../domain/event.ts";
import { parseAccountId } from "../domain/ids.ts";
import {
  isArrayAt,
  isObjectAt,
  quoteLongNumbers,
  readElements,
  readMembers,
  type Span,
  scanJson,
  skipSpace,
} from "./json-spans.ts";
import { readChange } from "./read-change.ts";
import { readId, readTimeMs } from "./read-fields.ts";
import { type ItemContext, readItem } from "./read-item.ts";

/** Meta's payloads nest some eight levels. Deeper ones are kept unread: parsers and databases choke on them. */
export const depthMax = 32;

/** One delivery, read: every item of it is either an event or in quarantine. */
export type ParsedWebhook = { readonly events: readonly InboundEvent[]; readonly quarantined: readonly Quarantined[] };

/**
 * Reads a verified body (meta-platform.md §2): every entry, every item of `messaging[]`, `standby[]` and `changes[]`,
 * entry-level `field`/`value`, an outer array. Never throws: what cannot be read is quarantined with its reason, each
 * item alone. `nowMs` stands in for missing times. Pure.
 */
export function parseWebhook(body: Uint8Array, nowMs: number): ParsedWebhook {
  const whole = (reason: QuarantineReason): ParsedWebhook => ({ events: [], quarantined: [{ reason, raw: body }] });
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    return whole("not_utf8");
  }
  const { tooDeep, longNumber } = scanJson(text, depthMax);
  if (tooDeep) return whole("too_deep");
  try {
    JSON.parse(text);
  } catch {
    return whole("not_json");
  }
  const reader = createReader(text, nowMs, longNumber);
  return reader.readRoot({ start: skipSpace(text, 0), end: text.trimEnd().length })
    ? reader.result
    : whole("not_a_delivery");
}

function createReader(text: string, nowMs: number, longNumber: boolean) {
  const events: InboundEvent[] = [];
  const quarantined: Quarantined[] = [];
  const rawOf = ({ start, end }: Span) => text.slice(start, end);
  const parseSpan = (span: Span | undefined): unknown => {
    if (span === undefined) return undefined;
    return JSON.parse(longNumber ? quoteLongNumbers(rawOf(span)) : rawOf(span));
  };
  const setAside = (reason: QuarantineReason, span: Span) =>
    quarantined.push({ reason, raw: Buffer.from(rawOf(span), "utf8") });
  const keep = (outcome: InboundEvent | QuarantineReason, span: Span) => {
    if (typeof outcome === "string") setAside(outcome, span);
    else events.push(outcome);
  };

  const readRoot = (root: Span): boolean => {
    if (isArrayAt(text, root)) {
      const elements = readElements(text, root.start);
      return elements.length > 0 && elements.every((element) => isObjectAt(text, element) && readDelivery(element));
    }
    return isObjectAt(text, root) && readDelivery(root);
  };

  const readDelivery = (span: Span): boolean => {
    const members = readMembers(text, span.start);
    const entries = members.get("entry");
    if (entries === undefined) {
      // The dashboard's preview shows a change without its envelope.
      if (!members.has("field") || !members.has("value")) return false;
      keep(
        readChange(parseSpan(members.get("field")), parseSpan(members.get("value")), testContext(rawOf(span))),
        span,
      );
      return true;
    }
    if (!isArrayAt(text, entries)) return false;
    const object = parseSpan(members.get("object"));
    const instagram = typeof object === "string" && object.toLowerCase() === "instagram";
    for (const entry of readElements(text, entries.start)) readEntry(entry, instagram);
    return true;
  };

  const testContext = (raw: string): ItemContext => {
    const accountId = parseAccountId("0");
    if (accountId === null) throw new Error("Bug: the dashboard's id is no id");
    return { accountId, fallbackMs: nowMs, nowMs, standby: false, instagram: true, raw };
  };

  const readEntry = (entry: Span, instagram: boolean): void => {
    if (!isObjectAt(text, entry)) {
      setAside("item_not_an_object", entry);
      return;
    }
    const members = readMembers(text, entry.start);
    const id = readId(parseSpan(members.get("id")));
    const accountId = parseAccountId(id);
    if (accountId === null) {
      setAside(id === "inexact" ? "id_not_exact" : "account_unreadable", entry);
      return;
    }
    const fallbackMs = readTimeMs(parseSpan(members.get("time")), nowMs) ?? nowMs;
    const contextOf = (span: Span, standby = false): ItemContext => ({
      accountId,
      fallbackMs,
      nowMs,
      standby,
      instagram,
      raw: rawOf(span),
    });
    for (const [list, standby] of [
      ["messaging", false],
      ["standby", true],
    ] as const)
      for (const item of elementsOf(members.get(list))) keep(readItem(parseSpan(item), contextOf(item, standby)), item);
    for (const item of elementsOf(members.get("changes"))) {
      if (!isObjectAt(text, item)) {
        setAside("item_not_an_object", item);
        continue;
      }
      const change = readMembers(text, item.start);
      keep(readChange(parseSpan(change.get("field")), parseSpan(change.get("value")), contextOf(item)), item);
    }
    // Flavour B's documents put the change right on the entry; `changed_fields` is an entry whose values are switched off.
    if (members.has("field"))
      keep(readChange(parseSpan(members.get("field")), parseSpan(members.get("value")), contextOf(entry)), entry);
    else if (members.has("changed_fields")) keep(readChange("changed_fields", {}, contextOf(entry)), entry);
  };

  const elementsOf = (span: Span | undefined): Span[] => {
    if (span === undefined || rawOf(span) === "null") return [];
    if (isArrayAt(text, span)) return readElements(text, span.start);
    setAside("item_not_an_object", span);
    return [];
  };

  return { readRoot, result: { events, quarantined } };
}
