import { mkdirSync } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import initdbPath from "../../node_modules/@electric-sql/pglite/dist/initdb.wasm" with { type: "file" };
// Named as files so that they stand inside the compiled binary.
import bundlePath from "../../node_modules/@electric-sql/pglite/dist/pglite.data" with { type: "file" };
import wasmPath from "../../node_modules/@electric-sql/pglite/dist/pglite.wasm" with { type: "file" };
import { createPgliteSocket } from "./pglite-socket.ts";

const compile = async (path: string) => WebAssembly.compile(await Bun.file(path).arrayBuffer());

/**
 * Opens the embedded Postgres in `folder` (created where missing: about 4 s; half a second later on). It has no lock of
 * its own: the caller holds the data folder. Survives `kill -9`, never fsyncs: for evaluation.
 */
export async function openEmbeddedPostgres(folder: string) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const [pgliteWasmModule, initdbWasmModule] = await Promise.all([compile(wasmPath), compile(initdbPath)]);
  const pglite = await PGlite.create({
    dataDir: join(folder, "postgres"),
    pgliteWasmModule,
    initdbWasmModule,
    fsBundle: new Blob([await Bun.file(bundlePath).arrayBuffer()]),
  });
  return {
    socket: () => createPgliteSocket(pglite),
    /** Flushes all of its files to the disk: it never does so itself. */
    flush: () => flushFolder(join(folder, "postgres")),
    [Symbol.asyncDispose]: () => pglite.close(),
  };
}

/** Flushes every file in a folder, those of its folders first. One that goes away meanwhile needs no flush. */
async function flushFolder(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await flushFolder(path);
    else if (entry.isFile()) await flushPath(path);
  }
  await flushPath(folder);
}

async function flushPath(path: string): Promise<void> {
  try {
    await using file = await open(path, "r");
    await file.sync();
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
}
