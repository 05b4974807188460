/**
 * How much of Instagram's allowance is used, and how often it is broken: on virtual time, against the sandbox's sliding window. Then, in
 * real time, how long a new customer waits for their name while a backfill uses that allowance.
 */
import { type Proof, proveInMemory, proveInRedis, rates, type Shape, shapes, trouble } from "../budget/proof-plans.ts";
import { type LiveBesideBackfill, runLiveBesideBackfill } from "../support/live-beside-backfill.ts";
import { openTestRedis } from "../support/test-services.ts";
import type { BenchPostgres } from "./bench-postgres.ts";
import { printTable } from "./print-table.ts";
import { percentileOf } from "./statistics.ts";

const beside = { backlog: 10_000, newPeople: 200, newPeoplePerSecond: 20, callsPerSecond: 1_000 } as const;

export async function benchBudget(_postgres: BenchPostgres, { runs }: { readonly runs: number }): Promise<void> {
  await using redis = await openTestRedis();
  type Book = readonly [string, (rate: number, shape: Shape, seed: number) => Promise<Proof>];
  const books: readonly Book[] = [
    ["a backfill alone, in memory", (rate, shape, seed) => proveInMemory(rate, shape, { seed, alone: true })],
    ["a backfill and live people, in memory", (rate, shape, seed) => proveInMemory(rate, shape, { seed })],
    [
      "a backfill and live people, two processes on Redis, with restarts and steps of its clock by an hour",
      (rate, shape, seed) => proveInRedis(redis.url, rate, shape, { ...trouble, seed }),
    ],
  ];
  for (const [where, prove] of books) {
    for (const shape of shapes) {
      const figures = [];
      for (const rate of rates) {
        const proofs: Proof[] = [];
        for (let seed = 1; seed <= runs; seed += 1) proofs.push(await prove(rate, shape, seed));
        const changes = proofs.map(({ plan }) => plan.limits.length - 1);
        const name = `${rate.toLocaleString("en-US")} calls/s:`;
        figures.push(
          { name: `${name} allowance used`, unit: "%", values: proofs.map(({ usage }) => usage * 100), aim: "≥ 95" },
          {
            name: `${name} throttled answers, ${changes[0]} changes of the limit`,
            unit: "",
            values: proofs.map(({ refusedAnswers }) => refusedAnswers.length),
            ...(shape === "shrinking" ? {} : { aim: "0" }),
          },
          {
            name: `${name} of them sent after one was told`,
            unit: "",
            values: proofs.map((proof) => proof.refusedAgain),
            aim: "0",
          },
          {
            name: `${name} calls before a named time`,
            unit: "",
            values: proofs.map((proof) => proof.sentBeforeNamed),
            aim: "0",
          },
        );
      }
      printTable(`budget: ${where}, ${shape} limit, ${runs} seeds`, figures);
    }
  }

  const ran: LiveBesideBackfill[] = [];
  for (let run = 1; run <= runs; run += 1) ran.push(await runLiveBesideBackfill(beside));
  const waits = (share: number) => ran.map(({ waitsMs }) => percentileOf(waitsMs, share));
  printTable(
    `budget: message to name during a backfill of ${beside.backlog.toLocaleString("en-US")} people, ${beside.newPeoplePerSecond} new people/s, ${beside.callsPerSecond.toLocaleString("en-US")} calls/s allowed, Graph at 80 ms, ${runs} runs`,
    [
      { name: "p50", unit: "ms", values: waits(0.5) },
      { name: "p95", unit: "ms", values: waits(0.95), aim: "≤ 2,000" },
      { name: "throttled answers", unit: "", values: ran.map(({ throttled }) => throttled), aim: "0" },
      { name: "the backfill", unit: "s", values: ran.map(({ backfill }) => backfill.ms / 1000) },
    ],
  );
}
