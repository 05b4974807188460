import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Config } from "../config.ts";
import { parseAccountId } from "../domain/ids.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { Runtime } from "../runtime.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";

export type SandboxWish = {
  readonly people: number;
  readonly ratePerWindow: number | null;
  readonly latencyMs: number;
  readonly messagesPerSecond: number;
  readonly seed: number;
  /** How many of its accounts are added here. */
  readonly accounts: number;
};

export type Box = AsyncDisposable & { readonly sandbox: Sandbox; readonly config: Config };

/** Opens Instagram in a box and turns the settings towards it: its Graph, a secret of its own, a data folder of its own. */
export async function openBox(
  config: Config,
  wish: SandboxWish,
  place: { readonly webhookUrl: string | null },
  { clock, log }: { clock: Clock; log: Log },
): Promise<Box> {
  const { openSandbox } = await import("../sandbox/sandbox.ts");
  const appSecret = config.appSecrets[0] ?? randomBytes(16).toString("hex");
  const sandbox = await openSandbox({
    ...wish,
    host: "127.0.0.1",
    port: 0,
    windowMs: config.rateWindowMs,
    appSecret,
    // The daemon's port is known only once it listens, and it listens last; until then a webhook is simply sent again.
    webhookUrl: "http://127.0.0.1/webhooks/instagram",
    fetch: (_, init) =>
      place.webhookUrl === null
        ? Promise.reject(new Error("Cannot deliver: nobody listens yet"))
        : fetch(place.webhookUrl, init),
    clock,
    log,
  });
  return {
    sandbox,
    config: {
      ...config,
      appSecrets: [...new Set([appSecret, ...config.appSecrets])],
      verifyToken: config.verifyToken ?? randomBytes(8).toString("hex"),
      dataFolder: join(config.dataFolder, "sandbox"),
      spool: { ...config.spool, folder: join(config.dataFolder, "sandbox", "spool") },
      graph: { ...config.graph, instagramUrl: sandbox.instagramUrl, facebookUrl: sandbox.facebookUrl },
    },
    [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose](),
  };
}

export async function addSandboxAccounts({ accounts }: Runtime, { world }: Sandbox, count: number): Promise<void> {
  for (const { instagramId, appScopedId, username, login, pageId, token } of world.accounts.slice(0, count)) {
    const id = parseAccountId(instagramId);
    if (id === null) continue;
    await accounts.saveAccount({ id, ownId: id, login, pageId, appScopedId, username, token, tokenExpiresAtMs: null });
  }
}
