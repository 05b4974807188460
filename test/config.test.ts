import { describe, expect, test } from "bun:test";
import { isLoopback, printConfig, readConfig } from "../src/config.ts";
import { SyncError } from "../src/domain/error.ts";

const need = { appSecret: false, isTty: false };
const problemsOf = (env: Record<string, string>, wants = need): string[] => {
  try {
    readConfig(env, wants);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(SyncError);
    return (error as SyncError).message.split("\n").slice(1);
  }
};

describe("readConfig()", () => {
  test("has a default for everything but the secret", () => {
    expect(readConfig({}, need)).toMatchObject({
      databaseUrl: null,
      redisUrl: null,
      host: "127.0.0.1",
      port: 3000,
      dataFolder: "./.social-sync",
      graph: {
        instagramUrl: "https://graph.instagram.com",
        facebookUrl: "https://graph.facebook.com",
        version: "v26.0",
      },
      redisTimeoutMs: 100,
      rateWindowMs: 3_600_000,
      profileMaxAgeMs: 604_800_000,
      logFormat: "json",
    });
    expect(problemsOf({}, { appSecret: true, isTty: false })).toHaveLength(1);
  });

  test("reads several secrets and keys, for rotation", () => {
    const config = readConfig(
      { META_APP_SECRET: "new, old", SOCIAL_SYNC_API_KEYS: "0123456789abcdef,fedcba9876543210" },
      need,
    );
    expect(config.appSecrets).toEqual(["new", "old"]);
    expect(config.apiKeys).toHaveLength(2);
  });

  test("reports every problem at once, each in a line that names its variable", () => {
    const problems = problemsOf({
      DATABASE_URL: "mysql://x",
      REDIS_URL: "nonsense",
      PORT: "70000",
      REDIS_TIMEOUT_MS: "1.5",
      GRAPH_VERSION: "26",
      GRAPH_FACEBOOK_URL: "http://graph.example.org",
      SOCIAL_SYNC_LOG_LEVEL: "loud",
      SOCIAL_SYNC_API_KEYS: "short",
      SOCIAL_SYNC_ENCRYPTION_KEY: "secret-but-wrong",
      SOCIAL_SYNC_RATE_PER_HOUR: "-1",
      SOCIAL_SYNC_PROFILE_MAX_AGE_HOURS: "12",
    });
    expect(problems.map((line) => line.trim().split(/[ :]/)[0]).sort()).toEqual([
      "DATABASE_URL",
      "GRAPH_FACEBOOK_URL",
      "GRAPH_VERSION",
      "PORT",
      "REDIS_TIMEOUT_MS",
      "REDIS_URL",
      "SOCIAL_SYNC_API_KEYS",
      "SOCIAL_SYNC_ENCRYPTION_KEY",
      "SOCIAL_SYNC_LOG_LEVEL",
      "SOCIAL_SYNC_PROFILE_MAX_AGE_HOURS",
      "SOCIAL_SYNC_RATE_PER_HOUR",
    ]);
    expect(problems.join()).not.toContain("secret-but-wrong");
  });

  test("refuses to listen beyond this machine without keys", () => {
    expect(problemsOf({ HOST: "0.0.0.0" })).toHaveLength(1);
    expect(problemsOf({ HOST: "0.0.0.0", SOCIAL_SYNC_API_KEYS: "0123456789abcdef" })).toEqual([]);
  });

  test("a loopback Graph may be plain http, a far one may not: tokens travel there", () => {
    expect(problemsOf({ GRAPH_INSTAGRAM_URL: "http://127.0.0.1:9/graph" })).toEqual([]);
    expect(problemsOf({ GRAPH_INSTAGRAM_URL: "http://10.0.0.1/graph" })).toHaveLength(1);
  });

  test("an empty variable is an unset one", () => {
    expect(readConfig({ PORT: " ", DATABASE_URL: "" }, need)).toMatchObject({ port: 3000, databaseUrl: null });
  });
});

describe("printConfig()", () => {
  test("shows no secret and no password", () => {
    const secrets = [
      "app-secret-1",
      "verify-me-1",
      "0123456789abcdef",
      "ab".repeat(32),
      "db-password",
      "cache-password",
    ];
    const config = readConfig(
      {
        META_APP_SECRET: "app-secret-1",
        META_VERIFY_TOKEN: "verify-me-1",
        SOCIAL_SYNC_API_KEYS: "0123456789abcdef",
        SOCIAL_SYNC_ENCRYPTION_KEY: "ab".repeat(32),
        DATABASE_URL: "postgres://me:db-password@localhost/x",
        REDIS_URL: "redis://:cache-password@localhost",
      },
      need,
    );
    const text = JSON.stringify(printConfig(config));
    for (const secret of secrets) expect(text).not.toContain(secret);
    expect(text).toContain("localhost/x");
  });
});

describe("isLoopback()", () => {
  test.each([
    ["127.0.0.1", true],
    ["127.9.9.9", true],
    ["localhost", true],
    ["::1", true],
    ["[::1]", true],
    ["0.0.0.0", false],
    ["127.0.0.1.example.org", false],
    ["10.0.0.1", false],
  ])("%s: %p", (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
  });
});
