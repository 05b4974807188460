import { join } from "node:path";
import type { Runtime } from "../runtime.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { SandboxWish } from "./sandbox-box.ts";

/** What is running and what is missing, for the terminal. */
export function describeDaemon(
  { config, database, databaseVersion, cache }: Runtime,
  url: string,
  version: string,
  sandbox: Sandbox | null,
  wish: SandboxWish | null,
): string[] {
  const answered = databaseVersion();
  const storage = answered === null ? "away: messages wait in the spool until it is back" : `Postgres ${answered}`;
  const open = config.apiKeys.length === 0;
  const missing = [
    config.verifyToken === null ? "META_VERIFY_TOKEN: Meta's handshake is refused until it is set" : null,
    open ? "SOCIAL_SYNC_API_KEYS: the API answers on this machine only" : null,
    config.databaseUrl === null ? "DATABASE_URL: the embedded database is for evaluation" : null,
    config.redisUrl === null ? "REDIS_URL: cache and rate budget are this process's own" : null,
  ].filter((line) => line !== null);
  const boxed =
    sandbox === null || wish === null
      ? []
      : [
          `  sandbox    ${sandbox.origin}, ${sandbox.world.accounts.length} accounts with ${wish.people} people each, ${wish.messagesPerSecond} messages a second`,
        ];
  return [
    `social-sync ${version} listens on ${url}`,
    `  database   ${database.describe()} (${storage})`,
    `  cache      ${cache.describe()}`,
    `  queue      bunqueue in ${join(config.dataFolder, "queue")}`,
    ...boxed,
    ...missing.map((line) => `  not set    ${line}`),
    `  look at    ${url}/   or   curl ${url}/messaging/conversations   or   ${url}/docs`,
  ];
}
