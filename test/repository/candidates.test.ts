/** The backfill's page of candidates, deep in a large account: it costs what it holds, wherever it begins. */
import { afterAll, describe, expect, test } from "bun:test";
import type { ConversationCursor } from "../../src/domain/conversation.ts";
import { type AccountId, parseAccountId } from "../../src/domain/ids.ts";
import { pageSize } from "../../src/usecases/profiles-phase.ts";
import { missingProfiles, openTestRepositories } from "../support/test-repositories.ts";
import { explainQuery } from "./explain-query.ts";

const runNumber = "7";
const newAccount = { id: "1784141", people: 60_000 };
/** Its run has finished with nine people of ten; one of a hundred of them was refused for now, and so is a candidate of the next. */
const oldAccount = { id: "1784142", people: 200_000, finished: 180_000, refusedEvery: 100 };
/** Rows that a page may look at: where few are left behind the cursor, all of them may be sorted at once. */
const visitedMax = 2 * pageSize + oldAccount.finished / oldAccount.refusedEvery;

type PlanNode = {
  readonly "Node Type": string;
  readonly "Actual Rows": number;
  readonly "Rows Removed by Filter"?: number;
  readonly Plans?: readonly PlanNode[];
};

describe("createCandidatesRepository() on large accounts", async () => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());
  const query = <Row extends Record<string, unknown>>(text: string) =>
    db.database.query<Row>(text, [], "fill and look", 60_000);
  // Seven people share a second, so that the key's second half matters.
  const fill = (id: string, people: number, finished: number, refusedEvery: number) =>
    query(
      `insert into conversations (account_id, participant_platform_id, last_message_at, last_inbound_at, run_number, profile_status)
       select '${id}', (2000000000000000 + n)::text, to_timestamp(1760000000 - n / 7), now(), case when n <= ${finished} then ${runNumber} end,
         case when n > ${finished} then 'pending' when n % ${refusedEvery} = 0 then 'failed' else 'complete' end
       from generate_series(1, ${people}) n`,
    );
  await fill(newAccount.id, newAccount.people, 0, 1);
  await fill(oldAccount.id, oldAccount.people, oldAccount.finished, oldAccount.refusedEvery);
  await query("vacuum analyze conversations");

  /** Where the row stands behind which `left` of the account come. */
  const cursorBefore = async (account: { id: string; people: number }, left: number): Promise<ConversationCursor> => {
    const [row] = await query<{ id: ConversationCursor["id"]; at: number }>(
      `select id, (extract(epoch from last_message_at) * 1000)::float8 as at from conversations
       where account_id = '${account.id}' order by last_message_at desc, id desc offset ${account.people - left - 1} limit 1`,
    );
    if (row === undefined) throw new Error("There is no such row");
    return { lastMessageAtMs: row.at, id: row.id };
  };
  /** One page as it runs, planned for its values as the repository's own are: the nodes of the plan in one list. */
  const explain = async (id: string, before: ConversationCursor | null): Promise<PlanNode[]> => {
    const place = before === null ? "null, null" : `${before.lastMessageAtMs}, '${before.id}'`;
    const values = [`'${id}'`, place, `${pageSize}`, `${runNumber}`, "null"];
    const options = { mode: "custom", options: "(analyze, format json)" } as const;
    const [row] = await explainQuery(db.database, "list-missing-profiles.sql", values, options);
    const plan = ((row?.["QUERY PLAN"] ?? []) as { readonly Plan: PlanNode }[])[0]?.Plan;
    const flatten = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(flatten)];
    return plan === undefined ? [] : flatten(plan);
  };

  test.each([
    ["the start of a new account", newAccount, null],
    ["the middle of a new account", newAccount, 30_000],
    ["the last page of a new account", newAccount, pageSize],
    ["the start of one whose run is nearly done", oldAccount, null],
    ["the middle of one whose run is nearly done", oldAccount, 100_000],
    ["where its run stands", oldAccount, 20_000],
    ["its last page", oldAccount, pageSize],
    ["its last people", oldAccount, 1],
  ] as const)(
    "listCandidates() reads one page from %s by an index, and hardly a row beside it",
    async (_, account, left) => {
      const nodes = await explain(account.id, left === null ? null : await cursorBefore(account, left));
      const kinds = nodes.map((node) => node["Node Type"]);
      expect(kinds).not.toContain("Seq Scan");
      expect(kinds.filter((kind) => kind.endsWith("Index Scan"))).not.toBeEmpty();
      for (const node of nodes)
        expect(node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0)).toBeLessThanOrEqual(visitedMax);
      expect(nodes.find((node) => node["Node Type"] === "Limit")?.["Actual Rows"]).toBe(
        Math.min(pageSize, left ?? pageSize),
      );
    },
  );

  test("listCandidates() finds whom the run has not finished with, and nobody else", async () => {
    const id = parseAccountId(oldAccount.id) as AccountId;
    const list = (asked: string | null) =>
      db.candidates.listCandidates(id, { ...missingProfiles, runNumber: asked }, null, oldAccount.people);
    const left = oldAccount.people - oldAccount.finished;
    expect(await list(runNumber)).toHaveLength(left);
    expect(await list(null)).toHaveLength(left + oldAccount.finished / oldAccount.refusedEvery);
  });
});
