import { afterAll, describe, expect, test } from "bun:test";
import { type ConversationCursor, conversationStatuses } from "../../src/domain/conversation.ts";
import { type AccountId, type ConversationId, parseAccountId } from "../../src/domain/ids.ts";
import { profileStatuses } from "../../src/domain/profile.ts";
import { buildOpenApi } from "../../src/http/openapi/openapi.ts";
import { missingProfiles, openTestRepositories } from "../support/test-repositories.ts";
import { explainQuery } from "./explain-query.ts";

const all = { accountId: null, status: null, profileStatus: null, before: null, limit: 100 } as const;
const rowsMade = 30_000;

describe("createConversationsRepository() on a filled table", async () => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());
  // Ten accounts; every tenth person has no profile; many share a moment, so that the key's second half matters.
  await db.database.query(
    `insert into conversations (account_id, participant_platform_id, last_message_at, last_inbound_at, profile_status, status, next_attempt_at)
     select 'a' || n % 10, 'p' || n, to_timestamp(1760000000 + n / 7), now(), case when n % 10 = 3 then 'pending' else 'complete' end,
       case when n % 100 = 0 then 'archived' else 'active' end, case when n % 1000 = 3 then now() end
     from generate_series(1, ${rowsMade}) n`,
    [],
    "fill",
    30_000,
  );
  await db.database.query(
    "insert into accounts (id, own_id, login) values ('a3', 'my-shop', 'instagram')",
    [],
    "name one",
  );
  await db.database.query("analyze", [], "analyze");

  test("walks the whole list by cursor: every conversation once, latest first", async () => {
    const seen: string[] = [];
    let before: ConversationCursor | null = null;
    let lastMs = Number.POSITIVE_INFINITY;
    for (;;) {
      const page = await db.conversations.listConversations({ ...all, before, limit: 1_000 });
      const last = page.at(-1);
      if (last === undefined) break;
      for (const row of page) {
        expect(row.lastMessageAtMs).toBeLessThanOrEqual(lastMs);
        lastMs = row.lastMessageAtMs;
        seen.push(row.id);
      }
      before = { lastMessageAtMs: last.lastMessageAtMs, id: last.id };
    }
    expect(seen).toHaveLength(rowsMade);
    expect(new Set(seen).size).toBe(rowsMade);
  }, 30_000);

  test("filters by account under either name, by status and by profile", async () => {
    const byOwn = await db.conversations.listConversations({ ...all, accountId: "my-shop" });
    expect(byOwn).toHaveLength(100);
    expect(new Set(byOwn.map((row) => row.accountId))).toEqual(new Set(["my-shop"]));
    expect(await db.conversations.listConversations({ ...all, accountId: "a3" })).toEqual(byOwn);
    expect(await db.conversations.listConversations({ ...all, accountId: "nobody" })).toEqual([]);
    const archived = await db.conversations.listConversations({ ...all, status: "archived" });
    expect(new Set(archived.map((row) => row.status))).toEqual(new Set(["archived"]));
    const pending = await db.conversations.listConversations({ ...all, profileStatus: "pending" });
    expect(new Set(pending.map((row) => row.profileStatus))).toEqual(new Set(["pending"]));
  });

  test("a backfill's candidates are one account's people without a profile, page by page, each once", async () => {
    const accountId = parseAccountId("a3") as AccountId;
    const seen: ConversationId[] = [];
    let before: ConversationCursor | null = null;
    for (;;) {
      const page = await db.candidates.listCandidates(accountId, missingProfiles, before, 700);
      const last = page.at(-1);
      if (last === undefined) break;
      seen.push(...page.map((row) => row.id));
      before = { lastMessageAtMs: last.lastMessageAtMs, id: last.id };
    }
    expect(seen).toHaveLength(rowsMade / 10);
    expect(new Set(seen).size).toBe(rowsMade / 10);
    expect((await db.candidates.countCandidates(accountId, missingProfiles)).total).toBe(rowsMade / 10);
  });

  test.each([
    ["list-conversations.sql", ["null", "null", "1760002000000", "'a1_p1'", "20"]],
    ["list-account-conversations.sql", ["'a3'", "null", "null", "1760002000000", "'a1_p1'", "20"]],
    ["list-missing-profiles.sql", ["'a3'", "1760002000000", "'a1_p1'", "1000", "7", "1750000000000"]],
    ["list-people.sql", ["'a3'", "1760002000000", "'a1_p1'", "1000", "7", "1750000000000", "true"]],
    ["list-due-lookups.sql", ["100"]],
    ["get-conversation.sql", ["'a3_p3'"]],
    ["claim-lookups.sql", [`'["a3_p3","a3_p13"]'`, "60000", "false", "'a-folder'", "'a-run'", "'7'"]],
    ["release-owned-lookups.sql", ["'a-folder'"]],
    ["release-claimed-lookups.sql", ["'a-folder'", `'["a3_p3","a3_p13"]'`]],
  ])("%s reads by an index, not by scanning the table", async (name, values) => {
    // Plans as the server makes them for a prepared statement: parameters unknown, then the generic plan.
    const plan = JSON.stringify(await explainQuery(db.database, name, values, { mode: "generic" }));
    expect(plan).not.toContain("Seq Scan on conversations");
    expect(plan).toContain("Index");
  });
});

describe("status names", () => {
  test("are the same words in the database, the code and the API", async () => {
    await using db = await openTestRepositories();
    const checks = await db.database.query<{ definition: string }>(
      "select pg_get_constraintdef(oid) as definition from pg_constraint where conrelid = 'conversations'::regclass and contype = 'c'",
      [],
      "read the checks",
    );
    const wordsOf = (column: string) =>
      [
        ...(checks
          .find(({ definition }) => definition.includes(`(${column} =`))
          ?.definition.matchAll(/'([a-z_]+)'::text/g) ?? []),
      ].map((match) => match[1]);
    expect(wordsOf("status")).toEqual([...conversationStatuses]);
    expect(wordsOf("profile_status")).toEqual([...profileStatuses]);
    const api = JSON.stringify(buildOpenApi("0"));
    expect(api).toContain(JSON.stringify(conversationStatuses));
    expect(api).toContain(JSON.stringify(profileStatuses));
  });
});
