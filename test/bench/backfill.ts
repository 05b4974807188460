/**
 * The backfill of a page account's 5,000 people by the product's own command, against a Graph that takes 80 ms: the
 * profiles alone, since Instagram's pace of two calls a second says how long the reading of the inbox takes.
 */
import { assertKnown, countStatements, fillConversations, logStatements } from "./backfill-database.ts";
import type { BenchPostgres } from "./bench-postgres.ts";
import { type BenchSandbox, openBenchSandbox } from "./bench-sandbox.ts";
import { type Figure, printTable } from "./print-table.ts";
import { megabytesOf } from "./process-usage.ts";
import { openProduct, type Program } from "./product.ts";

const seed = 1;
const people = 5_000;
const latencyMs = 80;
const batchSizes = [50, null] as const; // What a batch request carries, and the command's own default.
const aims = { requests: "= 100", seconds: "< 3" } as const;

type Measured = {
  readonly requests: number;
  readonly seconds: number;
  readonly peakMegabytes: number;
  readonly cpuSeconds: number;
  readonly statements: number;
};
type BenchOptions = { readonly runs: number; readonly program: Program };

export async function benchBackfill(postgres: BenchPostgres, { runs, program }: BenchOptions): Promise<void> {
  await using sandbox = await openBenchSandbox({ seed, people, latencyMs });
  const results = batchSizes.map((): Measured[] => []);
  for (let run = 1; run <= runs; run += 1) {
    for (const [at, batchSize] of batchSizes.entries())
      results[at]?.push(await measure(postgres, sandbox, program, batchSize));
    process.stderr.write(
      `backfill run ${run}: ${results.map((list) => `${list.at(-1)?.seconds.toFixed(2)} s`).join(", ")}\n`,
    );
  }
  printTable(
    `backfill: ${people.toLocaleString("en-US")} people of a page account, Graph takes ${latencyMs} ms, no limit, ${runs} runs`,
    batchSizes.flatMap((batchSize, at) => {
      const name = batchSize === null ? "default batch size" : `--batch-size ${batchSize}`;
      const figure = (what: string, unit: string, of: keyof Measured, aim?: string): Figure => ({
        name: `${name}: ${what}`,
        unit,
        values: results[at]?.map((result) => result[of]) ?? [],
        ...(aim === undefined ? {} : { aim }),
      });
      return [
        figure("profile requests", "", "requests", aims.requests),
        figure("wall time, from start to exit", "s", "seconds", aims.seconds),
        figure("CPU of the process", "s", "cpuSeconds"),
        figure("peak memory", "MB", "peakMegabytes"),
        figure("database statements", "", "statements"),
      ];
    }),
  );
}

async function measure(
  postgres: BenchPostgres,
  sandbox: BenchSandbox,
  program: Program,
  batchSize: number | null,
): Promise<Measured> {
  const account = sandbox.pageAccount;
  await using database = await postgres.openDatabase();
  await using product = openProduct(program, { databaseUrl: database.url, graphUrls: sandbox.graphUrls });
  await product.addAccount(account); // brings the schema along
  await fillConversations(database, account.instagramId, account.population);
  await logStatements(database);
  const before = countStatements(postgres);
  sandbox.calls.reset();
  const size = batchSize === null ? [] : ["--batch-size", String(batchSize)];
  const { wallMs, usage, peakBytes } = await product.run([
    "backfill",
    "--account-id",
    account.instagramId,
    "--no-bulk",
    ...size,
  ]);
  const statements = countStatements(postgres) - before;
  await assertKnown(database, people);
  return {
    requests: sandbox.calls.profileRequests,
    seconds: wallMs / 1000,
    cpuSeconds: Number(usage?.cpuTime.total ?? Number.NaN) / 1e6,
    peakMegabytes: megabytesOf(peakBytes),
    statements,
  };
}
