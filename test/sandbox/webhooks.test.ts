import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { buildEvent, type SandboxEvent, sandboxEventKinds } from "../../src/sandbox/webhook-item.ts";
import { buildWebhook, buildWebhookBodies, signWebhook, writeWebhookJson } from "../../src/sandbox/webhooks.ts";
import { appSecret, type Json } from "./open-test-sandbox.ts";

const account = { instagramId: "17841400000000001", username: "my_shop" };
const person = { id: "1234567890123456", username: "jane.doe" };
const eventOf = (kind: SandboxEvent["kind"], at = 0): SandboxEvent =>
  buildEvent({
    account,
    person,
    kind,
    mid: `aWdfNEW${at}`,
    earlierMid: "aWdfOLD",
    edits: 1,
    timestampMs: 1_760_000_000_001 + at,
    text: "Grüße 👋",
  });
const options = { batchSize: 1, duplicateShare: 0, reorder: false, seed: 3, nowMs: 1_760_000_000_123 };
// §1.2: the vector of meta-platform.md, 273 bytes.
const vector = String.raw`{"object":"instagram","entry":[{"id":"17841400000000001","time":1760000000123,"messaging":[{"sender":{"id":"1234567890123456"},"recipient":{"id":"17841400000000001"},"timestamp":1760000000001,"message":{"mid":"aWdfZAG1_TEST_1","text":"\u00e4\u00f6\u00e5 \ud83d\udc4b"}}]}]}`;

describe("signWebhook()", () => {
  test("signWebhook() gives the signature of meta-platform.md for its vector", () => {
    const headers = signWebhook(vector, "test_app_secret");
    expect(headers["X-Hub-Signature-256"]).toBe(
      "sha256=d8316351a0f54533480dd97b68a85ae08de539dc8228f51bdd5f218d41d54bb2",
    );
    expect(headers["X-Hub-Signature"]).toMatch(/^sha1=[0-9a-f]{40}$/);
    expect(headers["User-Agent"]).toBe("facebookexternalua");
    expect(headers["Content-Type"]).toBe("application/json");
  });

  test("createHmac() gives the appsecret_proof of meta-platform.md for its vector", () => {
    const proof = createHmac("sha256", appSecret).update("EAAtesttoken").digest("hex");
    expect(proof).toBe("2f6c99f265a9e1644d725e8f9c96e439fcbf40a73357d1d98ba8b98fbfe445e4");
  });
});

describe("buildWebhook()", () => {
  test("buildWebhook() and writeWebhookJson() write the bytes of the vector", () => {
    const event = buildEvent({
      account,
      person,
      kind: "text",
      mid: "aWdfZAG1_TEST_1",
      earlierMid: "",
      edits: 0,
      timestampMs: 1_760_000_000_001,
      text: "äöå 👋",
    });
    const body = writeWebhookJson(buildWebhook([event], true, 1_760_000_000_123));
    expect(body).toBe(vector);
    expect(body).toHaveLength(273);
  });
});

describe("writeWebhookJson()", () => {
  test("writeWebhookJson() escapes all that is not ASCII, lowercase, and loses nothing", () => {
    const text = "Ünïcödé 日本 \u2028 \ud83d 👩‍👩‍👧‍👦 </b> / % @";
    const json = writeWebhookJson({ text });
    expect(json).toMatch(/^[\x20-\x7e]+$/);
    expect(json).not.toMatch(/\\u[0-9a-f]*[A-F]/);
    expect(JSON.parse(json).text).toBe(text);
  });
});

describe("buildEvent()", () => {
  test("buildEvent() makes every kind an item with the participant on the right side", () => {
    for (const kind of sandboxEventKinds) {
      const { item, channel } = eventOf(kind);
      const read: Json = item;
      if (kind === "comment") {
        expect(channel).toBe("changes");
        expect(read).toMatchObject({
          field: "comments",
          value: { from: { id: person.id, username: person.username } },
        });
        continue;
      }
      const outgoing = kind === "echo" || kind === "self";
      expect(read.sender.id).toBe(outgoing ? account.instagramId : person.id);
      if (kind === "self") expect([account.instagramId, person.id]).not.toContain(read.recipient.id);
      else expect(read.recipient.id).toBe(outgoing ? person.id : account.instagramId);
      expect(String(read.timestamp)).toHaveLength(13);
      expect(channel).toBe(kind === "standby" ? "standby" : "messaging");
    }
  });

  test("buildEvent() writes the shapes of §2.3 to §2.5", () => {
    const content = (kind: SandboxEvent["kind"]): Json => eventOf(kind).item;
    expect(content("echo").message).toEqual({ mid: "aWdfNEW0", text: "Grüße 👋", is_echo: true });
    expect(content("delete").message).toEqual({ mid: "aWdfOLD", is_deleted: true });
    expect(content("edit").message_edit).toEqual({ mid: "aWdfOLD", text: "Grüße 👋 (edited 1)", num_edit: 1 });
    expect(content("reaction").reaction).toEqual({ mid: "aWdfOLD", action: "react", reaction: "love", emoji: "❤️" });
    expect(content("unreact").reaction).toEqual({ mid: "aWdfOLD", action: "unreact" });
    expect(content("read").read).toEqual({ mid: "aWdfOLD" });
    expect(content("postback").postback).toMatchObject({
      mid: "aWdfNEW0",
      title: expect.any(String),
      payload: expect.any(String),
    });
    expect(content("ephemeral").message.attachments).toEqual([{ type: "ephemeral" }]);
    expect(content("image").message.attachments[0].payload.url).toStartWith(
      "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=",
    );
    expect(content("images").message.attachments).toHaveLength(3);
    expect(content("reply").message.reply_to).toEqual({ mid: "aWdfOLD" });
    expect(content("story_reply").message.reply_to.story.id).toBeString();
    expect(content("unsupported").message).toEqual({ mid: "aWdfNEW0", is_unsupported: true });
    expect(content("referral").referral.type).toBe("OPEN_THREAD");
    expect(content("ad_referral").message.referral.source).toBe("ADS");
  });
});

describe("buildWebhookBodies()", () => {
  const events = Array.from({ length: 2500 }, (_, at) => eventOf("text", at));
  const midsOf = (bodies: string[]): (string | null)[] =>
    bodies.flatMap((body) =>
      JSON.parse(body).entry.flatMap((entry: Json) => entry.messaging.map((item: Json) => item.message.mid)),
    );

  test("buildWebhookBodies() batches up to 1000 updates in order and refuses more", () => {
    const bodies = buildWebhookBodies(events, { ...options, batchSize: 1000 });
    expect(bodies.map((body) => midsOf([body]).length)).toEqual([1000, 1000, 500]);
    expect(midsOf(bodies)).toEqual(events.map(({ mid }) => mid));
    expect(() => buildWebhookBodies(events, { ...options, batchSize: 1001 })).toThrow("batchSize");
  });

  test("buildWebhookBodies() doubles a share of the events and keeps each one", () => {
    const mids = midsOf(buildWebhookBodies(events, { ...options, batchSize: 7, duplicateShare: 0.2 }));
    expect(new Set(mids).size).toBe(2500);
    expect(mids.length / 2500).toBeCloseTo(1.2, 1);
  });

  test("buildWebhookBodies() reorders without loss, the same way for the same seed", () => {
    const reordered = buildWebhookBodies(events, { ...options, reorder: true });
    const mids = midsOf(reordered);
    expect(mids).not.toEqual(events.map(({ mid }) => mid));
    expect([...mids].sort()).toEqual(events.map(({ mid }) => mid).sort());
    expect(buildWebhookBodies(events, { ...options, reorder: true })).toEqual(reordered);
    expect(buildWebhookBodies(events, { ...options, reorder: true, seed: 4 })).not.toEqual(reordered);
  });

  test("buildWebhookBodies() gathers accounts and channels in entries of their own", () => {
    const other = buildEvent({
      ...eventOf("text"),
      account: { instagramId: "17841400000000002", username: "x" },
      person,
      mid: "m",
      earlierMid: "",
      edits: 0,
      text: "",
    });
    const webhook: Json = buildWebhook(
      [eventOf("text"), other, eventOf("standby"), eventOf("comment"), eventOf("text", 1)],
      true,
      1_760_000_000_123,
    );
    expect(webhook.entry.map((entry: Json) => Object.keys(entry))).toEqual([
      ["id", "time", "messaging"],
      ["id", "time", "messaging"],
      ["id", "time", "standby"],
      ["id", "time", "changes"],
    ]);
    expect(webhook.entry[0].messaging).toHaveLength(2);
    expect(webhook.entry[3].time).toBe(1_760_000_000);
  });
});
