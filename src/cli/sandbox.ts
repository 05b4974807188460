import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { readConfig } from "../config.ts";
import { SyncError } from "../domain/error.ts";
import { openSandbox, type Sandbox } from "../sandbox/sandbox.ts";
import { peopleMax } from "../sandbox/world.ts";
import { type CommandArguments, defineCliCommand } from "./command.ts";
import { exitCodes, type Io } from "./io.ts";
import { openCommandLog } from "./log-output.ts";
import { readSecretFile } from "./read-token.ts";
import { readWhole } from "./read-whole.ts";
import { optionRefusal } from "./strict-arguments.ts";

const numberMax = 1_000_000;
/** Instagram counts per hour. */
const sandboxWindowMs = 3_600_000;

const args = {
  host: { type: "string", valueHint: "address", description: "where to listen", default: "127.0.0.1" },
  port: { type: "string", valueHint: "number", description: "0 takes a free one", default: "4000" },
  people: { type: "string", valueHint: "number", description: "people who write to each account", default: "1000" },
  rate: { type: "string", valueHint: "calls", description: "calls an hour and account (default: no limit)" },
  "latency-ms": { type: "string", valueHint: "ms", description: "added to each Graph request", default: "80" },
  "messages-per-second": { type: "string", valueHint: "number", description: "signed webhooks to send", default: "0" },
  seed: { type: "string", valueHint: "number", description: "the same seed makes the same world", default: "1" },
  "webhook-url": { type: "string", valueHint: "url", description: "where to send webhooks" },
  "app-secret-file": {
    type: "string",
    valueHint: "path",
    description: "signs the webhooks (default: one of the seed)",
  },
  "tokens-folder": { type: "string", valueHint: "path", description: "write the accounts' tokens to files there" },
} as const;

const usage = {
  name: "sandbox",
  summary: "run a stand-in for Instagram, for trying and testing",
  args,
  examples: [
    "social-sync sandbox --tokens-folder ./sandbox-tokens",
    "social-sync sandbox --messages-per-second 5 --webhook-url http://127.0.0.1:3000/webhooks/instagram",
  ],
  notes: ["Its accounts, people and tokens are made up. Runs until Ctrl-C."],
} as const;

/** `social-sync sandbox`: Instagram in a box until a signal. */
export const sandboxCommand = defineCliCommand({
  ...usage,
  onStop: "finish",
  async run(given, io) {
    const options = readOptions(given);
    const secretFile = given["app-secret-file"];
    const appSecret = secretFile === null ? secretOf(options.seed) : await readSecretFile(io, secretFile);
    if (appSecret === "") throw optionRefusal(usage, "app-secret-file", "names an empty file");
    const config = readConfig(io.env, { appSecret: false, isTty: io.stderr.isTty });
    using output = openCommandLog(config, io);
    await using sandbox = await open({ ...options, appSecret, windowMs: sandboxWindowMs }, io, output.log);
    const tokenFiles = writeTokens(sandbox, given["tokens-folder"], io.workingDirectory);
    io.stdout.write(describeSandbox(sandbox, { tokenFiles, appSecret: secretFile === null ? appSecret : null }));
    await stopped(io.stopTaking);
    io.stderr.write("Sandbox closed.\n");
    return exitCodes.done;
  },
});

function readOptions(given: CommandArguments<typeof args>) {
  const whole = (option: keyof typeof args, text: string | null, max = numberMax, min = 0) =>
    readWhole(`--${option}`, text, { fallback: 0, min, max });
  const webhookUrl = given["webhook-url"];
  if (webhookUrl !== null && !(URL.canParse(webhookUrl) && /^https?:$/.test(new URL(webhookUrl).protocol)))
    throw optionRefusal(usage, "webhook-url", "must be an address that starts with http:// or https://");
  const messagesPerSecond = whole("messages-per-second", given["messages-per-second"]);
  if (messagesPerSecond > 0 && webhookUrl === null)
    throw optionRefusal(usage, "messages-per-second", "needs --webhook-url");
  return {
    host: given.host,
    port: whole("port", given.port, 65_535),
    people: whole("people", given.people, peopleMax),
    ratePerWindow: given.rate === null ? null : whole("rate", given.rate, numberMax, 1),
    latencyMs: whole("latency-ms", given["latency-ms"], 60_000),
    messagesPerSecond,
    seed: whole("seed", given.seed, 2 ** 31),
    webhookUrl,
  };
}

async function open(
  options: Omit<Parameters<typeof openSandbox>[0], "clock" | "log">,
  io: Io,
  log: Parameters<typeof openSandbox>[0]["log"],
) {
  try {
    return await openSandbox({ ...options, clock: io.clock, log });
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    if (!/^E[A-Z]+$/.test(code)) throw cause;
    const why = code === "EADDRINUSE" ? "the port is taken" : `the system refuses (${code})`;
    throw new SyncError("config_invalid", `Cannot listen on ${options.host}:${options.port}: ${why}`, { cause });
  }
}

/** The sandbox's own app secret where none is given: made up like everything in it, the same for the same seed. */
function secretOf(seed: number): string {
  return createHash("sha256").update(`social-sync sandbox ${seed}`).digest("hex").slice(0, 32);
}

/** Writes each account's token to a file that only its owner reads. Answers the paths; null where none was asked for. */
function writeTokens(sandbox: Sandbox, folder: string | null, workingDirectory: string): string[] | null {
  if (folder === null) return null;
  const path = resolve(workingDirectory, folder);
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return sandbox.world.accounts.map(({ username, token }) => {
      const file = join(path, `${username}.token`);
      writeFileSync(file, `${token}\n`, { mode: 0o600 });
      return file;
    });
  } catch (cause) {
    throw new SyncError("folder_unusable", `Cannot write the tokens to ${folder}: it cannot be written`, { cause });
  }
}

type Described = { readonly tokenFiles: readonly string[] | null; readonly appSecret: string | null };

/** What one needs to use it: addresses, settings, and an `accounts add` for each account. Made to be pasted. */
function describeSandbox(sandbox: Sandbox, { tokenFiles, appSecret }: Described): string {
  const added = sandbox.world.accounts.flatMap(({ instagramId, login, pageId, username, token }, place) => {
    const page = pageId === null ? "" : ` --page-id ${pageId}`;
    const command = `social-sync accounts add --instagram-id ${instagramId} --login ${login}${page} --username ${username}`;
    const file = tokenFiles?.[place];
    if (file !== undefined) return [`${command} --token-file ${quote(file)}`];
    return [`printf %s ${token} | ${command} --token-file -`];
  });
  return `${[
    `The sandbox listens on ${sandbox.origin}. Settings for social-sync:`,
    "",
    `export GRAPH_INSTAGRAM_URL=${sandbox.instagramUrl}`,
    `export GRAPH_FACEBOOK_URL=${sandbox.facebookUrl}`,
    ...(appSecret === null ? [] : [`export META_APP_SECRET=${appSecret}`]),
    "",
    "Its accounts (made up, and so are their tokens: they are no secrets and work nowhere else):",
    "",
    ...added,
    "",
    "It runs until Ctrl-C.",
  ].join("\n")}\n`;
}

const quote = (path: string) => (/^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);

function stopped(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
