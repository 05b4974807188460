import { describe, expect, test } from "bun:test";
import type { InboundEvent } from "../../src/domain/event.ts";
import { usernameLengthMax } from "../../src/domain/profile.ts";
import { depthMax, parseWebhook, quarantinedItemsMax } from "../../src/webhook/parse-webhook.ts";
import shapes from "../fixtures/event-shapes.json" with { type: "json" };
import { account, bytesOf, delivery, inbound, itemOf } from "../support/webhook-bodies.ts";

const nowMs = 1_763_000_000_000;
const parse = (value: unknown) => parseWebhook(bytesOf(value), nowMs);
const parseText = (text: string) => parseWebhook(Buffer.from(text, "utf8"), nowMs);
const only = (value: unknown): InboundEvent => {
  const { events, quarantined } = parse(value);
  expect(quarantined).toEqual([]);
  expect(events).toHaveLength(1);
  return events[0] as InboundEvent;
};
const person = "1129842642640637";

describe("parseWebhook() reads every shape Meta sends", () => {
  test.each([
    ["text", { kind: "message", mid: "m1", direction: "inbound", text: "hi", eventKey: "message:m1" }],
    ["echo", { kind: "message", mid: "m2", direction: "outgoing", text: "reply" }],
    ["deleted", { kind: "deletion", mid: "m1", eventKey: "deletion:m1" }],
    ["unsupported", { kind: "message", mid: "m4", unsupported: true, text: null }],
    ["edit", { kind: "edit", mid: "m1", text: "hi there", editNumber: 1, eventKey: "edit:m1:1" }],
    ["reaction", { kind: "reaction", mid: "m1", reaction: "love", emoji: "❤️", senderId: person }],
    ["reaction-brace-emoji", { kind: "reaction", emoji: "❤️" }],
    ["unreact", { kind: "reaction", reaction: null, emoji: null }],
    ["read", { kind: "read", mid: "m2", readUpToMs: 1_762_010_770_464 }],
    ["read-watermark", { kind: "read", mid: null, readUpToMs: 1_762_010_770_464 }],
    ["postback", { kind: "postback", mid: "m5", text: "Talk", direction: "inbound" }],
    ["postback-no-mid", { kind: "postback", text: "icebreaker question" }],
    ["referral", { kind: "referral" }],
    ["ad-referral-inline", { kind: "message", mid: "m6", text: "hi" }],
    ["like-heart", { kind: "message", mid: "m7", attachments: '[{"type":"like_heart"}]' }],
    ["ig-post-double", { kind: "message", mid: "m8" }],
    [
      "future-type",
      { kind: "message", mid: "m9", attachments: '[{"type":"hologram_2027","payload":{"blob":{"x":1}}}]' },
    ],
    ["future-event", { kind: "other", participantId: null }],
    ["standby", { kind: "message", mid: "m11", standby: true }],
    ["comment-username", { kind: "comment", eventKey: "comment:c1" }],
    ["empty-message", { kind: "message", mid: "m13", text: null, attachments: null }],
  ] as const)("%s", (name, expected) => {
    const event = only(shapes[name]);
    expect(event).toMatchObject({ accountId: account as never, ...expected });
    if (event.kind !== "other" && event.kind !== "comment") expect(event.participantId as string).toBe(person);
  });

  test("numeric-ids: ids as bare numbers are the same ids", () => {
    // Importing the fixture has already rounded the number: put its last digit back.
    const text = JSON.stringify(shapes["numeric-ids"]).replaceAll("17841400000000000", account);
    const { events } = parseText(text);
    expect(events[0]).toMatchObject({ kind: "message", accountId: account as never, participantId: person as never });
  });

  test("self: a note of the account to itself is a message of nobody else", () => {
    expect(only(shapes.self)).toMatchObject({
      kind: "message",
      self: true,
      direction: "outgoing",
      participantId: account as never,
    });
  });

  test("changes-messages: the dashboard's test is told apart and names no person", () => {
    expect(only(shapes["changes-messages"])).toMatchObject({ kind: "test", participantId: null });
  });

  test("batch-mixed: every entry and every item, each under its own account", () => {
    const { events } = parse(shapes["batch-mixed"]);
    expect(events.map((event) => `${event.accountId.slice(-1)} ${event.kind} ${event.mid}`)).toEqual([
      "1 message b2",
      "1 message b1",
      "1 read b0",
      "2 message b3",
    ]);
  });

  test("duplicate-in-one-post: both carry one event key", () => {
    const { events } = parse(shapes["duplicate-in-one-post"]);
    expect(events).toHaveLength(2);
    expect(new Set(events.map((event) => event.eventKey)).size).toBe(1);
  });

  test("mid-collision-pair: ids that look alike stay apart", () => {
    const keys = shapes["mid-collision-pair"].map((shape) => only(shape).eventKey);
    expect(new Set(keys).size).toBe(2);
  });

  test.each(["no-entries", "no-messaging", "page-object", "array-root"] as const)(
    "%s: nothing in it, nothing made of it",
    (name) => {
      expect(parse(shapes[name])).toEqual({ events: [], quarantined: [] });
    },
  );

  test("an entry with field and value and no changes[] is read like a change", () => {
    const entry = { id: account, time: 1, field: "comments", value: { id: "c9", from: { id: person }, text: "x" } };
    expect(only({ object: "instagram", entry: [entry] })).toMatchObject({ kind: "comment", eventKey: "comment:c9" });
  });

  test.each([
    ["jane\u0000.\u202edoe\u001b", "jane.doe"],
    ["\u2066 \u0007", null],
    ["x".repeat(usernameLengthMax + 1), null],
  ])("the username %j of a comment is kept as %j: fit for Postgres and for a terminal", (username, kept) => {
    const value = { id: "c9", from: { id: person, username }, text: "x" };
    const entry = { id: account, time: 1, changes: [{ field: "comments", value }] };
    expect(only({ object: "instagram", entry: [entry] })).toMatchObject({ kind: "comment", username: kept });
  });

  test("an outer array of one level is opened", () => {
    expect(parse([shapes.text, shapes.echo]).events.map((event) => event.mid)).toEqual(["m1", "m2"]);
  });

  test("the object's name is compared without case, another product's people are not taken for Instagram's", () => {
    expect(only({ ...shapes.text, object: "Instagram" }).kind).toBe("message");
    expect(only({ ...shapes.text, object: "page" })).toMatchObject({ kind: "other", participantId: null });
  });
});

describe("parseWebhook() reads times", () => {
  test.each([
    ["milliseconds", 1_762_010_770_464, 1_762_010_770_464],
    ["seconds", 1_762_010_770, 1_762_010_770_000],
    ["seconds as text", "1762010770", 1_762_010_770_000],
    ["milliseconds as text", "1762010770464", 1_762_010_770_464],
    ["ISO text", "2025-11-01T15:26:10.464Z", 1_762_010_770_464],
    ["Meta's zone without a colon", "2025-11-01T15:26:10+0000", 1_762_010_770_000],
    ["zero: the entry's time stands in", 0, 1_762_010_783_728],
    ["a year ahead: brought back to now", nowMs + 365 * 86_400_000, nowMs],
  ])("%s", (_name, timestamp, expected) => {
    const { events } = parseWebhook(delivery([{ ...inbound(person, "t", 1), timestamp }]), nowMs);
    expect(events[0]?.occurredAtMs).toBe(expected);
  });
});

describe("parseWebhook() loses nothing", () => {
  test("a bare number beyond 2^53 keeps its digits as an id", () => {
    const { events } = parseText(
      `{"object":"instagram","entry":[{"id":17841400000000001234,"time":1,"messaging":[{"sender":{"id":28978671838402975},"recipient":{"id":17841400000000001234},"timestamp":1762010770464,"message":{"mid":"n"}}]}]}`,
    );
    expect(events[0]).toMatchObject({
      accountId: "17841400000000001234" as never,
      participantId: "28978671838402975" as never,
    });
  });

  test("the raw item is kept byte for byte, escapes and white space included", () => {
    const item = `{ "sender":{"id":"${person}"},"recipient":{"id":"${account}"}, "timestamp":1, "message":{"mid":"r","text":"\\u00e4\\u0000 } ] \\" \\ud800"} }`;
    const { events } = parseText(`{"object":"instagram","entry":[{"id":"${account}","messaging":[ ${item} ]}]}`);
    expect(events[0]?.raw).toBe(item);
    // What Postgres cannot hold is replaced in the text that is shown.
    expect(events[0]).toMatchObject({ text: 'ä\uFFFD } ] " \uFFFD' });
  });

  test("one broken item is set aside alone, its neighbours are kept", () => {
    const { events, quarantined } = parseWebhook(
      bytesOf({
        object: "instagram",
        entry: [{ id: account, messaging: [inbound(person, "a", 1), 7, inbound(person, "b", 2)] }],
      }),
      nowMs,
    );
    expect(events.map((event) => event.mid)).toEqual(["a", "b"]);
    expect(quarantined).toEqual([{ reason: "item_not_an_object", raw: Buffer.from("7") }]);
  });

  test.each([
    ["not_utf8", Buffer.from([0x7b, 0xff, 0x7d])],
    ["not_json", Buffer.from('{"object":')],
    ["not_a_delivery", Buffer.from('"hello"')],
    ["not_a_delivery", Buffer.from('{"object":"instagram"}')],
    ["too_deep", Buffer.from("[".repeat(depthMax + 1))],
    ["too_deep", Buffer.from("[".repeat(1_000_000))],
  ] as const)("%s: the whole body is set aside", (reason, body) => {
    expect(parseWebhook(body, nowMs)).toEqual({ events: [], quarantined: [{ reason, raw: body }] });
  });

  test.each([
    ["participant_unclear", itemOf("1", 1, { message: { mid: "x" } }, "2")],
    ["participant_unclear", { ...inbound(person, "x", 1), sender: { id: account }, recipient: { id: account } }],
  ] as const)("%s: an item without a clear person is set aside", (reason, item) => {
    expect(parseWebhook(delivery([item]), nowMs).quarantined.map((one) => one.reason)).toEqual([reason]);
  });

  test("beyond the items that are set aside one by one the whole body is, once, beside what could be read", () => {
    const broken = (count: number) =>
      delivery([...Array.from({ length: count }, () => ({ sender: {} })), inbound(person, "m1", nowMs)]);
    const some = parseWebhook(broken(quarantinedItemsMax), nowMs);
    expect([some.quarantined.length, some.events.length]).toEqual([quarantinedItemsMax, 1]);
    const body = broken(quarantinedItemsMax + 1);
    const many = parseWebhook(body, nowMs);
    expect(many.events).toMatchObject([{ kind: "message", mid: "m1" }]);
    expect(many.quarantined).toEqual([{ reason: "too_many_items", raw: body }]);
  });

  test("a tap whose entry carries the customer's id is filed under the account that got it", () => {
    const body = delivery([itemOf(person, 5, { postback: { mid: "p", title: "Go" } }, account)], person);
    expect(parseWebhook(body, nowMs).events[0]).toMatchObject({
      accountId: account as never,
      participantId: person as never,
      direction: "inbound",
    });
  });

  test("keys like __proto__ are values, not traps", () => {
    const body = `{"object":"instagram","__proto__":{"entry":[]},"entry":[{"id":"${account}","messaging":[{"__proto__":{"x":1},"sender":{"id":"${person}"},"recipient":{"id":"${account}"},"message":{"mid":"k"}}]}]}`;
    expect(parseText(body).events.map((event) => event.mid)).toEqual(["k"]);
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  test("of two members with one name the last counts, as JSON.parse has it", () => {
    expect(parseText(`{"object":"instagram","entry":[{"id":"1"}],"entry":[]}`).events).toEqual([]);
  });
});
