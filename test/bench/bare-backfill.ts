/**
 * What a backfill of a page account is held against: the same calls and the same writes in a bare loop. It reads the
 * conversation list page by page and writes the usernames of 50 pages with one statement; then it takes people in the
 * order of their conversations, marks each step as taken, asks Graph in batches of 50 and writes what came with one
 * statement a step. No cache, no budget, no classifying, no checks, no totals, no resuming.
 */
import postgres from "postgres";
import { chunk } from "../../src/lib/chunk.ts";
import { fetchBatch, graphVersion, proofOf } from "./bare-graph.ts";
import { type BenchMessage, readInput, tellRunner } from "./bench-child.ts";

export type BareBackfillInput = {
  readonly databaseUrl: string;
  readonly graphUrl: string;
  readonly accountId: string;
  readonly pageId: string;
  readonly token: string;
  readonly withNames: boolean;
};
export type BareBackfillEnded = BenchMessage & { readonly kind: "ended"; readonly wallMs: number };

const batchSize = 50;
const pagesPerSave = 50;
const stepSize = 1_250;
const lanes = 2;
const listSize = 10_000;

const nameStatement = `
  update conversations c set participant_username = x.username
  from json_to_recordset($2::text::json) as x (id text, username text)
  where c.account_id = $1 and c.participant_platform_id = x.id`;
const takeStatement = `
  update conversations c set lease_until = now() + interval '40 s', lease_token = 1
  from json_array_elements_text($2::text::json) as x (id) where c.account_id = $1 and c.participant_platform_id = x.id`;
const profileStatement = `
  update conversations c set participant_username = x.username, participant_name = x.name,
    participant_profile_pic = x.profile_pic, fetched_at = now(), checked_at = now(), lease_until = null,
    profile_status = case when x.profile_pic is null then 'no_picture' else 'complete' end, next_attempt_at = null
  from json_to_recordset($2::text::json) as x (id text, username text, name text, profile_pic text)
  where c.account_id = $1 and c.participant_platform_id = x.id`;
const listStatement = `
  select participant_platform_id as id, last_message_at::text as at, id as key from conversations
  where account_id = $1 and profile_status = 'pending' and ($2::text is null or (last_message_at, id) < ($2::timestamptz, $3::text))
  order by last_message_at desc, id desc limit ${listSize}`;

type Named = { readonly id: string; readonly username?: string };
type Thread = { readonly participants?: { readonly data: readonly Named[] } };
type ThreadPage = { readonly data: readonly Thread[]; readonly paging?: { readonly next?: string } };

const input = readInput<BareBackfillInput>();
const sql = postgres(input.databaseUrl, { max: 4, onnotice() {}, connection: { synchronous_commit: "off" } });
const write = (statement: string, rows: unknown) => sql.unsafe(statement, [input.accountId, JSON.stringify(rows)]);
const proof = proofOf(input.token);
const headers = { authorization: `Bearer ${input.token}` };

async function readNames(): Promise<void> {
  const first = `${input.graphUrl}/${graphVersion}/${input.pageId}/conversations?platform=instagram&fields=id,updated_time,participants&limit=50&appsecret_proof=${proof}`;
  let names: Named[] = [];
  let pages = 0;
  for (let url: string | undefined = first; url !== undefined; ) {
    const page = (await (await fetch(url, { headers })).json()) as ThreadPage;
    for (const { participants } of page.data)
      for (const { id, username } of participants?.data ?? [])
        if (id !== input.pageId && id !== input.accountId && username !== undefined) names.push({ id, username });
    pages += 1;
    const next = page.paging?.next;
    url = next === undefined ? next : `${next}&appsecret_proof=${proof}`;
    if (pages % pagesPerSave !== 0 && url !== undefined) continue;
    await write(nameStatement, names);
    names = [];
  }
}

async function readProfiles(): Promise<void> {
  const queue: string[] = [];
  let after: readonly [string | null, string | null] = [null, null];
  let all = false;
  let listing: Promise<void> | null = null;
  const list = async () => {
    const rows = await sql.unsafe<{ id: string; at: string; key: string }[]>(listStatement, [
      input.accountId,
      ...after,
    ]);
    const last = rows.at(-1);
    if (last === undefined) all = true;
    else after = [last.at, last.key];
    for (const { id } of rows) queue.push(id);
    listing = null;
  };
  const lane = async () => {
    for (;;) {
      if (!all && queue.length < stepSize * lanes) listing ??= list();
      if (queue.length === 0) await listing;
      const ids = queue.splice(0, stepSize);
      if (ids.length === 0) return;
      await write(takeStatement, ids);
      const batches = chunk(ids, batchSize).map((some) => fetchBatch(input.graphUrl, input.token, some));
      const profiles = await Promise.all(batches);
      await write(profileStatement, profiles.flat());
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

const startedMs = performance.now();
if (input.withNames) await readNames();
await readProfiles();
await sql.end();
tellRunner<BareBackfillEnded>({ kind: "ended", wallMs: performance.now() - startedMs });
