import { printConfig, readConfig } from "../config.ts";
import type { SandboxWish } from "../daemon/sandbox-box.ts";
import { SyncError } from "../domain/error.ts";
import { endsWithin } from "../lib/clock.ts";
import { defineCliCommand } from "./command.ts";
import { type ExitCode, exitCodes, type Io } from "./io.ts";
import { openCommandLog } from "./log-output.ts";
import { readWhole } from "./read-whole.ts";

/** From the first signal to the end (spec: within 25 s); what is not done by then is found again in Postgres. */
const stopBoundMs = 24_000;

/** `social-sync serve` */
export const serveCommand = defineCliCommand({
  name: "serve",
  summary: "run the daemon: webhook, API, dashboard and worker",
  args: {
    host: { type: "string", valueHint: "address", description: "where to listen (HOST, else 127.0.0.1)" },
    port: { type: "string", valueHint: "number", description: "the port; 0 takes a free one (PORT, else 3000)" },
    sandbox: { type: "boolean", description: "bring a stand-in for Instagram along: no Meta app needed" },
    people: { type: "string", valueHint: "number", description: "sandbox: people an account (40)" },
    rate: { type: "string", valueHint: "number", description: "sandbox: calls a window it allows (no limit)" },
    "latency-ms": {
      type: "string",
      valueHint: "ms",
      description: "sandbox: how long each Graph answer takes (1200: long enough to see)",
    },
    "messages-per-second": { type: "string", valueHint: "number", description: "sandbox: webhooks it sends (2)" },
    seed: { type: "string", valueHint: "number", description: "sandbox: the same seed, the same world (1)" },
    "sandbox-accounts": {
      type: "string",
      valueHint: "number",
      description: "sandbox: accounts added here, 0 to 2 (2)",
    },
    "print-config": { type: "boolean", description: "print the settings without secrets, and end" },
  },
  examples: ["social-sync serve --sandbox", "META_APP_SECRET=… DATABASE_URL=postgres://… social-sync serve"],
  notes: ["Stops on SIGTERM or Ctrl-C in order, within 25 s; a second signal leaves at once."],
  onStop: "finish",
  async run(args, io) {
    const env = { ...io.env, ...(args.host ? { HOST: args.host } : {}), ...(args.port ? { PORT: args.port } : {}) };
    const config = readConfig(env, { appSecret: !args.sandbox, isTty: io.stderr.isTty });
    if (args["print-config"]) {
      io.stdout.write(`${JSON.stringify(printConfig(config), null, 2)}\n`);
      return exitCodes.done;
    }
    const sandbox = {
      people: readWhole("--people", args.people, { fallback: 40, min: 1, max: 1_000_000 }),
      ratePerWindow:
        args.rate === null ? null : readWhole("--rate", args.rate, { fallback: 0, min: 1, max: 10_000_000 }),
      latencyMs: readWhole("--latency-ms", args["latency-ms"], { fallback: 1_200, min: 0, max: 600_000 }),
      messagesPerSecond: readWhole("--messages-per-second", args["messages-per-second"], {
        fallback: 2,
        min: 0,
        max: 100_000,
      }),
      seed: readWhole("--seed", args.seed, { fallback: 1, min: 0, max: 2_147_483_647 }),
      accounts: readWhole("--sandbox-accounts", args["sandbox-accounts"], { fallback: 2, min: 0, max: 2 }),
    };
    const stray = Object.entries(args).find(
      ([name, value]) => typeof value === "string" && !["host", "port"].includes(name),
    );
    if (!args.sandbox && stray !== undefined)
      throw new SyncError("usage_invalid", `Cannot use --${stray[0]}: it belongs to --sandbox`);
    const set = (["GRAPH_INSTAGRAM_URL", "GRAPH_FACEBOOK_URL"] as const).find((name) => args.sandbox && io.env[name]);
    if (set !== undefined)
      throw new SyncError("config_invalid", `Cannot start: --sandbox brings its own Graph, and ${set} names another`);
    return await serve(config, args.sandbox ? sandbox : null, io);
  },
});

async function serve(config: ReturnType<typeof readConfig>, wish: SandboxWish | null, io: Io): Promise<ExitCode> {
  using output = openCommandLog(config, io);
  const { openDaemon } = await import("../daemon/daemon.ts"); // Elysia, postgres.js and the rest: not for --help
  const daemon = await openDaemon(config, wish, {
    clock: io.clock,
    log: output.log,
    version: io.version,
    instance: io.instance,
    usage: io.usage,
  });
  for (const line of daemon.describe()) io.stderr.write(`${line}\n`);
  const unfit = await Promise.race([daemon.unfit, whenStopped(io.stopTaking)]);
  io.stderr.write("Stopping: finishing what is in hand (a second signal leaves at once).\n");
  const inTime = await endsWithin(io.clock, daemon.close(), stopBoundMs);
  io.stderr.write(inTime ? "Stopped.\n" : "Stopped late: what was cut off is taken up at the next start.\n");
  if (unfit !== null) throw unfit;
  return exitCodes.done;
}

/** Resolves with null at the first signal. */
function whenStopped(stopTaking: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (stopTaking.aborted) resolve(null);
    else stopTaking.addEventListener("abort", () => resolve(null), { once: true });
  });
}
