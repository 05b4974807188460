/** How soon the program is there, and what it holds while nothing happens. */
import { connect } from "node:net";
import { findFreePort } from "../support/server-process.ts";
import type { BenchPostgres } from "./bench-postgres.ts";
import { printTable } from "./print-table.ts";
import { megabytesOf, readMemoryBytes } from "./process-usage.ts";
import { endChild, openProduct, type Program } from "./product.ts";

const aims = { listens: "≤ 100", help: "≤ 60", idle: "< 80" } as const;
const listenTimeoutMs = 30_000; // A first start on a busy machine.
/** Nothing is called: an address that nobody listens on. */
const graphUrls = { GRAPH_INSTAGRAM_URL: "http://127.0.0.1:9", GRAPH_FACEBOOK_URL: "http://127.0.0.1:9" };

type BenchOptions = { readonly runs: number; readonly seconds: number; readonly program: Program };

export async function benchStart(postgres: BenchPostgres, { runs, seconds, program }: BenchOptions): Promise<void> {
  await using database = await postgres.openDatabase();
  await using product = openProduct(program, { databaseUrl: database.url, graphUrls });

  /** From spawn to the first connection that is taken, then `idleMs` of nothing. */
  const measure = async (idleMs: number) => {
    const port = await findFreePort();
    const startedMs = performance.now();
    const child = product.spawnServe(port);
    try {
      while (!(await isTaken(port))) {
        if (child.exitCode !== null || performance.now() - startedMs > listenTimeoutMs)
          throw new Error("Cannot measure: serve does not listen");
        await Bun.sleep(1);
      }
      const listensMs = performance.now() - startedMs;
      await Bun.sleep(idleMs);
      return { listensMs, idleMegabytes: megabytesOf(readMemoryBytes(child.pid).now) };
    } finally {
      await endChild(child);
    }
  };

  const first = await measure(0); // makes the schema, and brings the program into the page cache
  const starts: Awaited<ReturnType<typeof measure>>[] = [];
  const helpMs: number[] = [];
  for (let run = 1; run <= runs; run += 1) {
    starts.push(await measure(seconds * 1000));
    helpMs.push((await product.run(["--help"])).wallMs);
    process.stderr.write(`start run ${run}: ${starts.at(-1)?.listensMs.toFixed(0)} ms\n`);
  }
  printTable(`start: on a migrated Postgres, idle for ${seconds} s, ${runs} runs`, [
    {
      name: "from spawn to the first connection",
      unit: "ms",
      values: starts.map((s) => s.listensMs),
      aim: aims.listens,
    },
    { name: "the very first, which makes the schema", unit: "ms", values: [first.listensMs] },
    { name: "--help, from spawn to exit", unit: "ms", values: helpMs, aim: aims.help },
    { name: "memory when idle", unit: "MB", values: starts.map((s) => s.idleMegabytes), aim: aims.idle },
  ]);
}

function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
