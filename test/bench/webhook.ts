/** The webhook of the product beside a bare receiver, in turns: same machine, same Postgres, same load. */

import { waitUntil } from "../support/bounded-wait.ts";
import type { BareInput, BareListening, BareVariant } from "./bare-webhook.ts";
import { startBenchChild } from "./bench-child.ts";
import type { BenchDatabase, BenchPostgres } from "./bench-postgres.ts";
import { openBenchSandbox } from "./bench-sandbox.ts";
import { type Figure, printTable } from "./print-table.ts";
import { megabytesOf, readCpuSeconds, readMemoryBytes, readServerCpuSeconds } from "./process-usage.ts";
import { appSecret, openProduct, type Program } from "./product.ts";
import { ratiosOf } from "./statistics.ts";
import type { LoadEnded, LoadMeasured, LoadMeasuring, LoadReady, WebhookLoadInput } from "./webhook-load.ts";

const seed = 1;
const people = 2_000;
const connections = 64; // Enough for every commit to carry many posts, few enough to come from one sender.
const warmUpMs = 2_000; // Bun compiles its hot functions and Postgres settles on its plan within the first second.
const requestsPerSecondMax = 30_000; // Twice what the bare receiver acknowledged when this was written.
const ceilingRequestsPerSecondMax = 60_000;
const aims = { posts: 0.8, cpu: 1.5, spooling: 1 } as const;
const drainTimeoutMs = 300_000; // A run of seconds spools some ten thousand posts; they drain at thousands a second.

type Measured = {
  readonly postsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU milliseconds per 1,000 posts, which is microseconds a post. */
  readonly serverCpu: number;
  readonly postgresCpu: number;
  readonly loadCpu: number;
  readonly peakMegabytes: number;
};
type Target = { readonly pid: number; readonly port: number };
type BenchOptions = { readonly runs: number; readonly seconds: number; readonly program: Program };

export async function benchWebhook(postgres: BenchPostgres, { runs, seconds, program }: BenchOptions): Promise<void> {
  const measuredMs = seconds * 1000;
  const results = { product: [] as Measured[], same: [] as Measured[], full: [] as Measured[], raw: [] as Measured[] };
  const spooling: Measured[] = [];
  const drained: number[] = [];
  for (let run = 1; run <= runs; run += 1) {
    results.product.push(await measureProduct(postgres, program, measuredMs));
    results.same.push(await measureBare(postgres, "same", measuredMs));
    results.full.push(await measureBare(postgres, "full", measuredMs));
    results.raw.push(await measureBare(postgres, "raw", measuredMs));
    const spooled = await measureSpooling(postgres, program, measuredMs);
    spooling.push(spooled.measured);
    drained.push(spooled.drainedPerSecond);
    process.stderr.write(
      `webhook run ${run}: ${Object.entries(results)
        .map(([name, list]) => `${name} ${Math.round(list.at(-1)?.postsPerSecond ?? 0)}/s`)
        .join(", ")}, spooling ${Math.round(spooled.measured.postsPerSecond)}/s\n`,
    );
  }
  const ceiling = await measureBare(postgres, "nothing", measuredMs);

  const title = `webhook: ${connections} connections in a closed loop, ${people.toLocaleString("en-US")} people, ${seconds} s a run, ${runs} runs in turns`;
  printTable(title, [
    ...describe("product", results.product),
    ...describe("bare", results.same),
    ...describe("bare, keys only", results.full),
    ...describe("bare, raw event only", results.raw),
    ...describe("product, database read-only", spooling),
    { name: "product: drained afterwards", unit: "1/s", values: drained },
  ]);
  const ratio = (name: string, of: keyof Measured, theirs: readonly Measured[], aim?: string): Figure => ({
    name,
    unit: "×",
    values: ratiosOf(
      results.product.map((result) => result[of]),
      theirs.map((result) => result[of]),
    ),
    ...(aim === undefined ? {} : { aim }),
  });
  printTable("webhook: product against bare, pair by pair", [
    ratio("POST/s against bare", "postsPerSecond", results.same, `≥ ${aims.posts}`),
    ratio("CPU per POST against bare", "serverCpu", results.same, `≤ ${aims.cpu}`),
    ratio("Postgres CPU per POST against bare", "postgresCpu", results.same),
    ratio("POST/s against keys only (nothing can be listed)", "postsPerSecond", results.full),
    ratio("CPU per POST against keys only", "serverCpu", results.full),
    ratio("POST/s against raw event only (it stores less)", "postsPerSecond", results.raw),
    ratio("CPU per POST against raw event only", "serverCpu", results.raw),
    {
      name: "POST/s while spooling against POST/s into Postgres",
      unit: "×",
      values: ratiosOf(
        spooling.map((result) => result.postsPerSecond),
        results.product.map((result) => result.postsPerSecond),
      ),
      aim: `≥ ${aims.spooling}`,
    },
  ]);
  printTable("webhook: the load's own ceiling, against a server that answers at once", [
    { name: "POST/s", unit: "1/s", values: [ceiling.postsPerSecond] },
    { name: "CPU of the load per 1,000 POSTs", unit: "ms", values: [ceiling.loadCpu] },
  ]);
}

function describe(name: string, results: readonly Measured[]): Figure[] {
  const figure = (what: string, unit: string, of: keyof Measured): Figure => ({
    name: `${name}: ${what}`,
    unit,
    values: results.map((result) => result[of]),
  });
  return [
    figure("acknowledged POST/s", "1/s", "postsPerSecond"),
    figure("latency p50", "ms", "p50Ms"),
    figure("latency p99", "ms", "p99Ms"),
    figure("CPU per 1,000 POSTs", "ms", "serverCpu"),
    figure("Postgres CPU per 1,000 POSTs", "ms", "postgresCpu"),
    figure("CPU of the load per 1,000 POSTs", "ms", "loadCpu"),
    figure("peak memory", "MB", "peakMegabytes"),
  ];
}

/** The product with an account and a Graph that answers at once: everybody is met in the warm-up. */
async function measureProduct(postgres: BenchPostgres, program: Program, measuredMs: number): Promise<Measured> {
  await using sandbox = await openBenchSandbox({ seed, people, latencyMs: 0 });
  await using database = await postgres.openDatabase();
  await using product = openProduct(program, { databaseUrl: database.url, graphUrls: sandbox.graphUrls });
  await product.addAccount(sandbox.pageAccount);
  await using server = await product.startServe();
  const { measured, ended } = await load(postgres, server, measuredMs, requestsPerSecondMax);
  await assertStored(database, ended, ["events", "messages"]);
  const lines = product.countLogLines("Message processed");
  if (lines !== ended.acknowledgedInAll)
    throw new Error(`Cannot measure: ${lines} messages logged, ${ended.acknowledgedInAll} acknowledged`);
  return measured;
}

/** The product while its database is read-only: every post goes to the spool. Then it drains, and every row is counted. */
async function measureSpooling(postgres: BenchPostgres, program: Program, measuredMs: number) {
  await using sandbox = await openBenchSandbox({ seed, people, latencyMs: 0 });
  await using database = await postgres.openDatabase();
  await using product = openProduct(program, { databaseUrl: database.url, graphUrls: sandbox.graphUrls });
  await product.addAccount(sandbox.pageAccount);
  await using server = await product.startServe();
  await setReadOnly(database, true);
  const { measured, ended } = await load(postgres, server, measuredMs, requestsPerSecondMax);
  await setReadOnly(database, false);
  const startedMs = performance.now();
  await waitUntil(
    async () => {
      const [row] = await database.sql<{ rows: number }[]>`select count(*)::int as rows from events`;
      return (row?.rows ?? 0) >= ended.acknowledgedInAll;
    },
    drainTimeoutMs,
    "Cannot measure: the spool does not drain",
  );
  const drainedPerSecond = ended.acknowledgedInAll / ((performance.now() - startedMs) / 1000);
  await assertStored(database, ended, ["events", "messages"]);
  return { measured, drainedPerSecond };
}

/** Turns new sessions read-only, or back, and ends those that the product has. */
async function setReadOnly({ sql, url }: BenchDatabase, readOnly: boolean): Promise<void> {
  const name = new URL(url).pathname.slice(1);
  await sql`set default_transaction_read_only = off`;
  await sql`alter database ${sql(name)} set default_transaction_read_only = ${sql.unsafe(readOnly ? "on" : "off")}`;
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name} and pid <> pg_backend_pid()`;
}

async function measureBare(postgres: BenchPostgres, variant: BareVariant, measuredMs: number): Promise<Measured> {
  await using database = await postgres.openDatabase();
  const input: BareInput = { databaseUrl: database.url, secret: appSecret, variant, graph: null };
  await using server = startBenchChild("bare-webhook.ts", input);
  const { port } = await server.next<BareListening>("listening");
  const perSecondMax = variant === "nothing" ? ceilingRequestsPerSecondMax : requestsPerSecondMax;
  const { measured, ended } = await load(postgres, { pid: server.pid, port }, measuredMs, perSecondMax);
  if (variant === "full" || variant === "same") await assertStored(database, ended, ["events", "messages"]);
  if (variant === "raw") await assertStored(database, ended, ["events"]);
  return measured;
}

/** Drives one server; CPU times are those of the measured seconds alone. */
async function load({ server: postgres }: BenchPostgres, { pid, port }: Target, measuredMs: number, perSecond: number) {
  const input: WebhookLoadInput = {
    port,
    secret: appSecret,
    seed,
    people,
    connections,
    warmUpMs,
    measuredMs,
    requestsPerSecondMax: perSecond,
  };
  await using child = startBenchChild("webhook-load.ts", input);
  await child.next<LoadReady>("ready");
  const readCpu = () => ({
    server: readCpuSeconds(pid),
    postgres: readServerCpuSeconds(postgres),
    load: readCpuSeconds(child.pid),
  });
  child.tell({ kind: "go" });
  await child.next<LoadMeasuring>("measuring");
  const before = readCpu();
  const result = await child.next<LoadMeasured>("measured", measuredMs + 30_000);
  const after = readCpu();
  const ended = await child.next<LoadEnded>("ended");
  if (ended.refused > 0) throw new Error(`Cannot measure: ${ended.refused} posts were refused`);
  const perThousand = (of: keyof typeof before) => ((after[of] - before[of]) / result.acknowledged) * 1e6;
  const measured: Measured = {
    postsPerSecond: result.acknowledgedPerSecond,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    serverCpu: perThousand("server"),
    postgresCpu: perThousand("postgres"),
    loadCpu: perThousand("load"),
    peakMegabytes: megabytesOf(readMemoryBytes(pid).peak),
  };
  return { measured, ended };
}

/** No figure for a server that drops or doubles: every acknowledged post is one row, and is counted once. */
async function assertStored({ sql }: BenchDatabase, ended: LoadEnded, tables: readonly string[]): Promise<void> {
  for (const table of tables) {
    const [row] = await sql<{ rows: number }[]>`select count(*)::int as rows from ${sql(table)}`;
    if (row?.rows !== ended.acknowledgedInAll)
      throw new Error(`Cannot measure: ${row?.rows} rows in ${table}, ${ended.acknowledgedInAll} posts acknowledged`);
  }
  if (!tables.includes("messages")) return;
  const [row] = await sql<{ people: number; unread: number }[]>`
    select count(*)::int as people, sum(unread_count)::int as unread from conversations`;
  if (row?.unread !== ended.acknowledgedInAll)
    throw new Error(`Cannot measure: ${row?.unread} unread, ${ended.acknowledgedInAll} posts acknowledged`);
}
