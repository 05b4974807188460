/**
 * A backfill of many people of a page account, names and profiles, by the product's own command against a Graph that takes
 * no time: what it asks for, what it costs beside a bare loop of the same calls and writes, and how its memory goes.
 * `--people 1000000` is what the product promises; by default it is a tenth of that. A tenth of the people goes first, to
 * see what grows with them.
 */
import { migrations } from "../../src/repository/migrate.ts";
import { assertKnown, countStatements, fillConversations, logStatements } from "./backfill-database.ts";
import type { BareBackfillEnded, BareBackfillInput } from "./bare-backfill.ts";
import { startBenchChild } from "./bench-child.ts";
import type { BenchPostgres } from "./bench-postgres.ts";
import { type BenchSandbox, openBenchSandbox } from "./bench-sandbox.ts";
import { type Figure, printTable } from "./print-table.ts";
import { megabytesOf, readMemoryBytes, readServerCpuSeconds, readStolenSeconds } from "./process-usage.ts";
import { openProduct, type Program } from "./product.ts";

const seed = 1;
const runTimeoutMs = 3_600_000;
const sampleEveryMs = 100;
const peoplePerCall = 50;
const tenths = 10;
/** The loop that everybody writes first: so many people of it are timed, the others would take as long each. */
const sequential = { latencyMs: 80, people: 200 } as const;
/** What is promised for so many people says little of fewer, of whom the start's own part is larger. */
const promised = { people: 1_000_000, statements: "≤ 2,500", growth: "≤ 1.1" } as const;
/** A pace of ours and a line a person are what an operator of so many people switches off. */
const settings = { SOCIAL_SYNC_INBOX_SPACING_MS: "0", SOCIAL_SYNC_LOG_LEVEL: "warn" } as const;

type ScaleOptions = {
  readonly runs: number;
  readonly people: number;
  readonly latencyMs: number;
  readonly program: Program;
};
type Case = { readonly postgres: BenchPostgres; readonly sandbox: BenchSandbox; readonly program: Program };
type Measured = {
  readonly listRequests: number;
  readonly profileRequests: number;
  readonly statements: number;
  readonly seconds: number;
  readonly profileSeconds: number;
  readonly cpuSeconds: number;
  readonly postgresCpuSeconds: number;
  readonly sandboxCpuSeconds: number;
  readonly stolenSeconds: number;
  readonly peakMegabytes: number;
  /** The most that was resident in each tenth of the calls, names first. */
  readonly megabytes: readonly number[];
};
type Run = { readonly tenth: Measured; readonly whole: Measured; readonly bareSeconds: number };

export async function benchScale(postgres: BenchPostgres, options: ScaleOptions): Promise<void> {
  const { runs, people, latencyMs, program } = options;
  const perPersonMs = await measureSequential();
  const results: Run[] = [];
  for (let run = 1; run <= runs; run += 1) {
    const tenth = await withSandbox({ people: Math.ceil(people / tenths), latencyMs }, (sandbox) =>
      measure({ postgres, sandbox, program }),
    );
    const both = await withSandbox({ people, latencyMs }, async (sandbox) => ({
      bareSeconds: await measureBare({ postgres, sandbox, program }),
      whole: await measure({ postgres, sandbox, program }),
    }));
    results.push({ tenth, ...both });
    process.stderr.write(
      `scale run ${run}: ${both.whole.seconds.toFixed(1)} s, bare ${both.bareSeconds.toFixed(1)} s\n`,
    );
  }
  const title = `of a page account, Graph takes ${latencyMs} ms, no limit, ${runs} runs`;
  const few = Math.ceil(people / tenths);
  printTable(
    `scale: ${few.toLocaleString("en-US")} people ${title}`,
    figuresOf(
      few,
      results.map(({ tenth }) => tenth),
    ),
  );
  const figure = (name: string, unit: string, of: (run: Run) => number, aim?: string): Figure => ({
    ...{ name, unit, values: results.map(of) },
    ...(aim === undefined ? {} : { aim }),
  });
  printTable(`scale: ${people.toLocaleString("en-US")} people ${title}`, [
    ...figuresOf(
      people,
      results.map(({ whole }) => whole),
    ),
    ...Array.from({ length: tenths }, (_, at) =>
      figure(`most memory in tenth ${at + 1} of the calls`, "MB", ({ whole }) => whole.megabytes[at] ?? Number.NaN),
    ),
    figure(
      "peak memory beside a tenth of the people's",
      "x",
      ({ whole, tenth }) => whole.peakMegabytes / tenth.peakMegabytes,
      people === promised.people ? promised.growth : undefined,
    ),
    figure(
      "wall time beside a bare loop of the same calls and writes",
      "x",
      ({ whole, bareSeconds }) => whole.seconds / bareSeconds,
      "≤ 1.35",
    ),
    figure(
      `times as fast as one by one, which takes ${perPersonMs.toFixed(1)} ms a person`,
      "x",
      ({ whole }) => (people * perPersonMs) / 1_000 / whole.seconds,
      "≥ 500",
    ),
    figure(
      "the same without the reading of names, which one by one does not do",
      "x",
      ({ whole }) => (people * perPersonMs) / 1_000 / whole.profileSeconds,
    ),
  ]);
}

function figuresOf(people: number, results: readonly Measured[]): Figure[] {
  const figure = (name: string, unit: string, of: keyof Omit<Measured, "megabytes">, aim?: string): Figure => ({
    ...{ name, unit, values: results.map((result) => result[of]) },
    ...(aim === undefined ? {} : { aim }),
  });
  const requests = `= ${Math.ceil(people / peoplePerCall).toLocaleString("en-US")}`;
  return [
    figure("list calls", "", "listRequests", requests),
    figure("profile requests", "", "profileRequests", requests),
    figure("database statements", "", "statements", people === promised.people ? promised.statements : undefined),
    figure("wall time, from start to exit", "s", "seconds"),
    figure("of it after the last list call", "s", "profileSeconds"),
    figure("CPU of the process", "s", "cpuSeconds"),
    figure("CPU of Postgres", "s", "postgresCpuSeconds"),
    figure("CPU of the sandbox", "s", "sandboxCpuSeconds"),
    figure("kept from this machine by others", "s", "stolenSeconds"),
    figure("peak memory", "MB", "peakMegabytes", "< 128"),
  ];
}

async function withSandbox<T>(
  { people, latencyMs }: { people: number; latencyMs: number },
  use: (sandbox: BenchSandbox) => Promise<T>,
): Promise<T> {
  await using sandbox = await openBenchSandbox({ seed, people, latencyMs });
  return await use(sandbox);
}

async function measure({ postgres, sandbox, program }: Case): Promise<Measured> {
  const { pageAccount: account, calls } = sandbox;
  const people = account.population.count;
  await using database = await postgres.openDatabase();
  const graph = { databaseUrl: database.url, graphUrls: sandbox.graphUrls };
  await using product = openProduct(program, { ...graph, settings });
  await product.addAccount(account); // brings the schema along
  await fillConversations(database, account.instagramId, account.population);
  await logStatements(database);
  const statementsBefore = countStatements(postgres);
  const [postgresCpu, stolen, own] = [
    readServerCpuSeconds(postgres.server),
    readStolenSeconds(),
    process.cpuUsage(),
  ] as const;
  calls.reset();
  const megabytes = Array.from({ length: tenths }, () => 0);
  const callsInAll = 2 * Math.ceil(people / peoplePerCall);
  let listed = { calls: 0, atMs: 0 };
  const sample = (pid: number) => {
    if (calls.listRequests > listed.calls) listed = { calls: calls.listRequests, atMs: performance.now() };
    const at = Math.min(tenths - 1, Math.floor((tenths * (calls.listRequests + calls.profileRequests)) / callsInAll));
    try {
      megabytes[at] = Math.max(megabytes[at] ?? 0, megabytesOf(readMemoryBytes(pid).now));
    } catch {
      // It has ended since.
    }
  };
  let timer: Timer | undefined;
  const { wallMs, usage, peakBytes } = await product
    .run(["backfill", "--account-id", account.instagramId, "--json"], "", {
      timeoutMs: runTimeoutMs,
      onSpawn(pid) {
        timer = setInterval(() => sample(pid), sampleEveryMs);
      },
    })
    .finally(() => clearInterval(timer));
  const endMs = performance.now();
  const sandboxCpu = process.cpuUsage(own);
  await assertKnown(database, people);
  return {
    listRequests: calls.listRequests,
    profileRequests: calls.profileRequests,
    statements: countStatements(postgres) - statementsBefore,
    seconds: wallMs / 1_000,
    profileSeconds: (endMs - listed.atMs) / 1_000,
    cpuSeconds: Number(usage?.cpuTime.total ?? Number.NaN) / 1e6,
    postgresCpuSeconds: readServerCpuSeconds(postgres.server) - postgresCpu,
    sandboxCpuSeconds: (sandboxCpu.user + sandboxCpu.system) / 1e6,
    stolenSeconds: readStolenSeconds() - stolen,
    peakMegabytes: megabytesOf(peakBytes),
    megabytes,
  };
}

/** Seconds of the bare loop. */
async function measureBare({ postgres, sandbox }: Case): Promise<number> {
  const { instagramId, pageId, token, population } = sandbox.pageAccount;
  await using database = await postgres.openDatabase();
  for (const { text } of migrations) await database.sql.unsafe(text);
  await fillConversations(database, instagramId, population);
  const graphUrl = sandbox.graphUrls.GRAPH_FACEBOOK_URL;
  const input: BareBackfillInput = {
    ...{ databaseUrl: database.url, graphUrl, accountId: instagramId, pageId: pageId ?? "", token, withNames: true },
  };
  await using child = startBenchChild("bare-backfill.ts", input);
  const { wallMs } = await child.next<BareBackfillEnded>("ended", runTimeoutMs);
  await assertKnown(database, population.count);
  return wallMs / 1_000;
}

/** Milliseconds a person of a loop that asks for one after the other; it saves nothing, which only makes it faster. */
async function measureSequential(): Promise<number> {
  await using sandbox = await openBenchSandbox({ seed, ...sequential });
  const { population, token } = sandbox.instagramAccount;
  const startedMs = performance.now();
  for (let at = 0; at < sequential.people; at += 1) {
    const url = `${sandbox.graphUrls.GRAPH_INSTAGRAM_URL}/v26.0/${population.at(at).id}?fields=name,username,profile_pic`;
    const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    if (!answer.ok) throw new Error(`Cannot measure: the sandbox answers ${answer.status}`);
    await answer.json();
  }
  return (performance.now() - startedMs) / sequential.people;
}
