/** A real Postgres for tests: its own cluster in a temporary folder, on 127.0.0.1 and a socket in that folder. */
import { spawnSync } from "node:child_process";
import { chownSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { withDeadline } from "./bounded-wait.ts";
import { type Account, createServerFolder, findServerAccount } from "./server-folder.ts";
import { createServerProcess, findFreePort } from "./server-process.ts";

export type PostgresOptions = {
  /** Settings beside our own, such as `{ max_connections: "5" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The folder to make the server's folder in, such as a small file system to fill up. */
  readonly under?: string;
};

export type PostgresStopMode = "smart" | "fast" | "immediate";

export type PostgresServer = AsyncDisposable & {
  readonly url: string;
  readonly port: number;
  /** The main process; changes with every start. Throws while there is none. */
  readonly pid: number;
  readonly folder: string;
  /** Starts it again on the same port and folder; answers when it takes connections. */
  start: () => Promise<void>;
  /** Ends it and waits for that. `immediate` is a crash that needs recovery. Does nothing where it has ended. */
  stop: (mode?: PostgresStopMode) => Promise<void>;
  /** Sends a signal to the main process and waits for nothing. */
  signal: (signal: NodeJS.Signals) => void;
};

const initTimeoutMs = 60_000; // About 1.5 s on two idle cores.
const probeTimeoutMs = 2_000; // One question to a server that may not listen yet.
const portTriesMax = 4; // A free port can be taken between our look and the server's start.

const stopSignals = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;

/** What the product demands of a server, and what makes many small test databases bearable. */
const ownSettings = {
  fsync: "on",
  synchronous_commit: "on",
  full_page_writes: "on",
  max_connections: "200",
  timezone: "UTC",
  log_min_messages: "warning",
};

/** Makes a cluster and starts it. Throws with the end of the server's log where that fails. */
export async function startPostgres(
  programs: { readonly initdb: string; readonly postgres: string },
  options: PostgresOptions = {},
): Promise<PostgresServer> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await startOnce(programs, options);
    } catch (error) {
      if (tries === portTriesMax || !/Address already in use/i.test(String(error))) throw error;
    }
  }
}

async function startOnce(
  programs: { readonly initdb: string; readonly postgres: string },
  options: PostgresOptions,
): Promise<PostgresServer> {
  const account = findServerAccount();
  const folder = createServerFolder("postgres", account, options.under);
  const data = join(folder, "data");
  const port = await findFreePort();
  const password = crypto.randomUUID();
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  const settings = {
    ...ownSettings,
    ...options.settings,
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: folder,
  };
  const server = createServerProcess({
    name: "Postgres",
    command: [
      programs.postgres,
      "-D",
      data,
      ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ],
    folder,
    account,
    endSignal: "QUIT",
    isReady: async () => (await readDataFolder(url)) === data,
  });
  try {
    createCluster(programs.initdb, { folder, data, password, account });
    await server.start();
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
  return {
    url,
    port,
    folder,
    get pid() {
      return server.pid;
    },
    start: server.start,
    stop: (mode = "fast") => server.end(stopSignals[mode]),
    signal: server.signal,
    [Symbol.asyncDispose]: server[Symbol.asyncDispose],
  };
}

type Cluster = {
  readonly folder: string;
  readonly data: string;
  readonly password: string;
  readonly account: Account | null;
};

function createCluster(initdb: string, { folder, data, password, account }: Cluster): void {
  const passwordFile = join(folder, "password");
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (account !== null) chownSync(passwordFile, account.uid, account.gid);
  const locale = process.platform === "darwin" ? "en_US.UTF-8" : "C.UTF-8";
  const { status, stderr, error } = spawnSync(
    initdb,
    // Without --no-sync it would flush a thousand files that only this test run needs; the server itself has fsync on.
    ["-D", data, "-U", "postgres", "-A", "scram-sha-256", `--pwfile=${passwordFile}`, "-E", "UTF8", "--no-sync"].concat(
      `--locale=${locale}`,
    ),
    {
      cwd: folder,
      encoding: "utf8",
      env: { PATH: process.env.PATH ?? "/usr/bin:/bin", HOME: folder },
      timeout: initTimeoutMs,
      ...account,
    },
  );
  rmSync(passwordFile);
  if (status !== 0) {
    throw new Error(`Cannot make a Postgres cluster: initdb ended with ${status}.\n${stderr}`, { cause: error });
  }
}

/** The data folder of the server behind `url`: the proof of which server it is. */
async function readDataFolder(url: string): Promise<string | null> {
  const sql = postgres(url, { max: 1, connect_timeout: 1, onnotice: () => {} });
  try {
    const rows = sql<{ folder: string }[]>`select current_setting('data_directory') as folder`;
    const [row] = await withDeadline(
      rows,
      probeTimeoutMs,
      "Cannot ask Postgres for its data folder: it has not answered",
    );
    return row?.folder ?? null;
  } finally {
    await sql.end({ timeout: 0 });
  }
}
