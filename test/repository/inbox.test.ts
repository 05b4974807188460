import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import postgres from "postgres";
import { conversationIdOf, parseAccountId, parseParticipantId } from "../../src/domain/ids.ts";
import type { ImportedConversation, ListedNames } from "../../src/repository/inbox.ts";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import { openTestRepositories } from "../support/test-repositories.ts";
import { account, delivery, inbound, itemOf } from "../support/webhook-bodies.ts";

const accountId = parseAccountId(account) ?? (account as never);
const personOf = (text: string) => parseParticipantId(text) ?? (text as never);
const [anna, ben, cleo] = ["1001", "1002", "1003"].map(personOf) as [never, never, never];
const t = Date.now() - 3_600_000;

for (const kind of ["postgres", "embedded"] as const) {
  describe(`createInboxRepository() on ${kind}`, async () => {
    const db = await openTestRepositories(kind);
    afterAll(() => db[Symbol.asyncDispose]());
    beforeEach(async () => {
      await db.empty();
      await db.accounts.saveAccount({
        ...{
          id: accountId,
          ownId: "shop",
          login: "instagram",
          pageId: null,
          appScopedId: "26912345",
          username: "my.shop",
        },
        ...{ token: "IGAAtest", tokenExpiresAtMs: null },
      });
    });
    const file = (...items: Record<string, unknown>[]) =>
      db.events.saveEvents(parseWebhook(delivery(items), Date.now()).events, 5_000);
    const save = (people: ListedNames["people"], rest: Partial<ListedNames> = {}) =>
      db.inbox.saveListedNames({
        ...{ accountId, people, askedAtMs: Date.now(), namedReasons: ["no_consent"], startedAtMs: t },
        place: null,
        ...rest,
      });
    const thread = (rest: Partial<ImportedConversation> = {}): ImportedConversation => ({
      ...{ accountId, participantId: anna, username: "anna", lastMessageAtMs: t, lastInboundAtMs: t - 1_000 },
      messages: [message("m1", t - 1_000), { ...message("m2", t), direction: "outgoing" }],
      ...rest,
    });
    const message = (mid: string, sentAtMs: number): ImportedConversation["messages"][0] => ({
      ...{ mid, direction: "inbound", text: `text of ${mid}`, attachments: null, replyToMid: null, unsupported: false },
      sentAtMs,
    });
    const conversation = async () => (await db.rows("conversations", "id"))[0];

    test("getListing() tells what covered the inbox, and forgets it with the token", async () => {
      expect(await db.inbox.getListing(personOf("404") as never)).toBeNull();
      const before = await db.inbox.getListing(accountId);
      expect(before).toMatchObject({
        ...{ listedAtMs: null, importListedAtMs: null, appScopedId: "26912345" },
        username: "my.shop",
      });
      const startedAtMs = (before?.nowMs ?? 0) + 1_000;
      await db.inbox.endListing(accountId, startedAtMs, false);
      await db.inbox.endListing(accountId, startedAtMs - 500, true);
      expect(await db.inbox.getListing(accountId)).toMatchObject({
        ...{ listedAtMs: startedAtMs, importListedAtMs: startedAtMs - 500 },
      });
      await db.database.query("update accounts set token_saved_at = now() + interval '1 hour'", [], "renew the token");
      expect(await db.inbox.getListing(accountId)).toMatchObject({ listedAtMs: null, importListedAtMs: null });
    });

    test("saveListedNames() tells what it changed, who is missing, and what was imported", async () => {
      await file(inbound(anna, "m1", t));
      const people = [
        { participantId: anna, username: "anna" },
        { participantId: ben, username: "ben" },
        { participantId: cleo, username: null },
      ];
      expect(await save(people)).toEqual({ lost: false, changed: 2, missing: [ben, cleo], imported: 0 });
      expect(await save(people)).toEqual({ lost: false, changed: 0, missing: [ben, cleo], imported: 0 });
      expect(await save([])).toEqual({ lost: false, changed: 0, missing: [], imported: 0 });
      await db.inbox.importConversation(thread({ participantId: ben }));
      expect(await save(people)).toEqual({ lost: false, changed: 1, missing: [cleo], imported: 1 }); // ben's row said "anna"
      expect(await save(people, { startedAtMs: Date.now() + 60_000 })).toMatchObject({ imported: 0 });
      const renamed = [{ participantId: ben, username: "ben.two" }];
      expect(await save(renamed, { askedAtMs: t })).toMatchObject({ changed: 0 }); // a name heard since is newer
      expect(await save(renamed)).toMatchObject({ changed: 1 });
    });

    test("saveListedNames() walks no table, also of one whose size nobody has measured yet", async () => {
      const fill = `insert into conversations (account_id, participant_platform_id, last_message_at)
        select '${account}', n::text, now() from generate_series(10000, 40000) n`;
      await db.database.query(fill, [], "fill", 30_000);
      await db.database.query(
        `insert into known_usernames select '${account}', n::text, 'u', now() from generate_series(50000, 80000) n`,
        [],
        "fill",
        30_000,
      );
      const people = [10_001, 50_001, 90_001].map((id) => ({ participant_id: String(id), username: "new" }));
      const values = [
        `'${account}'`,
        `'${JSON.stringify(people)}'`,
        String(t),
        `'["no_consent"]'`,
        String(t),
        ...Array(4).fill("null"),
      ];
      const text = await Bun.file(`${import.meta.dir}/../../sql/queries/save-listed-names.sql`).text();
      const filled = values.reduce((sql, value, n) => sql.replaceAll(`$${n + 1}`, value), text);
      const plan = JSON.stringify(await db.database.query(`explain ${filled}`, [], "explain"));
      expect(plan).not.toMatch(/Seq Scan on (conversations|known_usernames)/);
      expect(plan).toContain("conversations_pkey");
    });

    test("saveListedNames() leaves a newer profile's name, and turns a refusal once", async () => {
      await file(inbound(anna, "m1", t));
      await db.database.query(
        "update conversations set profile_status = 'no_consent', reason_code = 'no_consent', participant_username = 'anna'",
        [],
        "refuse",
      );
      expect(await save([{ participantId: anna, username: "anna" }])).toMatchObject({ changed: 1 });
      expect(await conversation()).toMatchObject({ profile_status: "username_only", reason_code: "no_consent" });
      expect(await save([{ participantId: anna, username: "anna" }])).toMatchObject({ changed: 0 });
      await db.database.query("update conversations set fetched_at = now() + interval '1 hour'", [], "fetch");
      expect(await save([{ participantId: anna, username: "older" }])).toMatchObject({ changed: 0 });
      expect(await conversation()).toMatchObject({ participant_username: "anna" });
    });

    // The embedded database has one connection, so that nobody is ever waited for.
    if (kind === "postgres")
      test("saveListedNames() waits for other writers, and loses none of their changes", async () => {
        const [dora, elis] = ["1004", "1005"].map(personOf) as [never, never];
        const people = [elis, dora, cleo, ben, anna].map((participantId) => ({ participantId, username: "listed" }));
        await file(...people.map(({ participantId }) => inbound(participantId, `m${participantId}`, t)));
        await using other = new AsyncDisposableStack();
        const sql = other.adopt(postgres(db.url ?? "", { max: 2, onnotice() {} }), (used) => used.end({ timeout: 2 }));
        const changed = (id: string, rest: string) =>
          `update conversations set ${rest} where participant_platform_id = '${id}'`;
        let saving: ReturnType<typeof save> | undefined;
        await sql.begin(async (held) => {
          await held.unsafe(changed(anna, "unread_count = 7, participant_name = 'Anna'"));
          await held.unsafe(changed(ben, "participant_username = 'listed'"));
          await held.unsafe(changed(cleo, "participant_username = 'newer', fetched_at = now() + interval '1 hour'"));
          await held.unsafe(changed(dora, "profile_status = 'no_consent', reason_code = 'no_consent'"));
          await held`delete from conversations where participant_platform_id = ${elis}`;
          saving = save(people);
          const waiting = async () =>
            (await sql`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)
              .length;
          while ((await waiting()) === 0) await Bun.sleep(5);
        });
        expect(await saving).toEqual({ lost: false, changed: 2, missing: [], imported: 0 });
        expect(await db.rows("conversations", "participant_platform_id")).toMatchObject([
          { participant_username: "listed", unread_count: 7, participant_name: "Anna", profile_status: "pending" },
          { participant_username: "listed" },
          { participant_username: "newer" },
          { participant_username: "listed", profile_status: "username_only", reason_code: "no_consent" },
        ]);
      });

    test("importConversation() creates a conversation and its messages once", async () => {
      expect(await db.inbox.importConversation(thread())).toBe(true);
      const rows = await db.rows("messages", "mid");
      expect(rows).toMatchObject([
        { mid: "m1", direction: "inbound", imported: true, conversation_id: conversationIdOf(accountId, anna) },
        { mid: "m2", direction: "outgoing", sent_at: new Date(t) },
      ]);
      expect(await db.inbox.importConversation(thread())).toBe(false);
      expect(await db.rows("messages", "mid")).toEqual(rows);
      expect(await conversation()).toMatchObject({
        ...{ source: "import", unread_count: 0, last_message_at: new Date(t), last_inbound_at: new Date(t - 1_000) },
        ...{ next_attempt_at: null, profile_status: "pending", participant_username: "anna" },
      });
      expect(
        await db.inbox.importConversation(thread({ participantId: ben, messages: [], lastInboundAtMs: null })),
      ).toBe(true);
    });

    test("importConversation() leaves what a webhook filed first, and no time goes back", async () => {
      await file(inbound(anna, "m2", t + 5_000), inbound(anna, "m9", t + 9_000));
      expect(await db.inbox.importConversation(thread())).toBe(false);
      expect(await conversation()).toMatchObject({
        ...{ source: "webhook", unread_count: 2, last_message_at: new Date(t + 9_000), participant_username: "anna" },
      });
      expect(await db.rows("messages", "mid")).toMatchObject([
        { mid: "m1", imported: true },
        { mid: "m2", imported: false, direction: "inbound", sent_at: new Date(t + 5_000) },
        { mid: "m9", imported: false },
      ]);
    });

    test("importConversation() gives content to a message of which only an edit or its end was known", async () => {
      const edit = { message_edit: { mid: "m1", text: "edited", num_edit: 1 } };
      await file(itemOf(anna, t, edit), inbound(anna, "m2", t, { is_deleted: true }));
      await db.inbox.importConversation(thread());
      expect(await db.rows("messages", "mid")).toMatchObject([
        { mid: "m1", has_content: true, text: "edited", edit_number: 1, sent_at: new Date(t - 1_000) },
        { mid: "m2", has_content: true, text: null, deleted_at: new Date(t) },
      ]);
    });

    test("a webhook after the import takes the message over: counted once, at the time it names", async () => {
      await db.inbox.importConversation(thread());
      await file(inbound(anna, "m1", t - 400));
      await file(inbound(anna, "m1", t - 400));
      expect(await conversation()).toMatchObject({ unread_count: 1, source: "import" });
      const [first] = await db.rows("messages", "mid");
      expect(first).toMatchObject({ imported: false, sent_at: new Date(t - 400) });
      const id = conversationIdOf(accountId, anna);
      expect(await db.replays.compareConversations([id], new Set(), [])).toEqual([]);
    });

    test("an import and the webhooks of the same messages at once end in one row each", async () => {
      const mids = Array.from({ length: 20 }, (_, n) => `n${String(n).padStart(2, "0")}`);
      const messages = mids.map((mid, n) => message(mid, t + n));
      await Promise.all([
        ...mids.map((mid, n) => file(inbound(anna, mid, t + n))),
        db.inbox.importConversation(thread({ messages, lastMessageAtMs: t + 19, lastInboundAtMs: t + 19 })),
        ...mids.map((mid, n) => file(inbound(anna, mid, t + n))),
      ]);
      expect(await db.rows("conversations", "id")).toHaveLength(1);
      expect(await conversation()).toMatchObject({ unread_count: 20, last_message_at: new Date(t + 19) });
      expect((await db.rows("messages", "mid")).map(({ mid, imported }) => [mid, imported])).toEqual(
        mids.map((mid) => [mid, false]),
      );
    });
  });
}
