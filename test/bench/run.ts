/**
 * `bun run bench [webhook|backfill|scale|start|latency|budget|calls|all] [--runs 5] [--seconds N] [--people N] [--latency MS]`: figures on a real Postgres with fsync on,
 * medians over the runs, ratios pair by pair. Prints the aims beside the figures and judges nothing: exit code 1 only
 * where it could not measure.
 */
import { peopleMax } from "../../src/sandbox/world.ts";
import { benchBackfill } from "./backfill.ts";
import { openBenchPostgres } from "./bench-postgres.ts";
import { benchBudget } from "./budget.ts";
import { benchCalls } from "./calls.ts";
import { benchLatency } from "./latency.ts";
import { describeMachine } from "./machine.ts";
import { findProgram } from "./product.ts";
import { benchScale } from "./scale.ts";
import { benchStart } from "./start.ts";
import { benchWebhook } from "./webhook.ts";

const usage =
  "bun run bench [webhook|backfill|scale|start|latency|budget|calls|all] [--runs 5] [--seconds N] [--people N] [--latency MS]";
const benches = {
  webhook: benchWebhook,
  backfill: benchBackfill,
  scale: benchScale,
  start: benchStart,
  latency: benchLatency,
  budget: benchBudget,
  calls: benchCalls,
} as const;
/** Seconds of one run where the caller names none; the others run as long as their work takes. */
const secondsDefaults = { webhook: 5, backfill: 0, scale: 0, start: 10, latency: 20, budget: 0, calls: 0 } as const;
const runsDefault = 5;
const runsMax = 99;
const secondsMax = 600;
const latencyMsMax = 10_000;
/** People of the scale bench: a tenth of what it is about, since a run of a million takes minutes. */
const peopleDefault = 100_000;
const errorCharactersMax = 4_000;

type BenchName = keyof typeof benches;
type Asked = {
  readonly names: readonly BenchName[];
  readonly runs: number;
  readonly seconds: number | null;
  /** Of the scale bench, and how long Graph takes there for a request. */
  readonly people: number;
  readonly latencyMs: number;
};

const names = Object.keys(benches).filter((name): name is BenchName => name in benches);

/** Null where the arguments are not understood. */
function readArguments(args: readonly string[]): Asked | null {
  let [chosen, runs, seconds]: [readonly BenchName[], number, number | null] = [names, runsDefault, null];
  let [people, latencyMs] = [peopleDefault, 0];
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? "";
    const value = Number(args[at + 1] ?? "");
    if (word === "--runs" && Number.isInteger(value) && value >= 1 && value <= runsMax) runs = value;
    else if (word === "--seconds" && value > 0 && value <= secondsMax) seconds = value;
    else if (word === "--people" && Number.isInteger(value) && value >= 1 && value <= peopleMax) people = value;
    else if (word === "--latency" && value >= 0 && value <= latencyMsMax) latencyMs = value;
    else if (at === 0 && word === "all") continue;
    else if (at === 0 && names.some((name) => name === word)) {
      chosen = names.filter((name) => name === word);
      continue;
    } else return null;
    at += 1;
  }
  return { names: chosen, runs, seconds, people, latencyMs };
}

async function main(args: readonly string[]): Promise<number> {
  const asked = readArguments(args);
  if (asked === null) {
    process.stderr.write(`Cannot read the arguments: the accepted form is ${usage}\n`);
    return 1;
  }
  const program = findProgram();
  try {
    await using postgres = await openBenchPostgres();
    const lines = [...describeMachine(postgres), `product   ${program.describe}`];
    process.stdout.write(`${lines.join("\n")}\n`);
    for (const name of asked.names) {
      const seconds = asked.seconds ?? secondsDefaults[name];
      const { runs, people, latencyMs } = asked;
      await benches[name](postgres, { runs, people, latencyMs, seconds, program });
    }
    return 0;
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`${text.slice(0, errorCharactersMax)}\n`); // postgres.js puts whole parameters into it
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
