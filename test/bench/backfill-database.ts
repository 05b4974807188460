/** A database full of people whom nobody has looked up, for the backfill's benches, and what a run made of it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { SandboxPopulation } from "../../src/sandbox/population.ts";
import type { BenchDatabase, BenchPostgres } from "./bench-postgres.ts";

/** Of so many people the ids are made, sent and dropped at a time: some 2 MB. */
const peopleAtOnce = 100_000;

/** Conversations as the webhook leaves them, in the order in which the sandbox lists them. */
export async function fillConversations(
  { sql }: Pick<BenchDatabase, "sql">,
  accountId: string,
  population: SandboxPopulation,
): Promise<void> {
  for (let first = 0; first < population.count; first += peopleAtOnce) {
    const size = Math.min(peopleAtOnce, population.count - first);
    const ids = Array.from({ length: size }, (_, at) => population.at(first + at).id);
    await sql`
      insert into conversations (account_id, participant_platform_id, last_message_at, last_inbound_at, unread_count, next_attempt_at)
      select ${accountId}, id, at, at, 1, at
      from json_array_elements_text(${JSON.stringify(ids)}::text::json) with ordinality as people (id, place),
        lateral (select now() - (${first}::int + place) * interval '1 minute' as at) times`;
  }
  // As it stands for long: looked after, and on disk, so that no run pays for the filling.
  await sql`vacuum analyze conversations`;
  await sql`checkpoint`;
}

/** From the next connection on, every statement of this database is one line of the server's log. */
export async function logStatements({ url, sql }: BenchDatabase): Promise<void> {
  const name = new URL(url).pathname.slice(1);
  await sql`alter database ${sql(name)} set log_statement = 'all'`;
}

/** Statements in the server's log; their parameters are not in it, so it stays small. */
export function countStatements({ server }: BenchPostgres): number {
  return readFileSync(join(server.folder, "server.log"), "latin1").split(/ (?:execute \S+|statement): /).length - 1;
}

/** Throws where not everybody has a name and a profile. */
export async function assertKnown({ sql }: BenchDatabase, people: number): Promise<void> {
  const [row] = await sql<{ known: number }[]>`
    select count(*)::int as known from conversations
    where participant_username is not null and profile_status in ('complete', 'no_picture')`;
  if (row?.known !== people) throw new Error(`Cannot measure: ${row?.known} of ${people} people are known`);
}
