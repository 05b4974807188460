import { type ErrorCode, SyncError } from "../domain/error.ts";
import { type ExitCode, exitCodes } from "./io.ts";

/** Deeper causes than this say nothing more, and a chain may be a ring. */
const causesMax = 8;
/** Shortest secret that is searched for: shorter ones would blank out ordinary words. */
const secretLengthMin = 6;
const bugMessageMax = 200;

/** The exit code of every operating failure. The compiler refuses a code without a row. */
export const exitCodeOf: Readonly<Record<ErrorCode, ExitCode>> = {
  usage_invalid: exitCodes.usage,
  config_invalid: exitCodes.usage,
  account_unknown: exitCodes.usage,
  account_conflict: exitCodes.usage,
  conversation_unknown: exitCodes.usage,
  run_unknown: exitCodes.usage,
  token_refused: exitCodes.token,
  storage_unavailable: exitCodes.storage,
  storage_unsafe: exitCodes.storage,
  schema_newer: exitCodes.storage,
  folder_locked: exitCodes.storage,
  folder_unusable: exitCodes.storage,
  statement_refused: exitCodes.storage,
  payload_unreadable: exitCodes.someFailed,
  daemon_unreachable: exitCodes.usage,
  interrupted: exitCodes.interrupted,
};

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What a person reads about `error`, and the exit code: one sentence, and at the debug level the chain of causes.
 * Nothing in it is a secret of the environment, whatever a driver wrote into its message.
 */
export function explainError(error: unknown, env: Environment): { text: string; exitCode: ExitCode } {
  const known = error instanceof SyncError;
  const lines = [known ? error.message : bugSentence(error)];
  if (env.SOCIAL_SYNC_LOG_LEVEL?.trim() === "debug") lines.push(...listCauses(error));
  return {
    text: `${withoutSecrets(lines.join("\n"), env)}\n`,
    exitCode: known ? exitCodeOf[error.code] : exitCodes.bug,
  };
}

function bugSentence(error: unknown): string {
  const said = (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).replace(/\s+/g, " ");
  const short = said.length > bugMessageMax ? `${said.slice(0, bugMessageMax)}…` : said;
  return `Cannot go on: this is a bug in social-sync, please report it (${short})`;
}

function listCauses(error: unknown): string[] {
  const lines: string[] = [];
  let current = error;
  for (let depth = 0; depth < causesMax && current !== undefined && current !== null; depth++) {
    const code = typeof current === "object" && "code" in current ? ` [${String(current.code)}]` : "";
    const said = current instanceof Error ? (current.stack ?? `${current.name}: ${current.message}`) : String(current);
    lines.push(`${depth === 0 ? "At" : "Caused by"}${code}: ${said}`);
    current = current instanceof Error ? current.cause : null;
  }
  return lines;
}

/** Blanks every secret of the environment that stands in `text`. */
export function withoutSecrets(text: string, env: Environment): string {
  return listSecrets(env).reduce((left, secret) => left.replaceAll(secret, "***"), text);
}

function listSecrets(env: Environment): string[] {
  const named = ["META_APP_SECRET", "META_VERIFY_TOKEN", "SOCIAL_SYNC_API_KEYS", "SOCIAL_SYNC_ENCRYPTION_KEY"];
  const listed = named.flatMap((name) => (env[name] ?? "").split(","));
  const passwords = ["DATABASE_URL", "REDIS_URL"].flatMap((name) => {
    const address = env[name] ?? "";
    if (!URL.canParse(address)) return [];
    const { password } = new URL(address);
    return [password, decodeWhole(password)];
  });
  return [...listed, ...passwords].map((secret) => secret.trim()).filter((secret) => secret.length >= secretLengthMin);
}

function decodeWhole(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
