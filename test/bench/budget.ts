/** How much of Instagram's allowance is used, and how often it is broken: on virtual time, against the sandbox's sliding window. */
import { type Proof, proveInMemory, proveInRedis, rates, shapes } from "../budget/proof-plans.ts";
import { openTestRedis } from "../support/test-services.ts";
import type { BenchPostgres } from "./bench-postgres.ts";
import { printTable } from "./print-table.ts";

const trouble = { restartsAtWindows: [1.4, 1.9, 3.3], stepsAtWindows: [0.7, 1.6, 3.1] };

export async function benchBudget(_postgres: BenchPostgres, { runs }: { readonly runs: number }): Promise<void> {
  await using redis = await openTestRedis();
  const books: readonly (readonly [
    string,
    (rate: number, shape: (typeof shapes)[number], seed: number) => Promise<Proof>,
  ])[] = [
    ["one process, in memory", proveInMemory],
    [
      "two processes on Redis, with restarts and steps of its clock by an hour",
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
            name: `${name} answers over the limit, ${changes[0]} changes`,
            unit: "",
            values: proofs.map(({ refusedAnswers }) => refusedAnswers.length),
            ...(shape === "shrinking" ? {} : { aim: "0" }),
          },
          {
            name: `${name} of them after one was told`,
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
      printTable(`budget: ${where}, ${shape} limit, a backfill and live people at once, ${runs} seeds`, figures);
    }
  }
}
