/** How much a backfill of many people asks of Graph and of the database: counted, not timed. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { batchSizeMax } from "../../src/domain/profile.ts";
import { roundMax } from "../../src/usecases/enrich.ts";
import { pagesMax } from "../../src/usecases/names-buffer.ts";
import { batchStepMax, pageSize } from "../../src/usecases/profiles-phase.ts";
import { fillConversations } from "../bench/backfill-database.ts";
import { accountOf, appSecret, openTestSandbox } from "../sandbox/open-test-sandbox.ts";
import { openFolder, runProgram } from "../support/program.ts";
import { openPostgres } from "../support/services.ts";
import { systemClock } from "../support/test-repositories.ts";

const people = 20_000;
const requests = Math.ceil(people / batchSizeMax);
/** Steps and pages that are saved before they have grown to their full size, and those of the start and the end. */
const growing = 14;
const otherStatementsMax = 30;
/** The statements of a run by how their files begin; the heartbeat alone goes by the clock. */
const kinds = {
  names: "-- Writes the usernames of some pages of the inbox",
  candidates: "-- The backfill's candidates of one account",
  leases: "-- Leases the asked people to this caller",
  saves: "-- Writes what became of many lookups",
  heartbeats: "-- Says that the run's owner lives",
} as const;

describe("social-sync backfill of 20,000 people of a page account", async () => {
  await using opening = new AsyncDisposableStack();
  const server = opening.use(
    await openPostgres({ settings: { log_statement: "all", log_parameter_max_length: "0", log_min_messages: "log" } }),
  );
  const box = opening.use(await openTestSandbox({ clock: systemClock, people, callLogMax: 2 * requests + 100 }));
  const folder = opening.use(openFolder());
  const sql = postgres(server.url, { max: 1, onnotice() {} });
  opening.defer(() => sql.end({ timeout: 2 }));
  const owned = opening.move();
  afterAll(() => owned.disposeAsync());

  const { sandbox } = box;
  const account = accountOf(sandbox, 1);
  const env = {
    DATABASE_URL: server.url,
    SOCIAL_SYNC_DATA_DIR: join(folder.path, "data"),
    SOCIAL_SYNC_INBOX_SPACING_MS: "0",
    SOCIAL_SYNC_LOG_LEVEL: "warn",
    META_APP_SECRET: appSecret,
    GRAPH_INSTAGRAM_URL: sandbox.instagramUrl,
    GRAPH_FACEBOOK_URL: sandbox.facebookUrl,
  };
  const readStatements = () =>
    readFileSync(join(server.folder, "server.log"), "utf8")
      .split(/ LOG: {2}(?:execute [^:]+|statement): /)
      .slice(1);
  let statements: readonly string[] = [];
  const count = (kind: keyof typeof kinds) => statements.filter((text) => text.startsWith(kinds[kind])).length;

  beforeAll(async () => {
    const ids = ["--instagram-id", account.instagramId, "--login", "facebook", "--page-id", String(account.pageId)];
    const added = await runProgram(["accounts", "add", ...ids, "--token-file", "-"], env, `${account.token}\n`);
    expect(added).toMatchObject({ code: 0 });
    await fillConversations({ sql }, account.instagramId, account.population);
    sandbox.calls.reset();
    const before = readStatements().length;
    const ended = await runProgram(["backfill", "--account-id", account.instagramId], env);
    expect(ended).toMatchObject({ code: 0 });
    statements = readStatements().slice(before);
  }, 120_000);

  test("names and looks up everybody", async () => {
    const rows = await sql<{ id: string; username: string; name: string | null; status: string }[]>`
      select participant_platform_id as id, participant_username as username, participant_name as name, profile_status as status
      from conversations`;
    const known = new Map(rows.map(({ id, ...rest }) => [id, rest]));
    const wrong = account.people.filter(({ id, username, name, hasPicture }) => {
      const row = known.get(id);
      return row?.username !== username || row.name !== name || (row.status === "complete") !== hasPicture;
    });
    expect(wrong).toBeEmpty();
  });

  test("asks for each page of the list once, and for each person once, fifty a request", () => {
    const { listRequests, profileRequests, profileItems, requests: all } = sandbox.calls.counts();
    expect(listRequests).toBe(requests);
    expect(profileItems).toBe(people);
    expect(profileRequests).toBe(requests);
    expect(all).toBe(listRequests + profileRequests);
    const asked = sandbox.calls.list().flatMap(({ personIds }) => personIds);
    expect(new Set(asked).size).toBe(people);
  });

  test("takes a statement for 2,500 people to lease, one for 1,250 to save, and one for the names of several pages", () => {
    expect(count("leases")).toBeLessThanOrEqual(Math.ceil(people / batchStepMax) + growing);
    expect(count("saves")).toBeLessThanOrEqual(Math.ceil(people / roundMax) + growing);
    // Read pages wait for two seconds at most: where a machine takes long for each, fewer go together.
    expect(count("names")).toBeLessThanOrEqual(growing + Math.ceil((5 * requests) / pagesMax));
    expect(count("candidates")).toBeLessThanOrEqual(Math.ceil(people / pageSize) + 1);
    const known = ["leases", "saves", "names", "candidates", "heartbeats"] as const;
    const others = statements.length - known.reduce((sum, kind) => sum + count(kind), 0);
    expect(others).toBeLessThanOrEqual(otherStatementsMax);
    expect(Math.min(...known.map(count))).toBeGreaterThan(0); // the beginnings above are those of the files
  });
});
