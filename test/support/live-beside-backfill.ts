/** New customers write while a backfill uses what there is of the allowance: daemons, the command beside them, and the box that limits all. */
import { join } from "node:path";
import postgres from "postgres";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLog } from "../../src/lib/log.ts";
import { openSandbox } from "../../src/sandbox/sandbox.ts";
import { waitUntil } from "./bounded-wait.ts";
import { openFolder, runProgram, startDaemon, startProgram } from "./program.ts";
import { openTestDatabase, openTestRedis } from "./test-services.ts";
import { delivery, inbound, secret, sign } from "./webhook-bodies.ts";

/** An hour of Instagram's, in ms: every pause and the pace scale with it. */
const windowMs = 5_000;
const latencyMs = 80;
const pollMs = 10;
const lastNamesTimeoutMs = 30_000;
const backfillTimeoutMs = 90_000;

export type LiveBesideBackfill = {
  /** From the post of a new person's first message to their name in the table, in ms, each. */
  readonly waitsMs: readonly number[];
  /** New people who wrote while the backfill ran. */
  readonly beside: number;
  readonly backfill: { readonly code: number; readonly ms: number; readonly err: string };
  /** People of the backlog who have a name at the end. */
  readonly named: number;
  readonly throttled: number;
};

export type LiveBesideBackfillOptions = {
  readonly backlog: number;
  readonly newPeople: number;
  readonly newPeoplePerSecond: number;
  /** What Instagram allows. */
  readonly callsPerSecond: number;
  /** Processes that take the messages by turns; 1. */
  readonly daemons?: number;
};

export async function runLiveBesideBackfill(options: LiveBesideBackfillOptions): Promise<LiveBesideBackfill> {
  const { backlog, newPeople, newPeoplePerSecond, callsPerSecond, daemons: count = 1 } = options;
  await using sandbox = await openSandbox({
    ...{ host: "127.0.0.1", port: 0, seed: 3, people: backlog + newPeople, troubleShare: 0, latencyMs },
    ...{ ratePerWindow: (callsPerSecond * windowMs) / 1000, windowMs, messagesPerSecond: 0, webhookUrl: null },
    ...{ appSecret: secret, clock: createSystemClock(), log: createLog("error", () => undefined) },
  });
  const account = sandbox.world.accounts.find(({ login }) => login === "facebook");
  if (account === undefined) throw new Error("Bug: the sandbox has a Page's account");
  await using database = await openTestDatabase();
  await using redis = await openTestRedis();
  using folder = openFolder();
  const env = {
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    SOCIAL_SYNC_DATA_DIR: folder.path,
    META_APP_SECRET: secret,
    SOCIAL_SYNC_ENCRYPTION_KEY: "07".repeat(32),
    GRAPH_INSTAGRAM_URL: sandbox.instagramUrl,
    GRAPH_FACEBOOK_URL: sandbox.facebookUrl,
    SOCIAL_SYNC_RATE_WINDOW_MS: String(windowMs),
  };
  const id = account.instagramId;
  const page = ["--page-id", account.pageId ?? ""];
  const add = ["accounts", "add", "--instagram-id", id, "--login", "facebook", ...page, "--token-file", "-"];
  const added = await runProgram(add, env, `${account.token}\n`);
  if (added.code !== 0) throw new Error(`Cannot add the account: ${added.err}`);
  await using daemons = new AsyncDisposableStack();
  const urls: string[] = [];
  for (let at = 0; at < count; at++) {
    const dataFolder = join(folder.path, `daemon-${at}`);
    urls.push(daemons.use(await startDaemon([], { ...env, SOCIAL_SYNC_DATA_DIR: dataFolder })).url);
  }
  const sql = postgres(database.url, { max: 1, onnotice() {} });
  try {
    const people = account.people.map((person) => person.id);
    const [past, fresh] = [people.slice(0, backlog), people.slice(backlog)];
    await sql`insert into conversations (account_id, participant_platform_id, last_message_at, last_inbound_at)
      select ${id}, person, now() - n * interval '1 s', now() from json_array_elements_text(${JSON.stringify(past)}::text::json)
      with ordinality as p (person, n)`;

    const startedMs = performance.now();
    await using program = await startProgram(["backfill", "--account-id", id, "--no-bulk"], env);
    let endedAtMs = Number.POSITIVE_INFINITY;
    void program.ended.then(() => {
      endedAtMs = performance.now();
    });
    await waitUntil(() => sandbox.calls.profileItems > 0, 30_000, "Cannot measure: the backfill asks nobody");

    const sentAtMs = new Map<string, number>();
    const waitsMs: number[] = [];
    let beside = 0;
    const send = async (person: string) => {
      const body = delivery([inbound(person, `first of ${person}`, Date.now(), {}, id)], id);
      sentAtMs.set(person, performance.now());
      if (endedAtMs === Number.POSITIVE_INFINITY) beside += 1;
      const headers = { "X-Hub-Signature-256": sign(body), "Content-Type": "application/json" };
      const url = urls[(waitsMs.length + sentAtMs.size) % count];
      const { status } = await fetch(`${url}/webhooks/instagram`, { method: "POST", body, headers });
      if (status !== 200) throw new Error(`Cannot measure: the webhook answered ${status}`);
    };
    const look = async () => {
      const rows = await sql<{ person: string }[]>`select participant_platform_id as person from conversations
        where account_id = ${id} and participant_platform_id = any(${[...sentAtMs.keys()]}) and participant_username is not null`;
      for (const { person } of rows) {
        waitsMs.push(performance.now() - (sentAtMs.get(person) ?? 0));
        sentAtMs.delete(person);
      }
      return waitsMs.length === newPeople;
    };
    const sending = (async () => {
      for (const person of fresh) {
        await send(person);
        await Bun.sleep(1000 / newPeoplePerSecond);
      }
    })();
    const sendingMs = (newPeople / newPeoplePerSecond) * 2_000;
    await waitUntil(look, sendingMs + lastNamesTimeoutMs, "Cannot measure: somebody has no name", pollMs);
    await sending;
    await waitUntil(() => endedAtMs < Number.POSITIVE_INFINITY, backfillTimeoutMs, "Cannot measure: no end");
    const { code, err } = await program.ended;
    const [row] = await sql<{ named: number }[]>`select count(*)::int as named from conversations
      where account_id = ${id} and participant_platform_id = any(${past}) and participant_username is not null`;
    const { throttled } = sandbox.calls;
    return { waitsMs, beside, backfill: { code, ms: endedAtMs - startedMs, err }, named: row?.named ?? 0, throttled };
  } finally {
    await sql.end();
  }
}
