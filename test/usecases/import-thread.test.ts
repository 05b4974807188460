/** Conversations that only Instagram's inbox knows: the sandbox over HTTP, a real Postgres. */
import { afterAll, describe, expect, test } from "bun:test";
import type { ConversationId } from "../../src/domain/ids.ts";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import { ask, openReceiver } from "../sandbox/open-test-sandbox.ts";
import { missingProfiles, openTestRepositories } from "../support/test-repositories.ts";
import { echo, inbound } from "../support/webhook-bodies.ts";
import { type InboxWorld, openInboxWorld } from "./inbox-world.ts";

const importing = { importMissing: true } as const;
type Told = { id: string; created_time: string; from: { id: string }; message: string };

describe("bulkNames() with import", async () => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());
  const messagesOf = async (id: ConversationId) =>
    (await db.rows("messages", "sent_at desc, mid")).filter((row) => row.conversation_id === id);
  /** A person's latest messages as the sandbox tells them, newest first. */
  const tell = async (world: InboxWorld, person: string): Promise<Told[]> => {
    const { sandbox, own } = world;
    const url = `${own.login === "instagram" ? sandbox.instagramUrl : sandbox.facebookUrl}/v26.0`;
    const list = await ask(
      `${url}/${own.pageId ?? "me"}/conversations?platform=instagram&fields=id&user_id=${person}`,
      own.token,
    );
    const fields = "messages.limit(20){id,created_time,from,message}";
    return (await ask(`${url}/${list.body.data[0].id}?fields=${fields}`, own.token)).body.messages.data;
  };
  /** What replay would correct: nothing, where conversations say what their messages say. */
  const differences = async () => {
    const ids = (await db.rows("conversations", "id")).map((row) => row.id as ConversationId);
    return db.replays.compareConversations(ids, new Set(), []);
  };

  test.each([0, 1])("creates what is missing with its latest messages, of account %i", async (accountIndex) => {
    await using world = await openInboxWorld(db, { people: 60 }, accountIndex);
    const { people } = world.own;
    await world.file(inbound(people[3]?.id ?? "", "known", Date.now(), {}, world.id));
    const { end, last } = await world.run(importing);
    expect(end).toEqual({ kind: "done" });
    expect(last).toEqual({
      calls: 2 + 59,
      listed: 60,
      named: 60,
      imported: 59,
      cursor: null,
      pausedForMs: null,
      unsaved: true,
    });
    expect(world.listCalls()).toHaveLength(2);
    expect(world.threadCalls()).toHaveLength(59);
    for (const { id, username } of [people[0], people[20], people[59]].filter((one) => one !== undefined)) {
      const told = await tell(world, id);
      const rows = await messagesOf(world.conversationIdOf(id));
      expect(rows.map(({ mid, text }) => [mid, text])).toEqual(told.map((one) => [one.id, one.message]));
      expect(rows.map(({ direction }) => direction)).toEqual(
        told.map((one) => (one.from.id === id ? "inbound" : "outgoing")),
      );
      expect(rows.length).toBeLessThanOrEqual(20);
      expect(await world.conversation(id)).toMatchObject({
        ...{ source: "import", unread_count: 0, participant_username: username, profile_status: "pending" },
        ...{ last_message_at: new Date(told[0]?.created_time ?? ""), next_attempt_at: null, self: false },
        last_inbound_at: new Date(told.find((one) => one.from.id === id)?.created_time ?? ""),
      });
    }
    expect(await world.conversation(people[3]?.id ?? "")).toMatchObject({ source: "webhook", unread_count: 1 });
    expect(await differences()).toEqual([]);
    // They are candidates of the run's second part.
    expect(await db.candidates.countCandidates(world.id, missingProfiles)).toMatchObject({ total: 60 });

    world.sandbox.calls.reset();
    expect((await world.run(importing)).last).toMatchObject({ calls: 1, imported: 0 });
  });

  test("a listing that only named people does not stop one that imports", async () => {
    await using world = await openInboxWorld(db, { people: 120 });
    await world.run();
    const { last } = await world.run(importing);
    expect(last).toMatchObject({ calls: 3 + 120, imported: 120 });
    expect((await world.run()).last).toMatchObject({ calls: 1 });
  });

  test("is gone on with in the middle of a page: no thread is read twice, and the totals add up", async () => {
    await using world = await openInboxWorld(db, { people: 70 });
    const stop = new AbortController();
    const first = await world.run({
      ...importing,
      signal: stop.signal,
      onPage: ({ calls }) => {
        if (calls === 21) stop.abort();
      },
    });
    expect(first.end).toEqual({ kind: "stopped" });
    expect(first.last).toMatchObject({ calls: 21, listed: 0, imported: 0 });
    const { cursor = null, calls = 0, listed = 0, named = 0, imported = 0 } = first.last ?? {};
    const second = await world.run({ ...importing, cursor, totals: { calls, listed, named, imported } });
    // One list call again, of the page in whose middle it stopped.
    expect(second.last).toMatchObject({ calls: 3 + 70, listed: 70, named: 70, imported: 70, cursor: null });
  });

  test("64 posts at once during an import make no message and no conversation twice", async () => {
    await using world = await openInboxWorld(db, { people: 64 });
    const { people } = world.own;
    const posts = await Promise.all(
      people.map(async ({ id }) =>
        (await tell(world, id)).map((one) => {
          const atMs = Date.parse(one.created_time) + 250;
          if (one.from.id !== id) return echo(id, one.id, atMs, world.id);
          return inbound(id, one.id, atMs, { text: one.message }, world.id);
        }),
      ),
    );
    // Of half of them a webhook is new as well: the latest words, which the list of before does not hold.
    const fresh = people.map(({ id }, n) => inbound(id, `fresh ${n}`, Date.now(), {}, world.id));
    let sent: Promise<unknown> | null = null;
    const { end } = await world.run({
      ...importing,
      onPage: ({ calls }) => {
        if (calls < 5 || sent !== null) return;
        sent = Promise.all(posts.map((items, n) => world.file(...items, ...(n % 2 === 0 ? [fresh[n] ?? {}] : []))));
      },
    });
    await sent;
    expect(end).toEqual({ kind: "done" });
    const conversations = await db.rows("conversations", "id");
    expect(conversations).toHaveLength(64);
    const told = posts.flat().length + 32;
    const messages = await db.rows("messages", "mid");
    expect(messages).toHaveLength(told);
    expect(new Set(messages.map(({ mid }) => mid)).size).toBe(told);
    expect(new Set(conversations.map(({ source }) => source))).toEqual(new Set(["webhook", "import"]));
    for (const [n, { id }] of people.entries()) {
      const inboundTold = posts[n]?.filter(({ sender }) => (sender as { id: string }).id === id).length ?? 0;
      expect(await world.conversation(id)).toMatchObject({ unread_count: inboundTold + (n % 2 === 0 ? 1 : 0) });
    }
    expect(await differences()).toEqual([]);
  });

  test("a webhook that comes after its message was imported counts it once, and a late one not at all", async () => {
    await using world = await openInboxWorld(db, { people: 2 });
    const [now, late] = world.own.people.map(({ id }) => id) as [string, string];
    const told = [await tell(world, now), await tell(world, late)] as const;
    await world.run(importing);
    const [newest] = told[0];
    const [old] = told[1];
    const [rowsBefore] = [await db.rows("messages", "mid")];
    await world.file(inbound(now, newest?.id ?? "", Date.now(), { text: newest?.message }, world.id));
    await world.file(inbound(late, old?.id ?? "", Date.now() - 2 * 86_400_000, { text: old?.message }, world.id));
    expect(await db.rows("messages", "mid")).toHaveLength(rowsBefore.length);
    expect(await world.conversation(now)).toMatchObject({ unread_count: 1, source: "import" });
    expect(await world.conversation(late)).toMatchObject({ unread_count: 0 });
    expect(await differences()).toEqual([]);
    // Whoever has not counted yet is due as ever, from the message on.
    expect(await db.lookups.listDue(5)).toEqual([world.conversationIdOf(now)]);
  });

  test("imports by the ids of webhooks that were lost, edited or unsent on the way", async () => {
    await using receiver = openReceiver();
    await using world = await openInboxWorld(db, { people: 5, webhookUrl: receiver.url });
    const [person] = world.own.people.map(({ id }) => id) as [string];
    for (const kinds of [["text"], ["edit"], ["images"], ["echo"], ["reply"], ["delete"], ["text"]] as const)
      await world.sandbox.deliver({ count: 1, personIds: [person], kinds });
    await world.run(importing);
    const imported = await messagesOf(world.conversationIdOf(person));
    expect(imported.filter(({ mid }) => String(mid).includes("fc2FuZGJveA")).length).toBe(4);
    expect(imported.find(({ attachments }) => attachments !== null)?.attachments).toBeArrayOfSize(3);
    // Then all of them come after all.
    for (const { bytes } of receiver.deliveries)
      await db.events.saveEvents(parseWebhook(bytes, Date.now()).events, 5_000);
    const after = await messagesOf(world.conversationIdOf(person));
    expect(new Set(after.map(({ mid }) => mid)).size).toBe(after.length);
    expect(after.filter(({ mid }) => String(mid).includes("fc2FuZGJveA"))).toHaveLength(5); // and the unsent one's place
    expect(after.filter(({ deleted_at }) => deleted_at !== null)).toMatchObject([{ text: null }]);
  });

  test("leaves a thread that fails to a later run, and creates one that is hidden from the list alone", async () => {
    await using world = await openInboxWorld(db, { people: 60 });
    const [fails, missing, permission, much] = world.own.people.map(({ id }) => id) as [string, string, string, string];
    world.sandbox.setThreadTwist(fails, "fails");
    world.sandbox.setThreadTwist(missing, "missing");
    world.sandbox.setThreadTwist(permission, "permission");
    world.sandbox.setThreadTwist(much, "too_much");
    const { end, last } = await world.run(importing);
    expect(end).toEqual({ kind: "done" });
    expect(last).toMatchObject({ listed: 60, imported: 58 });
    expect(await world.conversation(fails)).toBeUndefined();
    expect(await world.conversation(permission)).toBeUndefined();
    expect(await world.conversation(missing)).toMatchObject({ last_inbound_at: null, source: "import" });
    expect(await messagesOf(world.conversationIdOf(much))).not.toBeEmpty();
    expect((await messagesOf(world.conversationIdOf(much))).length).toBeLessThanOrEqual(10);
    expect((await world.knownNames()).has(fails)).toBe(true);
    for (const person of [fails, permission, much]) world.sandbox.setThreadTwist(person, null);
    expect((await world.run(importing)).last).toMatchObject({ calls: 4, imported: 2 });
    expect((await world.run(importing)).last).toMatchObject({ calls: 1, imported: 0 });
  });

  test("a token that dies between two threads ends it, and what was created stays", async () => {
    await using world = await openInboxWorld(db, { people: 30 });
    const { end } = await world.run({
      ...importing,
      onPage: ({ calls }) => {
        if (calls === 11) world.sandbox.setAccountTrouble(0, "token_password_changed");
      },
    });
    expect(end).toEqual({ kind: "blocked", reason: "token_dead" });
    expect(await db.rows("conversations", "id")).toHaveLength(10);
    expect((await db.accounts.listAccounts())[0]).toMatchObject({ state: "reauth_required" });
  });
});
