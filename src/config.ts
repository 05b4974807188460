import { join } from "node:path";
import { SyncError } from "./domain/error.ts";
import { profileMaxAgeMsDefault } from "./domain/profile.ts";
import { type LogLevel, logLevels } from "./lib/log.ts";

/** Everything the environment decides. Secrets stand here in the clear: print it with `printConfig()` only. */
export type Config = {
  readonly databaseUrl: string | null;
  readonly redisUrl: string | null;
  readonly redisTimeoutMs: number;
  readonly dataFolder: string;
  readonly host: string;
  readonly port: number;
  readonly publicUrl: string | null;
  readonly metaAppId: string | null;
  readonly appSecrets: readonly string[];
  readonly verifyToken: string | null;
  readonly graph: { readonly instagramUrl: string; readonly facebookUrl: string; readonly version: string };
  readonly apiKeys: readonly string[];
  readonly encryptionKey: string | null;
  readonly logLevel: LogLevel;
  readonly logFormat: "pretty" | "json";
  readonly ratePerHour: number | null;
  readonly rateWindowMs: number;
  /** Least time between two calls on an account's conversations edge, in ms. */
  readonly inboxSpacingMs: number;
  /** Where acknowledged deliveries wait for the database, and how many bytes of them may. Daemons may share the folder. */
  readonly spool: { readonly folder: string; readonly bytesMax: number };
  /** How long raw events are kept for replay. */
  readonly eventRetentionDays: number;
  /** How old a profile may grow before a message of its person renews it, in ms. */
  readonly profileMaxAgeMs: number;
  /** Durability settings that the operator accepts switched off, by name: `fsync`, `synchronous_commit`. */
  readonly allowUnsafeStorage: readonly string[];
};

type Environment = Readonly<Record<string, string | undefined>>;

/** Instagram sends a webhook again for 36 hours: an event must be remembered for longer than that. */
export const retentionDaysMin = 3;
const hourMs = 3_600_000;
/** Shortest bearer key: 16 characters are beyond guessing at any rate the API answers. */
export const apiKeyLengthMin = 16;
const secretNames = ["META_APP_SECRET", "META_VERIFY_TOKEN", "SOCIAL_SYNC_API_KEYS", "SOCIAL_SYNC_ENCRYPTION_KEY"];

/**
 * Reads the settings, all of them, and reports every problem at once.
 * Throws `config_invalid` with one line a problem; no line repeats a secret.
 */
export function readConfig(env: Environment, need: { appSecret: boolean; isTty: boolean }): Config {
  const problems: string[] = [];
  const text = (name: string): string | null => {
    const value = env[name]?.trim();
    return value === undefined || value === "" ? null : value;
  };
  const list = (name: string) =>
    (text(name) ?? "")
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== "");
  const whole = (name: string, fallback: number, min: number, max: number): number => {
    const value = text(name);
    if (value === null) return fallback;
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    problems.push(`${name} must be a whole number from ${min} to ${max}${quoted(name, value)}`);
    return fallback;
  };
  const oneOf = <T extends string>(name: string, allowed: readonly T[], fallback: T): T => {
    const value = text(name);
    const known = allowed.find((word) => word === value);
    if (value !== null && known === undefined)
      problems.push(`${name} must be one of ${allowed.join(", ")}${quoted(name, value)}`);
    return known ?? fallback;
  };
  const url = (name: string, schemes: readonly string[], fallback: string | null): string | null => {
    const value = text(name);
    if (value === null) return fallback;
    const parsed = URL.canParse(value) ? new URL(value) : null;
    if (parsed === null || !schemes.includes(parsed.protocol))
      problems.push(
        `${name} must be an address that starts with ${schemes.map((scheme) => `${scheme}//`).join(" or ")}`,
      );
    return value.replace(/\/+$/, "");
  };

  const config: Config = {
    databaseUrl: url("DATABASE_URL", ["postgres:", "postgresql:"], null),
    redisUrl: url("REDIS_URL", ["redis:", "rediss:"], null),
    redisTimeoutMs: whole("REDIS_TIMEOUT_MS", 100, 1, 10_000),
    dataFolder: text("SOCIAL_SYNC_DATA_DIR") ?? "./.social-sync",
    host: text("HOST") ?? "127.0.0.1",
    port: whole("PORT", 3000, 0, 65_535),
    publicUrl: url("PUBLIC_URL", ["https:", "http:"], null),
    metaAppId: text("META_APP_ID"),
    appSecrets: list("META_APP_SECRET"),
    verifyToken: text("META_VERIFY_TOKEN"),
    graph: {
      instagramUrl: url("GRAPH_INSTAGRAM_URL", ["https:", "http:"], null) ?? "https://graph.instagram.com",
      facebookUrl: url("GRAPH_FACEBOOK_URL", ["https:", "http:"], null) ?? "https://graph.facebook.com",
      version: text("GRAPH_VERSION") ?? "v26.0",
    },
    apiKeys: list("SOCIAL_SYNC_API_KEYS"),
    encryptionKey: text("SOCIAL_SYNC_ENCRYPTION_KEY"),
    logLevel: oneOf<LogLevel>("SOCIAL_SYNC_LOG_LEVEL", logLevels, "log"),
    logFormat: oneOf("SOCIAL_SYNC_LOG_FORMAT", ["pretty", "json"], need.isTty ? "pretty" : "json"),
    ratePerHour:
      text("SOCIAL_SYNC_RATE_PER_HOUR") === null ? null : whole("SOCIAL_SYNC_RATE_PER_HOUR", 1, 1, 10_000_000),
    rateWindowMs: whole("SOCIAL_SYNC_RATE_WINDOW_MS", hourMs, 100, 86_400_000),
    inboxSpacingMs: whole("SOCIAL_SYNC_INBOX_SPACING_MS", 600, 0, 60_000),
    spool: {
      folder: text("SOCIAL_SYNC_SPOOL_DIR") ?? join(text("SOCIAL_SYNC_DATA_DIR") ?? "./.social-sync", "spool"),
      bytesMax: whole("SOCIAL_SYNC_SPOOL_MB_MAX", 1_024, 1, 1_048_576) * 1_048_576,
    },
    eventRetentionDays: whole("SOCIAL_SYNC_EVENT_RETENTION_DAYS", 30, retentionDaysMin, 36_500),
    profileMaxAgeMs: whole("SOCIAL_SYNC_PROFILE_MAX_AGE_HOURS", profileMaxAgeMsDefault / hourMs, 24, 8_760) * hourMs,
    allowUnsafeStorage: list("SOCIAL_SYNC_ALLOW_UNSAFE_STORAGE"),
  };

  if (need.appSecret && config.appSecrets.length === 0)
    problems.push(
      "META_APP_SECRET is missing: without it nobody can tell Instagram's webhooks from forged ones (try --sandbox)",
    );
  if (!/^v\d{1,3}\.\d{1,2}$/.test(config.graph.version))
    problems.push(`GRAPH_VERSION must look like v26.0, not '${config.graph.version}'`);
  for (const [name, address] of [
    ["GRAPH_INSTAGRAM_URL", config.graph.instagramUrl],
    ["GRAPH_FACEBOOK_URL", config.graph.facebookUrl],
  ] as const)
    if (address.startsWith("http:") && !isLoopbackUrl(address))
      problems.push(`${name} must be https, unless it is a loopback address: tokens travel there`);
  if (config.apiKeys.some((key) => key.length < apiKeyLengthMin))
    problems.push(`SOCIAL_SYNC_API_KEYS: each key needs at least ${apiKeyLengthMin} characters`);
  if (config.encryptionKey !== null && !/^([0-9a-fA-F]{64}|[A-Za-z0-9+/_-]{43}=?)$/.test(config.encryptionKey))
    problems.push("SOCIAL_SYNC_ENCRYPTION_KEY must be 32 bytes as 64 hex digits or as base64");
  if (config.apiKeys.length === 0 && !isLoopback(config.host))
    problems.push(
      `HOST is ${config.host} and SOCIAL_SYNC_API_KEYS is missing: nothing listens beyond this machine without keys`,
    );

  if (problems.length > 0)
    throw new SyncError(
      "config_invalid",
      `Cannot use the settings:\n${problems.map((line) => `  ${line}`).join("\n")}`,
    );
  return config;
}

/** The settings for people: every secret replaced by how many there are. */
export function printConfig(config: Config): Record<string, unknown> {
  return {
    ...config,
    databaseUrl: withoutPassword(config.databaseUrl),
    redisUrl: withoutPassword(config.redisUrl),
    appSecrets: `${config.appSecrets.length} set`,
    apiKeys: `${config.apiKeys.length} set`,
    verifyToken: config.verifyToken === null ? "not set" : "set",
    encryptionKey: config.encryptionKey === null ? "in the data folder" : "set",
  };
}

/** Tells whether a host name or address never leaves this machine. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}

const isLoopbackUrl = (address: string) => URL.canParse(address) && isLoopback(new URL(address).hostname);
const quoted = (name: string, value: string) => (secretNames.includes(name) ? "" : `, not '${value}'`);

function withoutPassword(address: string | null): string | null {
  if (address === null || !URL.canParse(address)) return null;
  const url = new URL(address);
  if (url.password !== "") url.password = "***";
  return url.href;
}
