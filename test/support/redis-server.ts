/** A real Redis for tests: in memory only, with a password, on 127.0.0.1 and in a temporary folder. */
import { chownSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { withDeadline } from "./bounded-wait.ts";
import { createServerFolder, findServerAccount } from "./server-folder.ts";
import { createServerProcess, findFreePort } from "./server-process.ts";

export type RedisOptions = {
  /** Settings beside our own, such as `{ maxmemory: "2mb" }`. */
  readonly settings?: Readonly<Record<string, string>>;
};

export type RedisServer = AsyncDisposable & {
  readonly url: string;
  readonly port: number;
  /** Changes with every start. Throws while there is none. */
  readonly pid: number;
  readonly folder: string;
  /** Starts it again on the same port, empty; answers when it takes commands. */
  start: () => Promise<void>;
  /** Ends it and waits for that. `immediate` is SIGKILL. Does nothing where it has ended. */
  stop: (mode?: "fast" | "immediate") => Promise<void>;
  /** Sends a signal and waits for nothing. */
  signal: (signal: NodeJS.Signals) => void;
};

export const redisDatabases = 1024; // One for each test that asks; an empty one costs next to nothing.
export const redisOwnerFile = "run-id"; // In the server's folder: says that we started the run of that id.
const probeTimeoutMs = 2_000; // One question to a server that may not listen yet.
const portTriesMax = 4; // A free port can be taken between our look and the server's start.

/** Starts the program `redis`. Throws with the end of the server's log where that fails. */
export async function startRedis(redis: string, options: RedisOptions = {}): Promise<RedisServer> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await startOnce(redis, options);
    } catch (error) {
      if (tries === portTriesMax || !/Address already in use/i.test(String(error))) throw error;
    }
  }
}

async function startOnce(redis: string, options: RedisOptions): Promise<RedisServer> {
  const account = findServerAccount();
  const folder = createServerFolder("redis", account);
  const port = await findFreePort();
  const password = crypto.randomUUID();
  const url = `redis://:${password}@127.0.0.1:${port}`;
  const settings = {
    save: '""',
    appendonly: "no",
    databases: String(redisDatabases),
    ...options.settings,
    bind: "127.0.0.1",
    port: String(port),
    dir: folder,
    requirepass: password,
    daemonize: "no",
  };
  const config = join(folder, "redis.conf"); // A file, as the password would show in the list of processes.
  const lines = Object.entries(settings).map(([name, value]) => `${name} ${value}\n`);
  writeFileSync(config, lines.join(""), { mode: 0o600 });
  if (account !== null) chownSync(config, account.uid, account.gid);
  const server = createServerProcess({
    name: "Redis",
    command: [redis, config],
    folder,
    account,
    endSignal: "TERM",
    isReady: async (pid) => {
      const info = await readInfo(url);
      if (info.get("process_id") !== String(pid)) return false;
      writeFileSync(join(folder, redisOwnerFile), info.get("run_id") ?? "");
      return true;
    },
  });
  try {
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
    stop: (mode = "fast") => server.end(mode === "fast" ? "SIGTERM" : "SIGKILL"),
    signal: server.signal,
    [Symbol.asyncDispose]: server[Symbol.asyncDispose],
  };
}

/** A client for the harness: it gives up at once where there is no server, and never reconnects. */
export function createRedisClient(url: string): Redis {
  const client = new Redis(url, {
    connectTimeout: probeTimeoutMs,
    commandTimeout: probeTimeoutMs,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  client.on("error", () => {}); // Every command that fails says so itself.
  return client;
}

/** The server's own words on itself (`INFO server`), by name. */
async function readInfo(url: string): Promise<Map<string, string>> {
  const client = createRedisClient(url);
  try {
    return await readServerInfo(client);
  } finally {
    client.disconnect();
  }
}

/** `INFO server` by name, such as `run_id` and `process_id`. */
export async function readServerInfo(client: Redis): Promise<Map<string, string>> {
  const text = await withDeadline(client.info("server"), probeTimeoutMs, "Cannot ask Redis who it is: no answer");
  return new Map(
    text.split("\r\n").flatMap((line): [string, string][] => {
      const at = line.indexOf(":");
      return at < 1 ? [] : [[line.slice(0, at), line.slice(at + 1)]];
    }),
  );
}
