/**
 * The compiled binary as a service manager runs it, on one port for its whole life, however often it dies.
 *
 *   await daemon.start();               // answers once it listens; throws with the end of its stderr where it does not
 *   await daemon.kill();                // SIGKILL, and waits for the end
 *   const { code, ms } = await daemon.stop();   // SIGTERM, and waits for the end
 *   daemon.signal("SIGSTOP"); daemon.pid; daemon.output(); daemon.complaints()
 *
 * An end that nobody asked for stands in `complaints()`, and so does every word of an unhandled error.
 */
import { withDeadline } from "../support/bounded-wait.ts";
import { compiledBinary } from "../support/compiled-binary.ts";

const startMsMax = 40_000; // About 0.1 s; on a busy machine, with a database that recovers, seconds.
const endMsMax = 30_000; // `serve` ends within 25 s of a SIGTERM, whatever hangs.
const outputCharactersMax = 64_000; // The end of what it said: enough for a report.
const complaintsMax = 20;
const pollMs = 4;

export type DaemonProcessOptions = {
  readonly name: string;
  /** The working folder: inside the rig's, whose watchdog ends everything that works in there. */
  readonly folder: string;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  /** Goes before the program, such as `["prlimit", "--nofile=64"]`. It must end by `exec`ing what follows. */
  readonly wrap?: readonly string[];
  /** Another program than the compiled one, such as a build with fault points. */
  readonly binary?: string;
  readonly args?: readonly string[];
};
export type DaemonProcess = ReturnType<typeof createDaemonProcess>;

/** Wires a daemon; nothing runs yet. */
export function createDaemonProcess(options: DaemonProcessOptions) {
  const { name, folder, port, env, wrap = [], args = [] } = options;
  const url = `http://127.0.0.1:${port}`;
  const complaints: string[] = [];
  let child: Bun.Subprocess<"ignore", "ignore", "pipe"> | null = null;
  let output = "";
  let starts = 0;
  let endAsked = false;

  const complain = (text: string) => {
    if (complaints.length < complaintsMax) complaints.push(`${name}: ${text}`);
  };
  const isRunning = () => child !== null && child.exitCode === null && child.signalCode === null;
  const requireChild = (action: string) => {
    if (child === null || !isRunning()) throw new Error(`Cannot ${action} ${name}: it is not running.`);
    return child;
  };

  const collect = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      const text = decoder.decode(bytes, { stream: true });
      const bad = /^.*(unhandled|uncaught|assertion|panic|Bug:|unexpected error).*$/im.exec(text)?.[0];
      if (bad !== undefined) complain(bad.slice(0, 500));
      output = (output + text).slice(-outputCharactersMax);
    }
  };

  /** Starts it and waits for nothing. */
  const spawn = async (): Promise<void> => {
    if (isRunning()) throw new Error(`Cannot start ${name}: it is running.`);
    const command = [...wrap, options.binary ?? (await compiledBinary()), "serve", "--port", String(port), ...args];
    starts += 1;
    endAsked = false;
    output += `--- start ${starts}\n`;
    const started = Bun.spawn(command, {
      cwd: folder,
      env: { PATH: process.env.PATH ?? "/usr/bin:/bin", ...env },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    child = started;
    void collect(started.stderr);
    void started.exited.then(() => {
      if (started === child && !endAsked)
        complain(`ended by itself with ${started.signalCode ?? started.exitCode}: ${output.slice(-1_000)}`);
    });
  };

  const answersLive = async (): Promise<boolean> => {
    try {
      const init = { headers: { Connection: "close" }, signal: AbortSignal.timeout(1_000) };
      return (await fetch(`${url}/health/live`, init)).ok;
    } catch {
      return false;
    }
  };
  /** Waits until it answers. Throws where it ends first, or takes too long. */
  const ready = async (timeoutMs = startMsMax): Promise<void> => {
    const endMs = performance.now() + timeoutMs;
    while (!(await answersLive())) {
      if (!isRunning()) throw new Error(`Cannot start ${name}: it ended at once.\n${output.slice(-2_000)}`);
      if (performance.now() > endMs)
        throw new Error(`Cannot start ${name}: it does not answer within ${timeoutMs} ms.\n${output.slice(-2_000)}`);
      await Bun.sleep(pollMs);
    }
  };

  /** Sends a signal that ends it, and waits for that. Answers the exit code (null: died by a signal) and the ms it took. */
  const end = async (signal: NodeJS.Signals): Promise<{ code: number | null; ms: number }> => {
    const asked = requireChild("end");
    endAsked = true;
    const startMs = performance.now();
    asked.kill(signal);
    await withDeadline(asked.exited, endMsMax, `Cannot end ${name} by ${signal}: it has not ended`);
    return { code: asked.exitCode, ms: performance.now() - startMs };
  };

  return {
    name,
    port,
    url,
    env,
    get pid() {
      return requireChild("name the process of").pid;
    },
    isRunning,
    starts: () => starts,
    spawn,
    ready,
    start: async (timeoutMs?: number): Promise<void> => {
      await spawn();
      await ready(timeoutMs);
    },
    kill: () => end("SIGKILL"),
    stop: () => end("SIGTERM"),
    /** Its death is to come by itself, such as by a fault point: then it is no complaint. */
    expectEnd: (): void => {
      endAsked = true;
    },
    signal: (signal: NodeJS.Signals): void => {
      requireChild("signal").kill(signal);
    },
    exited: async (timeoutMs = endMsMax): Promise<number | null> => {
      const awaited = child;
      if (awaited === null) throw new Error(`Cannot wait for the end of ${name}: it was never started.`);
      await withDeadline(awaited.exited, timeoutMs, `Cannot see ${name} end: it has not ended`);
      return awaited.exitCode;
    },
    /** The end of its stderr, over all starts. */
    output: () => output,
    /** Ends that nobody asked for, and unhandled errors. Empty: all is well. */
    complaints: (): readonly string[] => complaints,
    [Symbol.asyncDispose]: async (): Promise<void> => {
      if (isRunning()) await end("SIGKILL");
    },
  };
}
