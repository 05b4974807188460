/**
 * What must be true of a backfill, asked of the tables and of the sandbox's log: a run's row says how many people are
 * finished, whoever is finished is not asked for again, and the tables are those of a run that nothing disturbed.
 */
import type { Sql } from "postgres";
import type { InboxCopy } from "./backfill-kit.ts";

const examplesMax = 3;
/** The database's clock and the sandbox's tell the time of one machine: they differ by what a call of either takes. */
const clockMs = 50;

type RunRow = {
  readonly id: string;
  readonly number: string;
  readonly state: string;
  readonly phase: string;
  readonly fencing_token: string;
  readonly listed: number;
  readonly done: number;
  readonly successful: number;
  readonly errors: number;
  readonly outcomes: Readonly<Record<string, number>>;
};

/** Outcomes under which a run counts whom somebody else had in hand: found by nobody, refused to nobody. */
const passedOver = ["looked_up_elsewhere", "already_done"];

/** The account's latest run. */
export async function readRun(sql: Sql): Promise<RunRow | null> {
  const [row] = await sql<RunRow[]>`
    select id, number::text as number, state, phase, fencing_token::text as fencing_token,
      coalesce((names ->> 'listed')::int, 0) as listed, done::int as done, successful::int as successful,
      errors::int as errors, outcomes
    from backfill_runs order by started_at desc, number desc limit 1`;
  return row ?? null;
}

/** Who is finished by the run, and when that was saved (ms since 1970). */
export async function listFinished(sql: Sql, { number }: Pick<RunRow, "number">): Promise<Map<string, number>> {
  const rows = await sql<{ id: string; at: number }[]>`
    select participant_platform_id as id, (extract(epoch from checked_at) * 1000)::float8 as at
    from conversations where run_number = ${number}::bigint`;
  return new Map(rows.map(({ id, at }) => [id, at]));
}

/** What is wrong with a run's totals: they are those of the people whom it has finished with, at every moment. */
export async function judgeTotals(sql: Sql, when: string): Promise<string[]> {
  const run = await readRun(sql);
  if (run === null) return [`${when} there is no run`];
  const rows = await sql<{ outcome: string; found: boolean; people: number }[]>`
    select coalesce(reason_code, profile_status) as outcome, reason_code is null as found, count(*)::int as people
    from conversations where run_number = ${run.number}::bigint group by 1, 2`;
  const sum = (counts: readonly number[]) => counts.reduce((all, count) => all + count, 0);
  const people = sum(rows.map((row) => row.people));
  const broken: string[] = [];
  if (run.done !== people) broken.push(`done is ${run.done}, and ${people} people are marked`);
  const named = sum(Object.values(run.outcomes));
  if (named !== run.done) broken.push(`the outcomes add up to ${named}, and done is ${run.done}`);
  const passed = sum(passedOver.map((name) => run.outcomes[name] ?? 0));
  if (run.successful + run.errors + passed !== run.done)
    broken.push(`${run.successful} successful and ${run.errors} errors and ${passed} passed over are not ${run.done}`);
  if (passed === 0) {
    const found = sum(rows.filter((row) => row.found).map((row) => row.people));
    if (run.successful !== found) broken.push(`${run.successful} are successful, and ${found} have a profile`);
    const told = JSON.stringify(sort(run.outcomes));
    const counted = JSON.stringify(sort(Object.fromEntries(rows.map((row) => [row.outcome, row.people]))));
    if (told !== counted) broken.push(`the outcomes are ${told}, and the people's are ${counted}`);
  }
  return broken.map((law) => `${when} the run's row does not add up: ${law}`);
}

const sort = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts).sort(([left], [right]) => (left < right ? -1 : 1));

/** When each person was asked for (ms since 1970), by the sandbox's log from call `from` on. */
export function listAsked({ sandbox }: Pick<InboxCopy, "sandbox">, from = 0): Map<string, number[]> {
  const epochMs = Date.now() - performance.now(); // The log's clock is this process's monotonic one.
  const asked = new Map<string, number[]>();
  for (const { personIds, atMs } of sandbox.calls.list().slice(from))
    for (const id of personIds) asked.set(id, [...(asked.get(id) ?? []), epochMs + atMs]);
  return asked;
}

/** Whom the run had finished with and yet asked for again. */
export async function judgeRepeats(copy: InboxCopy): Promise<string[]> {
  const run = await readRun(copy.sql);
  if (run === null) return ["There is no run"];
  const asked = listAsked(copy);
  const again = [...(await listFinished(copy.sql, run))].filter(([id, finishedMs]) =>
    (asked.get(id) ?? []).some((askedMs) => askedMs > finishedMs + clockMs),
  );
  if (again.length === 0) return [];
  return [`${again.length} people were asked for after they were finished, ${again[0]?.[0]} for one`];
}

/**
 * Every row that a backfill may write, by its key: all columns but moments, leases, the run's number and whatever Graph
 * answers differently each time (a picture's signature, a trace id). Of a moment it is kept whether there is one.
 * `without`: columns of conversations that are left out too.
 */
export async function readTables(
  { sql, sandbox }: InboxCopy,
  without: readonly string[] = [],
): Promise<Map<string, string>> {
  const rows = await sql<{ key: string; text: string }[]>`
    select 'conversation ' || id as key, (to_jsonb(c) - '{fetched_at,checked_at,picture_expires_at,next_attempt_at,
        lease_token,lease_until,lease_owner,run_number,participant_profile_pic,evidence}'::text[]
      - ${without.length === 0 ? [""] : [...without]}::text[]
      || jsonb_build_object('fetched', fetched_at is not null, 'checked', checked_at is not null,
        'expires', picture_expires_at is not null, 'again', next_attempt_at is not null, 'leased', lease_until is not null,
        'run', run_number is not null, 'evidence', evidence - 'fbtraceId',
        'picture', replace(split_part(participant_profile_pic, '?', 1), ${sandbox.origin}, '')))::text as text
    from conversations c
    union all
    select 'account ' || id, (to_jsonb(a) - '{token_sealed,token_saved_at,state_since,listed_at,import_listed_at}'::text[]
      || jsonb_build_object('listed', listed_at is not null))::text from accounts a
    union all
    select 'name ' || participant_id, username from known_usernames
    union all
    select 'messages', md5(string_agg(m::text, '|' order by mid)) from messages m
    union all
    select 'run', jsonb_build_object('state', state, 'phase', phase, 'done', done, 'successful', successful,
      'errors', errors, 'outcomes', outcomes, 'candidates', candidates)::text from backfill_runs`;
  return new Map(rows.map(({ key, text }) => [key, text]));
}

/** How `tables` differ from those of a run that nothing disturbed. */
export function compareTables(tables: Map<string, string>, undisturbed: Map<string, string>): string[] {
  const keys = new Set([...tables.keys(), ...undisturbed.keys()]);
  const other = [...keys].filter((key) => tables.get(key) !== undisturbed.get(key));
  if (other.length === 0) return [];
  const examples = other
    .slice(0, examplesMax)
    .map((key) => `${key}: ${tables.get(key)}, undisturbed ${undisturbed.get(key)}`);
  return [`${other.length} rows are not those of an undisturbed run: ${examples.join("; ")}`];
}

/** Messages of the inbox that are not stored, and those that count twice. */
export async function compareMessages(sql: Sql, acknowledged: number): Promise<{ lost: number; doubled: number }> {
  const [row] = await sql<{ messages: number; unread: number }[]>`
    select (select count(*)::int from messages) as messages,
      (select coalesce(sum(unread_count), 0)::int from conversations) as unread`;
  return {
    lost: Math.max(0, acknowledged - (row?.messages ?? 0)),
    doubled: Math.max(0, (row?.unread ?? 0) - acknowledged),
  };
}
