import { describe, expect, test } from "bun:test";
import type { InboundEvent } from "../../src/domain/event.ts";
import { parseAccountId } from "../../src/domain/ids.ts";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import { readStoredEvent, type StoredEvent } from "../../src/webhook/read-stored-event.ts";
import shapes from "../fixtures/event-shapes.json" with { type: "json" };
import { account, bytesOf, delivery, inbound, itemOf } from "../support/webhook-bodies.ts";

const nowMs = 1_763_000_000_000;
const t = 1_762_000_000_000;
const anna = "1129842642640637";
const accountId = parseAccountId(account);
if (accountId === null) throw new Error("no id");

const rowOf = (event: InboundEvent, receivedAtMs = nowMs + 7.25): StoredEvent => ({
  accountId: event.accountId,
  eventKey: event.eventKey,
  kind: event.kind,
  occurredAtMs: event.occurredAtMs,
  raw: event.raw,
  receivedAtMs,
});
/** What a replay derives rows from: `standby` stands in no row, and of a comment only that it was there. */
const derivedPart = ({ standby, ...event }: InboundEvent) =>
  event.kind === "comment" || event.kind === "mention"
    ? { ...event, username: null }
    : event.kind === "other" || event.kind === "test"
      ? { ...event, participantId: null }
      : event;
const readAgain = (event: InboundEvent, receivedAtMs?: number) => {
  const again = readStoredEvent(rowOf(event, receivedAtMs));
  return typeof again === "string" ? again : derivedPart(again);
};
const parse = (value: unknown) => parseWebhook(bytesOf(value), nowMs).events;
const only = (value: unknown): InboundEvent => {
  const [event, ...rest] = parse(value);
  if (event === undefined || rest.length > 0) throw new Error("one event was expected");
  return event;
};

describe("readStoredEvent()", () => {
  test.each(Object.entries(shapes))("reads %s again as it was read", (_, body) => {
    for (const event of parse(body)) expect(readAgain(event)).toEqual(derivedPart(event));
  });

  test("reads changes, and entries that are a change themselves, again", () => {
    const value = { sender: { id: anna }, recipient: { id: account }, timestamp: t, message: { mid: "m1", text: "x" } };
    for (const entry of [{ changes: [{ field: "messages", value }] }, { field: "messages", value }]) {
      const event = only({ object: "instagram", entry: [{ id: account, time: t, ...entry }] });
      expect(event).toMatchObject({ kind: "message", mid: "m1" });
      expect(readAgain(event)).toEqual(derivedPart(event));
    }
  });

  test("an item that carries a field of its own is still the item", () => {
    const event = only({
      object: "instagram",
      entry: [{ id: account, messaging: [{ ...inbound(anna, "m1", t), field: "x", value: {} }] }],
    });
    expect(readAgain(event)).toEqual(derivedPart(event));
  });

  test("an item without a time keeps the entry's, which stands in the row", () => {
    const { timestamp, ...item } = inbound(anna, "m1", t);
    const event = only({ object: "instagram", entry: [{ id: account, time: t + 5, messaging: [item] }] });
    expect(readAgain(event)).toMatchObject({ occurredAtMs: t + 5 });
  });

  test("a time that was brought back stays what it became, even after days in the spool", () => {
    const [event] = parseWebhook(delivery([inbound(anna, "m1", nowMs + 90_000_000)]), nowMs).events;
    if (event === undefined) throw new Error("no event");
    expect(event.occurredAtMs).toBe(nowMs);
    for (const waitedMs of [-40, 0, 12.5, 5 * 86_400_000])
      expect(readAgain(event, nowMs + waitedMs)).toMatchObject({ occurredAtMs: nowMs });
  });

  test("a time that an older program misread is read right", () => {
    const row = {
      ...rowOf(only({ object: "instagram", entry: [{ id: account, messaging: [inbound(anna, "m1", t)] }] })),
    };
    expect(readStoredEvent({ ...row, occurredAtMs: t / 1000 })).toMatchObject({ occurredAtMs: t });
  });

  test("numbers beyond 2^53 keep their digits", () => {
    const raw = `{"sender":{"id":${anna}9},"recipient":{"id":${account}},"timestamp":${t},"message":{"mid":"m1"}}`;
    const row = {
      accountId,
      eventKey: "message:m1",
      kind: "message",
      occurredAtMs: t,
      receivedAtMs: nowMs,
      raw,
    } as const;
    expect(readStoredEvent(row)).toMatchObject({ participantId: `${anna}9`, accountId: account });
  });

  test("a stored key stays, and names the message, whatever today's code would call it", () => {
    const [message] = parseWebhook(delivery([inbound(anna, "new name", t)]), nowMs).events;
    const [edit] = parseWebhook(delivery([itemOf(anna, t, { message_edit: { mid: "m", num_edit: 2 } })]), nowMs).events;
    if (message === undefined || edit === undefined) throw new Error("no event");
    expect(readStoredEvent({ ...rowOf(message), eventKey: "message:old:name" })).toMatchObject({
      eventKey: "message:old:name",
      mid: "old:name",
    });
    expect(readStoredEvent({ ...rowOf(edit), eventKey: "edit:a:b:7" })).toMatchObject({
      eventKey: "edit:a:b:7",
      mid: "a:b",
    });
  });

  test("a row of kind other or test is nobody's, even where its item names somebody", () => {
    const messenger = only({ object: "page", entry: [{ id: account, messaging: [inbound(anna, "m1", t)] }] });
    expect(messenger.kind).toBe("other");
    expect(readStoredEvent(rowOf(messenger))).toMatchObject({ kind: "other", participantId: null, mid: null });
  });

  test("says why an item tells nothing any more", () => {
    const row = rowOf(only({ object: "instagram", entry: [{ id: account, messaging: [inbound(anna, "m1", t)] }] }));
    expect(readStoredEvent({ ...row, raw: "{" })).toBe("not_json");
    expect(readStoredEvent({ ...row, raw: "[1]" })).toBe("item_not_an_object");
    expect(readStoredEvent({ ...row, raw: "[".repeat(100) })).toBe("too_deep");
    expect(readStoredEvent({ ...row, raw: "{}" })).toBe("participant_unclear");
    expect(readStoredEvent({ ...row, kind: "reaction" })).toBe("kind_changed");
  });

  test("a person who taps under the account's own entry is read again", () => {
    const tap = {
      sender: { id: anna },
      recipient: { id: account },
      timestamp: t,
      postback: { title: "Hello", payload: "P" },
    };
    const event = only({ object: "instagram", entry: [{ id: anna, time: t, messaging: [tap] }] });
    expect(event).toMatchObject({ accountId: account, participantId: anna, kind: "postback" });
    expect(readAgain(event)).toEqual(derivedPart(event));
  });
});
