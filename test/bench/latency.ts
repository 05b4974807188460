/** From a new person's message to their name in the tables, Graph's own time aside, at a steady rate of new people. */
import { startBenchChild } from "./bench-child.ts";
import type { BenchPostgres } from "./bench-postgres.ts";
import { openBenchSandbox } from "./bench-sandbox.ts";
import type { LatencyEnded, LatencyLoadInput } from "./latency-load.ts";
import { printTable } from "./print-table.ts";
import { readStolenSeconds } from "./process-usage.ts";
import { appSecret, openProduct, type Program } from "./product.ts";
import { percentileOf } from "./statistics.ts";

const seed = 1;
const peoplePerSecond = 200;
const latencyMs = 80;
const warmUpPeople = 400; // Two seconds: code compiled, plans made, connections to Graph open.
const aims = { p50: "≤ 5", p99: "≤ 25" } as const;

type BenchOptions = { readonly runs: number; readonly seconds: number; readonly program: Program };

export async function benchLatency(postgres: BenchPostgres, { runs, seconds, program }: BenchOptions): Promise<void> {
  for (const login of ["facebook", "instagram"] as const) {
    const results: { ended: LatencyEnded; lateMs: readonly number[]; stolenSeconds: number }[] = [];
    for (let run = 1; run <= runs; run += 1) {
      const people = warmUpPeople + Math.ceil(peoplePerSecond * seconds);
      await using sandbox = await openBenchSandbox({ seed, people, latencyMs });
      const account = login === "facebook" ? sandbox.pageAccount : sandbox.instagramAccount;
      await using database = await postgres.openDatabase();
      await using product = openProduct(program, { databaseUrl: database.url, graphUrls: sandbox.graphUrls });
      await product.addAccount(account);
      await using server = await product.startServe();
      const input: LatencyLoadInput = {
        port: server.port,
        databaseUrl: database.url,
        secret: appSecret,
        seed,
        people,
        login,
        peoplePerSecond,
        latencyMs,
        warmUpPeople,
      };
      await using load = startBenchChild("latency-load.ts", input);
      const stolenBefore = readStolenSeconds();
      const ended = await load.next<LatencyEnded>("ended", (seconds + 60) * 1000);
      const stolenSeconds = readStolenSeconds() - stolenBefore;
      results.push({ ended, lateMs: sandbox.latenessesMs, stolenSeconds });
      process.stderr.write(
        `latency run ${run}, ${login}: p50 ${ended.p50Ms.toFixed(1)} ms, p99 ${ended.p99Ms.toFixed(1)} ms, ${stolenSeconds.toFixed(1)} s stolen\n`,
      );
    }
    const late = (share: number) => results.map(({ lateMs }) => percentileOf(lateMs, share));
    const kind = login === "facebook" ? "page account, batches" : "Instagram Login, single calls";
    printTable(
      `latency (${kind}): message to visible profile less Graph's ${latencyMs} ms, ${peoplePerSecond} new people/s for ${seconds} s, ${runs} runs`,
      [
        { name: "p50", unit: "ms", values: results.map(({ ended }) => ended.p50Ms), aim: aims.p50 },
        { name: "p99", unit: "ms", values: results.map(({ ended }) => ended.p99Ms), aim: aims.p99 },
        {
          name: "of it the webhook's own answer, p50",
          unit: "ms",
          values: results.map(({ ended }) => ended.answerP50Ms),
        },
        {
          name: "of it the webhook's own answer, p99",
          unit: "ms",
          values: results.map(({ ended }) => ended.answerP99Ms),
        },
        { name: "of it Graph answering later than asked, p50", unit: "ms", values: late(0.5) },
        { name: "of it Graph answering later than asked, p99", unit: "ms", values: late(0.99) },
        {
          name: "of it Postgres's notice to us, p50",
          unit: "ms",
          values: results.map(({ ended }) => ended.noticeP50Ms),
        },
        // Of a shared machine's two cores: a run with much of it says more of the neighbours than of us.
        {
          name: "taken by other machines meanwhile",
          unit: "s",
          values: results.map(({ stolenSeconds }) => stolenSeconds),
        },
      ],
    );
  }
}
