/** Statements that take a list of people, one of them nearly always: no plan that is kept for them scans the table. */
import { afterAll, describe, expect, test } from "bun:test";
import { openTestRepositories } from "../support/test-repositories.ts";
import { explainQuery } from "./explain-query.ts";

const statements = {
  "claim-lookups.sql": 6,
  "save-outcomes.sql": 3,
  "save-usernames.sql": 1,
  "release-lookups.sql": 1,
  "count-skipped.sql": 3,
};

// As a plan finds them that is made at once, a minute later, and once there are many.
describe.each([0, 300, 5_000, 50_000])("statements by people, on tables of %i people", async (people) => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());
  await db.database.query(
    `insert into conversations (account_id, participant_platform_id, last_message_at, last_inbound_at, profile_status)
     select 'a' || n % 3, 'p' || n, to_timestamp(1760000000 + n), to_timestamp(1760000000 + n), 'complete'
     from generate_series(1, $1::int) n`,
    [people],
    "fill",
  );
  if (people > 0) await db.database.query("analyze", [], "analyze");

  test.each(Object.entries(statements))("%s finds them by the index", async (name, parameters) => {
    const unknown = Array.from({ length: parameters }, () => "null");
    const plan = JSON.stringify(await explainQuery(db.database, name, unknown, { mode: "generic" }));
    expect(plan).not.toContain("Seq Scan on conversations");
    // Of an empty table the planner takes any index that begins with the account to be as good: until it holds some
    // hundred people, then the next plan is made (queryForLookups).
    if (people > 0) expect(plan).toContain("Index Scan using conversations_pkey");
    expect(plan).toContain("Index Scan using conversations_");
  });
});
