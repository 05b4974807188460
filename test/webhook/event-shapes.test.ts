/** Every kind of event Meta sends, end to end: bytes → parseWebhook() → saveEvents() → rows, on both databases. */
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import shapes from "../fixtures/event-shapes.json" with { type: "json" };
import { openTestRepositories } from "../support/test-repositories.ts";
import { account, bytesOf, delivery, inbound, itemOf, secondAccount } from "../support/webhook-bodies.ts";

const nowMs = 1_763_000_000_000;
const at = 1_762_010_770_464;
const person = "1129842642640637";

/** With its times as text: to toMatchObject() one Date is as good as another (Bun 1.4.5). */
const plain = (rows: object): Record<string, unknown> => JSON.parse(JSON.stringify(rows));

/** What stands in the tables afterwards, each row in brief; what is not named is empty. */
type Rows = {
  events?: readonly string[];
  /** person · direction of the last word: armed for a lookup or not · unread */
  conversations?: readonly string[];
  messages?: readonly Record<string, unknown>[];
  reactions?: readonly Record<string, unknown>[];
  reads?: readonly Record<string, unknown>[];
  names?: readonly string[];
  quarantine?: readonly string[];
};

const said = (mid: string, rest: Record<string, unknown> = {}) => ({ mid, direction: "inbound", ...rest });
const talk = `${person} armed, 1 unread`;
const heart = "❤️";

const shapeRows: Record<keyof typeof shapes, Rows> = {
  text: { events: ["message message:m1"], conversations: [talk], messages: [said("m1", { text: "hi" })] },
  echo: {
    events: ["message message:m2"],
    conversations: [`${person} not armed, 0 unread`],
    messages: [{ mid: "m2", direction: "outgoing", text: "reply" }],
  },
  self: {
    events: ["message message:m3"],
    conversations: [`${account} self, not armed, 0 unread`],
    messages: [{ mid: "m3", direction: "outgoing", text: "note to self" }],
  },
  deleted: {
    events: ["deletion deletion:m1"],
    messages: [said("m1", { text: null, has_content: false, deleted_at: new Date(at) })],
  },
  unsupported: {
    events: ["message message:m4"],
    conversations: [talk],
    messages: [said("m4", { text: null, unsupported: true })],
  },
  edit: {
    events: ["edit edit:m1:1"],
    messages: [said("m1", { text: "hi there", edit_number: 1, has_content: false })],
  },
  reaction: { events: ["reaction"], reactions: [{ mid: "m1", sender_id: person, reaction: "love", emoji: heart }] },
  "reaction-brace-emoji": { events: ["reaction"], reactions: [{ mid: "m1", reaction: "love", emoji: heart }] },
  unreact: { events: ["reaction"], reactions: [{ mid: "m1", sender_id: person, reaction: null, emoji: null }] },
  read: { events: ["read"], reads: [{ participant_id: person, mid: "m2", read_at: new Date(at) }] },
  "read-watermark": { events: ["read"], reads: [{ participant_id: person, mid: null, read_at: new Date(at) }] },
  postback: { events: ["postback postback:m5"], conversations: [talk], messages: [said("m5", { text: "Talk" })] },
  "postback-no-mid": {
    events: ["postback"],
    conversations: [talk],
    messages: [{ direction: "inbound", text: "icebreaker question" }],
  },
  referral: { events: ["referral"] },
  "ad-referral-inline": {
    events: ["message message:m6"],
    conversations: [talk],
    messages: [said("m6", { text: "hi" })],
  },
  "like-heart": {
    events: ["message message:m7"],
    conversations: [talk],
    messages: [said("m7", { attachments: [{ type: "like_heart" }] })],
  },
  "ig-post-double": {
    events: ["message message:m8"],
    conversations: [talk],
    messages: [
      said("m8", {
        attachments: [
          { type: "share", payload: { url: "https://lookaside.fbsbx.com/a" } },
          {
            type: "ig_post",
            payload: { ig_post_media_id: "18", title: "T", url: "https://lookaside.fbsbx.com/a" },
          },
        ],
      }),
    ],
  },
  "future-type": {
    events: ["message message:m9"],
    conversations: [talk],
    messages: [said("m9", { attachments: [{ type: "hologram_2027", payload: { blob: { x: 1 } } }] })],
  },
  "future-event": { events: ["other"] },
  standby: {
    events: ["message message:m11"],
    conversations: [talk],
    messages: [said("m11", { text: "other app owns this" })],
  },
  "changes-messages": { events: ["test"] },
  "comment-username": { events: ["comment comment:c1"], names: [`${person} new_handle`] },
  "numeric-ids": {
    events: ["message message:m12"],
    conversations: [talk],
    messages: [said("m12", { account_id: account, text: "ids as numbers" })],
  },
  "batch-mixed": {
    events: ["message message:b1", "message message:b2", "read", "message message:b3"],
    conversations: ["A1 armed, 2 unread", "A2 armed, 1 unread"],
    messages: [
      said("b1", { account_id: account, text: "first", sent_at: new Date(1_000_000) }),
      said("b2", { account_id: account, text: "second", sent_at: new Date(2_000_000) }),
      said("b3", { account_id: secondAccount, text: "other account" }),
    ],
    reads: [{ participant_id: "A1", mid: "b0" }],
  },
  "duplicate-in-one-post": {
    events: ["message message:d1"],
    conversations: ["A1 armed, 1 unread"],
    messages: [said("d1", { text: "x" })],
  },
  "mid-collision-pair": {
    events: ["message message:mid:1/2", "message message:mid_1_2"],
    conversations: [`${person} armed, 2 unread`],
    messages: [said("mid:1/2", { text: "a" }), said("mid_1_2", { text: "b" })],
  },
  "no-entries": {},
  "no-messaging": {},
  "page-object": {},
  "array-root": {},
  "empty-message": {
    events: ["message message:m13"],
    conversations: [talk],
    messages: [said("m13", { text: null, attachments: null, has_content: true })],
  },
};

/** The documented types and Messenger's two (meta-platform.md §2.4); `ephemeral` has no address. */
const attachmentTypes =
  "image video audio file media share ig_post ig_reel reel story ig_story story_mention ephemeral template fallback like_heart";

const message = (content: Record<string, unknown>) => itemOf(person, at, { message: { mid: "x", ...content } });
const change = (field: string, value: unknown) => ({
  object: "instagram",
  entry: [{ id: account, time: 1_762_010_770, changes: [{ field, value }] }],
});
const from = { id: person, username: "jane" };

/** Forms beside the vectors, with what they come to. */
const furtherShapes: readonly (readonly [string, unknown, Rows])[] = [
  [
    "a quick reply",
    message({ text: "Yes", quick_reply: { payload: "YES" } }),
    { events: ["message message:x"], conversations: [talk], messages: [said("x", { text: "Yes" })] },
  ],
  [
    "a reply to a message that was never stored",
    message({ text: "a", reply_to: { mid: "gone" } }),
    { events: ["message message:x"], conversations: [talk], messages: [said("x", { reply_to_mid: "gone" })] },
  ],
  [
    "a reply to a story",
    message({ text: "wow", reply_to: { story: { id: "1", url: "https://x", link_sticker_url: "https://y" } } }),
    { events: ["message message:x"], conversations: [talk], messages: [said("x", { reply_to_mid: null })] },
  ],
  [
    "a shop's product",
    message({ text: "how much?", referral: { product: { id: "7" } } }),
    { events: ["message message:x"], conversations: [talk], messages: [said("x", { text: "how much?" })] },
  ],
  [
    "a tap in a note to oneself",
    {
      ...itemOf(account, at, { postback: { mid: "x", title: "Go" }, is_self: true }),
      recipient: { id: "9000000000000001" },
    },
    {
      events: ["postback postback:x"],
      conversations: ["9000000000000001 self, not armed, 0 unread"],
      messages: [{ mid: "x", direction: "outgoing", text: "Go" }],
    },
  ],
  [
    "a hand-over of the thread",
    itemOf(person, at, { pass_thread_control: { new_owner_app_id: 1 } }),
    { events: ["other"] },
  ],
  ["an opt-in", itemOf(person, at, { optin: { type: "notification_messages" } }), { events: ["other"] }],
  [
    "an echo by its own field",
    change("message_echoes", {
      sender: { id: account },
      recipient: { id: person },
      timestamp: at,
      message: { mid: "x", text: "hi", is_echo: true },
    }),
    {
      events: ["message message:x"],
      conversations: [`${person} not armed, 0 unread`],
      messages: [{ mid: "x", direction: "outgoing" }],
    },
  ],
  [
    "a standby item by its own field",
    change("standby", inbound(person, "x", at)),
    { events: ["message message:x"], conversations: [talk], messages: [said("x")] },
  ],
  [
    "an ad's comment, which names its id otherwise",
    change("comments", { comment_id: "c2", from, text: "x", media: { id: "2", ad_id: "3", ad_title: "t" } }),
    { events: ["comment comment:c2"], names: [`${person} jane`] },
  ],
  [
    "a comment on a live video",
    change("live_comments", { id: "c3", from, text: "x" }),
    { events: ["comment comment:c3"], names: [`${person} jane`] },
  ],
  [
    "a comment right on the entry",
    { object: "instagram", entry: [{ id: account, time: 1, field: "comments", value: { id: "c4", from, text: "x" } }] },
    { events: ["comment comment:c4"], names: [`${person} jane`] },
  ],
  [
    "a comment of the account itself",
    change("comments", { id: "c5", from: { id: account, username: "shop" }, text: "x" }),
    { events: ["comment comment:c5"] },
  ],
  [
    "a comment of the account under its scoped id",
    change("comments", { id: "c6", from: { ...from, self_ig_scoped_id: person }, text: "x" }),
    { events: ["comment comment:c6"] },
  ],
  ["a comment of nobody", change("comments", { id: "c7", text: "x" }), { events: ["comment comment:c7"] }],
  [
    "a comment whose author's id has lost its digits",
    change("comments", { id: "c8", from: { id: 1.5, username: "jane" }, text: "x" }),
    { events: ["comment comment:c8"] },
  ],
  ["a mention in a comment", change("mentions", { comment_id: "9", media_id: "8" }), { events: ["mention"] }],
  [
    "a mention that names its author",
    change("mentions", { media_id: "8", from }),
    { events: ["mention"], names: [`${person} jane`] },
  ],
  ["figures of a story", change("story_insights", { media_id: "8", impressions: 1 }), { events: ["other"] }],
  [
    "an entry whose values are switched off",
    { object: "instagram", entry: [{ id: account, time: 1, changed_fields: ["messages"] }] },
    { events: ["other"] },
  ],
  ["another product's message", { ...shapes.text, object: "page" }, { events: ["other"] }],
  [
    "the dashboard's preview without an envelope",
    { field: "messages", value: shapes["changes-messages"].entry[0]?.changes[0]?.value },
    { events: ["test"] },
  ],
  [
    "a comment of the dashboard's test",
    { object: "instagram", entry: [{ id: "0", time: 1, changes: [{ field: "comments", value: { id: "c9", from } }] }] },
    { events: ["test"] },
  ],
];

for (const kind of ["postgres", "embedded"] as const) {
  describe(`parseWebhook() and saveEvents() on ${kind}`, async () => {
    const db = await openTestRepositories(kind);
    afterAll(() => db[Symbol.asyncDispose]());
    beforeEach(() => db.empty());

    const file = async (body: Uint8Array) => {
      const { events, quarantined } = parseWebhook(body, nowMs);
      await db.events.saveEvents(events, 5_000);
      if (quarantined.length > 0) await db.events.saveQuarantine(quarantined, 5_000);
    };

    const readRows = async () => ({
      events: (await db.rows("events", "account_id, event_key")).map((row) => `${row.kind} ${row.event_key}`),
      conversations: (await db.rows("conversations", "id")).map(
        (row) =>
          `${row.participant_platform_id} ${row.self ? "self, " : ""}${row.next_attempt_at === null ? "not " : ""}armed, ${row.unread_count} unread`,
      ),
      messages: await db.rows("messages", "account_id, mid"),
      reactions: await db.rows("reactions", "account_id, mid, sender_id"),
      reads: await db.rows("read_receipts", "account_id, participant_id"),
      names: (await db.rows("known_usernames", "account_id, participant_id")).map(
        (row) => `${row.participant_id} ${row.username}`,
      ),
      quarantine: (await db.rows("quarantine", "id")).map((row) => String(row.reason)),
    });

    const expectRows = async (expected: Rows) => {
      const found = await readRows();
      const empty = { conversations: [], messages: [], reactions: [], reads: [], names: [], quarantine: [] };
      const { events = [], ...rest } = expected;
      expect(plain(found)).toMatchObject(plain({ ...empty, ...rest }));
      // A key that is a hash is named by its kind alone.
      expect(found.events.map((event, n) => (events[n]?.includes(" ") ? event : event.split(" ")[0]))).toEqual([
        ...events,
      ]);
    };

    test.each(Object.keys(shapeRows) as (keyof typeof shapes)[])("%s, once and again", async (name) => {
      const shape: unknown = shapes[name];
      // Some vectors are two deliveries; an outer array of one is read as such.
      const bodies = (name === "mid-collision-pair" && Array.isArray(shape) ? shape : [shape]).map((body) =>
        // Importing the fixture has already rounded the one bare number: put its last digit back.
        Buffer.from(JSON.stringify(body).replaceAll("17841400000000000", account), "utf8"),
      );
      for (const body of [...bodies, ...bodies]) await file(body);
      await expectRows(shapeRows[name]);
    });

    test.each(furtherShapes)("%s, once and again", async (_name, shape, expected) => {
      const isItem = typeof shape === "object" && shape !== null && "sender" in shape;
      const body = isItem ? delivery([shape as Record<string, unknown>]) : bytesOf(shape);
      for (let times = 0; times < 2; times++) await file(body);
      await expectRows(expected);
    });

    test("attachments of every type are kept as they came, alone and together", async () => {
      const attachments = attachmentTypes.split(" ").map((type) => ({
        type,
        ...(type === "ephemeral"
          ? {}
          : { payload: { url: `https://lookaside.fbsbx.com/${type}`, title: "ä\u0000", odd: { 1: [] } } }),
      }));
      await file(delivery(attachments.map((one) => inbound(person, `one-${one.type}`, at, { attachments: [one] }))));
      await file(delivery([inbound(person, "all", at, { attachments })]));
      const stored = new Map((await db.rows("messages", "mid")).map((row) => [row.mid, row.attachments]));
      expect(stored.size).toBe(attachments.length + 1);
      for (const one of attachments) expect(stored.get(`one-${one.type}`)).toEqual([one]);
      expect(stored.get("all")).toEqual(attachments);
    });

    test.each([
      ["milliseconds", at, at],
      ["seconds", 1_762_010_770, 1_762_010_770_000],
      ["seconds as text", "1762010770", 1_762_010_770_000],
      ["milliseconds as text", String(at), at],
      ["ISO text", "2025-11-01T15:26:10.464Z", at],
      ["none: the entry's time stands in", null, 1_762_010_783_728],
    ])("a time in %s orders the list as any other", async (_form, timestamp, expected) => {
      await file(delivery([{ ...inbound(person, "x", at), timestamp }]));
      const [message] = await db.rows("messages", "mid");
      const [conversation] = await db.rows("conversations", "id");
      expect([message?.sent_at, conversation?.last_message_at]).toEqual([new Date(expected), new Date(expected)]);
    });
  });
}
