import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openTestRepositories } from "../support/test-repositories.ts";

describe("count-people.sql", async () => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());

  test("walks indexes only, however many people there are", async () => {
    await db.database.query(
      `insert into conversations (account_id, participant_platform_id, last_message_at, profile_status)
       select 'a' || n % 10, 'p' || n, to_timestamp(1760000000 + n), case when n % 50 = 3 then 'failed' else 'complete' end
       from generate_series(1, 30000) n`,
      [],
      "fill",
      30_000,
    );
    await db.database.query("vacuum analyze conversations", [], "vacuum", 30_000);
    const text = readFileSync(join(import.meta.dir, "../../sql/queries/count-people.sql"), "utf8");
    const plan = await db.database.query<{ "QUERY PLAN": string }>(
      `explain ${text.replaceAll("$1", "'a3'")}`,
      [],
      "explain",
    );
    const lines = plan.map((row) => row["QUERY PLAN"]).join("\n");
    expect(lines).not.toContain("Seq Scan");
    expect(lines.match(/Index Only Scan/g)).toHaveLength(2);
  });
});
