/**
 * From a new person's message to their name in the tables, Graph's own time aside, at a steady rate of new people. The
 * product and a bare receiver in turns: what the machine's cores, its disk and Postgres cost anybody shows in both.
 */
import type { SandboxAccount } from "../../src/sandbox/world.ts";
import type { BareInput, BareListening } from "./bare-webhook.ts";
import { startBenchChild } from "./bench-child.ts";
import type { BenchPostgres } from "./bench-postgres.ts";
import { type BenchSandbox, openBenchSandbox } from "./bench-sandbox.ts";
import type { LatencyEnded, LatencyLoadInput } from "./latency-load.ts";
import { type Figure, printTable } from "./print-table.ts";
import { readStolenSeconds } from "./process-usage.ts";
import { appSecret, openProduct, type Program } from "./product.ts";
import { percentileOf, ratiosOf } from "./statistics.ts";

const seed = 1;
const peoplePerSecond = 200;
const latencyMs = 80;
const warmUpPeople = 400; // Two seconds: code compiled, plans made, connections to Graph open.
const aims = { p50: "≤ 5", p99: "≤ 25" } as const;

type BenchOptions = { readonly runs: number; readonly seconds: number; readonly program: Program };
type Login = "facebook" | "instagram";
type Measured = { readonly ended: LatencyEnded; readonly lateMs: readonly number[]; readonly stolenSeconds: number };
/** What is measured: where it listens, and how it is ended. */
type Target = AsyncDisposable & { readonly port: number };
type Place = { readonly databaseUrl: string; readonly sandbox: BenchSandbox; readonly account: SandboxAccount };

export async function benchLatency(postgres: BenchPostgres, { runs, seconds, program }: BenchOptions): Promise<void> {
  for (const login of ["facebook", "instagram"] as const) {
    const product: Measured[] = [];
    const bare: Measured[] = [];
    for (let run = 1; run <= runs; run += 1) {
      product.push(await measure(postgres, login, seconds, (place) => startProduct(program, place)));
      bare.push(await measure(postgres, login, seconds, (place) => startBare(login, place)));
      const say = (of: readonly Measured[]) => {
        const { ended, stolenSeconds } = of.at(-1) as Measured;
        return `p50 ${ended.p50Ms.toFixed(1)} ms, p99 ${ended.p99Ms.toFixed(1)} ms, ${stolenSeconds.toFixed(1)} s taken by others`;
      };
      process.stderr.write(`latency run ${run}, ${login}: ${say(product)}; bare: ${say(bare)}\n`);
    }
    const kind = login === "facebook" ? "page account, batches" : "Instagram Login, single calls";
    printTable(
      `latency (${kind}): message to visible profile less Graph's ${latencyMs} ms, ${peoplePerSecond} new people/s for ${seconds} s, ${runs} runs`,
      [
        ...describe("product", product, aims),
        ...describe("bare", bare),
        ratio("p50 against bare", product, bare, ({ ended }) => ended.p50Ms),
        ratio("p99 against bare", product, bare, ({ ended }) => ended.p99Ms),
      ],
    );
  }
}

function describe(name: string, results: readonly Measured[], aim: { p50?: string; p99?: string } = {}): Figure[] {
  const figure = (what: string, read: (one: Measured) => number, goal?: string, unit = "ms"): Figure => ({
    ...{ name: `${name}: ${what}`, unit, values: results.map(read) },
    ...(goal === undefined ? {} : { aim: goal }),
  });
  return [
    figure("p50", ({ ended }) => ended.p50Ms, aim.p50),
    figure("p99", ({ ended }) => ended.p99Ms, aim.p99),
    figure("of it the webhook's own answer, p50", ({ ended }) => ended.answerP50Ms),
    figure("of it the webhook's own answer, p99", ({ ended }) => ended.answerP99Ms),
    figure("of it Graph answering later than asked, p50", ({ lateMs }) => percentileOf(lateMs, 0.5)),
    figure("of it Graph answering later than asked, p99", ({ lateMs }) => percentileOf(lateMs, 0.99)),
    figure("of it Postgres's notice to us, p50", ({ ended }) => ended.noticeP50Ms),
    // Of a shared machine's cores: a run with much of it says more of the neighbours than of us.
    figure("taken by other machines meanwhile", ({ stolenSeconds }) => stolenSeconds, undefined, "s"),
  ];
}

function ratio(name: string, ours: readonly Measured[], theirs: readonly Measured[], read: (one: Measured) => number) {
  return { name, unit: "×", values: ratiosOf(ours.map(read), theirs.map(read)) };
}

async function measure(
  postgres: BenchPostgres,
  login: Login,
  seconds: number,
  start: (place: Place) => Promise<Target>,
): Promise<Measured> {
  const people = warmUpPeople + Math.ceil(peoplePerSecond * seconds);
  await using sandbox = await openBenchSandbox({ seed, people, latencyMs });
  const account = login === "facebook" ? sandbox.pageAccount : sandbox.instagramAccount;
  await using database = await postgres.openDatabase();
  await using target = await start({ databaseUrl: database.url, sandbox, account });
  const input: LatencyLoadInput = {
    ...{ port: target.port, databaseUrl: database.url, secret: appSecret },
    ...{ seed, people, login, peoplePerSecond, latencyMs, warmUpPeople },
  };
  await using load = startBenchChild("latency-load.ts", input);
  const stolenBefore = readStolenSeconds();
  const ended = await load.next<LatencyEnded>("ended", (seconds + 60) * 1000);
  return { ended, lateMs: sandbox.latenessesMs, stolenSeconds: readStolenSeconds() - stolenBefore };
}

async function startProduct(program: Program, { databaseUrl, sandbox, account }: Place): Promise<Target> {
  await using opening = new AsyncDisposableStack();
  const product = opening.use(openProduct(program, { databaseUrl, graphUrls: sandbox.graphUrls }));
  await product.addAccount(account);
  const { port } = opening.use(await product.startServe());
  const owned = opening.move();
  return { port, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function startBare(login: Login, { databaseUrl, sandbox, account }: Place): Promise<Target> {
  const { GRAPH_FACEBOOK_URL, GRAPH_INSTAGRAM_URL } = sandbox.graphUrls;
  const url = login === "facebook" ? GRAPH_FACEBOOK_URL : GRAPH_INSTAGRAM_URL;
  const graph = { url, login, token: account.token };
  const input: BareInput = { databaseUrl, secret: appSecret, variant: "same", graph };
  const child = startBenchChild("bare-webhook.ts", input);
  const { port } = await child.next<BareListening>("listening");
  return { port, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}
