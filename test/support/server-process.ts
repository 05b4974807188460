/** Runs one server for tests: start, stop, signal, and never a signal to a process that is not ours. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { waitUntil, withDeadline } from "./bounded-wait.ts";
import { type Account, listProcessesIn, startWatchdog } from "./server-folder.ts";

export const startTimeoutMs = 30_000; // A cold start on two busy cores takes about 3 s; recovery after a kill longer.
export const stopTimeoutMs = 20_000; // A fast shutdown writes a checkpoint: under 1 s for a test's data.
const leftoverTimeoutMs = 5_000; // Children of a killed server see its end by themselves within milliseconds.
const exitAfterSignalTimeoutMs = 2_000; // From a fatal signal to the news of the end.
const logTailChars = 2_000; // Enough of a server's log to see why it did not start.

type ServerPlan = {
  readonly name: "Postgres" | "Redis";
  readonly command: readonly [string, ...string[]];
  readonly folder: string;
  readonly account: Account | null;
  /** What the watchdog sends first: the server's own quick, clean end. */
  readonly endSignal: "QUIT" | "TERM";
  /** True once the server behind the port answers and proves to be the process `pid`. May throw while it starts. */
  readonly isReady: (pid: number) => Promise<boolean>;
};

export type ServerProcess = ReturnType<typeof createServerProcess>;

/** Wires a server over `plan` and starts its watchdog; `start()` starts the server itself. */
export function createServerProcess(plan: ServerPlan) {
  const { name, folder } = plan;
  const watchdog = startWatchdog(folder, plan.endSignal);
  let child: ChildProcess | null = null;
  let disposed: Promise<void> | null = null;

  const isRunning = () => child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
  const requirePid = (action: string): number => {
    if (child?.pid === undefined || !isRunning()) throw new Error(`Cannot ${action} ${name}: it is not running.`);
    return child.pid;
  };

  const waitForExit = (timeoutMs: number, action: string) =>
    waitUntil(() => !isRunning(), timeoutMs, `Cannot ${action} ${name}: the process has not ended`, 5);

  /** Shared memory and the lock file belong to the old children until the last of them is gone. */
  const endLeftovers = async () => {
    const endMs = performance.now() + leftoverTimeoutMs;
    while (listProcessesIn(folder).length > 0) {
      if (performance.now() > endMs) for (const pid of listProcessesIn(folder)) sendSignal(pid, "SIGKILL");
      await Bun.sleep(20);
    }
  };

  const start = async () => {
    if (disposed !== null) throw new Error(`Cannot start ${name}: it was disposed of.`);
    if (isRunning()) await waitForExit(exitAfterSignalTimeoutMs, "start");
    await withDeadline(endLeftovers(), 2 * leftoverTimeoutMs, `Cannot start ${name}: its old processes have not ended`);
    const started = spawnServer(plan);
    child = started;
    let lastError: unknown;
    const isReady = async () => {
      if (!isRunning()) return true;
      try {
        return await plan.isReady(requirePid("start"));
      } catch (error) {
        lastError = error;
        return false;
      }
    };
    try {
      await waitUntil(isReady, startTimeoutMs, `Cannot start ${name}: it has not answered`);
    } catch (cause) {
      if (isRunning()) started.kill("SIGKILL");
      throw new Error(`${cause instanceof Error ? cause.message : cause}\n${readLogTail(folder)}`, {
        cause: lastError,
      });
    }
    if (!isRunning()) throw new Error(`Cannot start ${name}: it ended at once.\n${readLogTail(folder)}`);
  };

  /** Sends `signal` and waits until the server has ended; a server stopped by SIGSTOP is woken to hear it. */
  const end = async (signal: NodeJS.Signals) => {
    if (!isRunning()) return;
    const pid = requirePid("stop");
    for (const frozen of listProcessesIn(folder)) sendSignal(frozen, "SIGCONT");
    sendSignal(pid, signal);
    await waitForExit(stopTimeoutMs, "stop");
  };

  const dispose = async () => {
    if (isRunning()) await end(`SIG${plan.endSignal}`).catch(() => child?.kill("SIGKILL"));
    await withDeadline(watchdog.release(), stopTimeoutMs, `Cannot remove ${name}: its folder is still in use`);
  };

  return {
    folder,
    /** The process that runs now; changes with every start. Throws while there is none. */
    get pid() {
      return requirePid("name the process of");
    },
    start,
    end,
    /** Sends `signal` to the server and waits for nothing. */
    signal: (signal: NodeJS.Signals) => sendSignal(requirePid("signal"), signal),
    [Symbol.asyncDispose]: () => {
      disposed ??= dispose();
      return disposed;
    },
  };
}

function spawnServer({ command: [program, ...args], folder, account }: ServerPlan): ChildProcess {
  const log = openSync(join(folder, "server.log"), "a");
  try {
    const child = spawn(program, args, {
      cwd: folder,
      detached: true,
      env: { PATH: process.env.PATH ?? "/usr/bin:/bin", HOME: folder, TZ: "UTC" },
      stdio: ["ignore", log, log],
      ...account,
    });
    child.on("error", () => {}); // Seen as "ended at once"; without a listener it would end this process.
    child.unref();
    return child;
  } finally {
    closeSync(log);
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Ended between our look and our signal.
  }
}

/** The end of the server's log, for an error's message. */
export function readLogTail(folder: string): string {
  try {
    return readFileSync(join(folder, "server.log"), "utf8").slice(-logTailChars);
  } catch {
    return "(no log)";
  }
}

/** A port of 127.0.0.1 that nobody listens on now. It may be taken before it is used: be ready to ask again. */
export function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
