/**
 * A backfill of many people of a page account, names and profiles, against a Graph that takes no time: what it asks for,
 * what it costs beside a bare loop of the same calls and writes, and how its memory goes. `--people 1000000` is what the
 * product promises; by default it is a tenth of that.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { migrations } from "../../src/repository/migrate.ts";
import { fillConversations, logStatements } from "./backfill.ts";
import type { BareBackfillEnded, BareBackfillInput } from "./bare-backfill.ts";
import { startBenchChild } from "./bench-child.ts";
import type { BenchDatabase, BenchPostgres } from "./bench-postgres.ts";
import { type BenchSandbox, openBenchSandbox } from "./bench-sandbox.ts";
import { type Figure, printTable } from "./print-table.ts";
import { megabytesOf, readMemoryBytes } from "./process-usage.ts";
import { openProduct, type Program } from "./product.ts";

const seed = 1;
const runTimeoutMs = 1_800_000;
const sampleEveryMs = 100;
/** The bare loop reads the inbox too only where the product does. */
const withNames = true;
/** One person after the other at this latency, which is what programs did before. */
const sequentialMs = 80;
const sequentialPeople = 100;

type ScaleOptions = { readonly runs: number; readonly people: number; readonly program: Program };
type Measured = {
  readonly seconds: number;
  readonly bareSeconds: number;
  readonly ratio: number;
  readonly profileRequests: number;
  readonly listRequests: number;
  readonly statements: number;
  readonly peakMegabytes: number;
  readonly earlyMegabytes: number;
  readonly lateMegabytes: number;
};

export async function benchScale(postgres: BenchPostgres, { runs, people, program }: ScaleOptions): Promise<void> {
  const results: Measured[] = [];
  await using sandbox = await openBenchSandbox({ seed, people, latencyMs: 0 });
  for (let run = 1; run <= runs; run += 1) {
    const bareSeconds = await measureBare(postgres, sandbox);
    results.push(await measure(postgres, sandbox, program, { people, bareSeconds }));
    process.stderr.write(
      `scale run ${run}: ${results.at(-1)?.seconds.toFixed(1)} s, bare ${bareSeconds.toFixed(1)} s\n`,
    );
  }
  const figure = (name: string, unit: string, of: keyof Measured, aim?: string): Figure => ({
    ...{ name, unit, values: results.map((result) => result[of]) },
    ...(aim === undefined ? {} : { aim }),
  });
  const requests = Math.ceil(people / 50).toLocaleString("en-US");
  printTable(`scale: ${people.toLocaleString("en-US")} people of a page account, Graph takes no time, ${runs} runs`, [
    figure("list calls", "", "listRequests", `= ${requests}`),
    figure("profile requests", "", "profileRequests", `= ${requests}`),
    figure("database statements", "", "statements", `≤ ${Math.ceil(people / 400).toLocaleString("en-US")}`),
    figure("wall time, from start to exit", "s", "seconds"),
    figure("beside a bare loop of the same calls and writes", "x", "ratio", "≤ 1.35"),
    figure("peak memory", "MB", "peakMegabytes", "< 128"),
    figure("most memory in the first tenth of the profiles", "MB", "earlyMegabytes"),
    figure("most memory in the last tenth", "MB", "lateMegabytes"),
  ]);
  await compareSequential(postgres, program, people);
}

async function measure(
  postgres: BenchPostgres,
  sandbox: BenchSandbox,
  program: Program,
  { people, bareSeconds }: { readonly people: number; readonly bareSeconds: number },
): Promise<Measured> {
  const account = sandbox.pageAccount;
  await using database = await postgres.openDatabase();
  const settings = { SOCIAL_SYNC_INBOX_SPACING_MS: "0", SOCIAL_SYNC_LOG_LEVEL: "warn" };
  const graph = { databaseUrl: database.url, graphUrls: sandbox.graphUrls };
  await using product = openProduct(program, { ...graph, settings });
  await product.addAccount(account); // brings the schema along
  await fill(database, sandbox);
  await logStatements(database);
  const log = join(postgres.server.folder, "server.log");
  const before = countStatements(log);
  sandbox.calls.reset();
  let [peak, early, late] = [0, 0, 0];
  let timer: Timer | null = null;
  const { wallMs } = await product
    .run(["backfill", "--account-id", account.instagramId], "", {
      timeoutMs: runTimeoutMs,
      onSpawn(pid) {
        timer = setInterval(() => {
          try {
            const memory = readMemoryBytes(pid);
            const share = sandbox.calls.profileItems / people;
            peak = Math.max(peak, memory.peak);
            if (share > 0 && share <= 0.1) early = Math.max(early, memory.now);
            if (share > 0.9) late = Math.max(late, memory.now);
          } catch {
            // It has ended since.
          }
        }, sampleEveryMs);
      },
    })
    .finally(() => {
      if (timer !== null) clearInterval(timer);
    });
  const statements = countStatements(log) - before;
  await assertNamed(database, people);
  return {
    ...{ seconds: wallMs / 1_000, bareSeconds, ratio: wallMs / 1_000 / bareSeconds, statements },
    ...{ profileRequests: sandbox.calls.profileRequests, listRequests: sandbox.calls.counts().listRequests },
    ...{ peakMegabytes: megabytesOf(peak), earlyMegabytes: megabytesOf(early), lateMegabytes: megabytesOf(late) },
  };
}

async function measureBare(postgres: BenchPostgres, sandbox: BenchSandbox): Promise<number> {
  const { instagramId, pageId, token, people } = sandbox.pageAccount;
  await using database = await postgres.openDatabase();
  for (const { text } of migrations) await database.sql.unsafe(text);
  await fill(database, sandbox);
  const graphUrl = sandbox.graphUrls.GRAPH_FACEBOOK_URL;
  const input: BareBackfillInput = {
    ...{ databaseUrl: database.url, graphUrl, accountId: instagramId, pageId: pageId ?? "", token, withNames },
  };
  await using child = startBenchChild("bare-backfill.ts", input);
  const { wallMs } = await child.next<BareBackfillEnded>("ended", runTimeoutMs);
  await assertNamed(database, people.length);
  return wallMs / 1_000;
}

/** How many times as fast as one call after the other, where Graph takes 80 ms; the slow way by a sample of people. */
async function compareSequential(postgres: BenchPostgres, program: Program, people: number): Promise<void> {
  await using sandbox = await openBenchSandbox({ seed, people, latencyMs: sequentialMs });
  const account = sandbox.pageAccount;
  const startedMs = performance.now();
  for (const { id } of account.people.slice(0, sequentialPeople)) {
    const url = `${sandbox.graphUrls.GRAPH_FACEBOOK_URL}/v26.0/${id}?fields=name,username,profile_pic`;
    const answer = await fetch(url, { headers: { authorization: `Bearer ${account.token}` } });
    await answer.json();
  }
  const perPersonMs = (performance.now() - startedMs) / sequentialPeople;
  await using database = await postgres.openDatabase();
  const settings = { SOCIAL_SYNC_LOG_LEVEL: "warn" };
  await using product = openProduct(program, { databaseUrl: database.url, graphUrls: sandbox.graphUrls, settings });
  await product.addAccount(account);
  await fill(database, sandbox);
  const args = ["backfill", "--account-id", account.instagramId, "--no-bulk"];
  const { wallMs } = await product.run(args, "", { timeoutMs: runTimeoutMs });
  await assertNamed(database, people);
  printTable(`scale: profiles alone, Graph takes ${sequentialMs} ms`, [
    { name: "one person after the other, of a sample", unit: "ms a person", values: [perPersonMs] },
    { name: "backfill --no-bulk", unit: "ms a person", values: [wallMs / people] },
    { name: "times as fast", unit: "x", values: [perPersonMs / (wallMs / people)], aim: "≥ 500" },
  ]);
}

const fill = (database: BenchDatabase, { pageAccount: { instagramId, people } }: BenchSandbox) =>
  fillConversations(
    database,
    instagramId,
    people.map(({ id }) => id),
  );

/** Statements in the server's log; their parameters are not in it, so it stays small. */
function countStatements(log: string): number {
  return readFileSync(log, "latin1").split(/ (?:execute \S+|statement): /).length - 1;
}

async function assertNamed({ sql }: BenchDatabase, people: number): Promise<void> {
  const [row] = await sql<{ named: number }[]>`
    select count(*)::int as named from conversations where profile_status in ('complete', 'no_picture')`;
  if (row?.named !== people) throw new Error(`Cannot measure: ${row?.named} of ${people} people have a profile`);
}
