/**
 * Bodies and signatures of webhooks (meta-platform.md §1.2, §1.3, §2.1), built and signed here by hand and by no code
 * of the product. Pure: events in, exact bytes out.
 */
import { createHmac } from "node:crypto";
import { assert } from "../lib/assert.ts";
import { chunk } from "../lib/chunk.ts";
import { createChance } from "./chance.ts";
import type { SandboxEvent } from "./webhook-item.ts";

/** "Up to 1000 updates aggregated in one POST." */
export const updatesPerPostMax = 1000;
/** The version that webhooks name themselves. */
const webhookVersion = "v26.0";

/** JSON as Meta sends it: pure ASCII, everything else as `\uXXXX` with lowercase hex. */
export function writeWebhookJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The headers of one delivery, as captured: both signatures, over the exact bytes of the body. */
export function signWebhook(body: string | Uint8Array, appSecret: string): Record<string, string> {
  const hmac = (algorithm: string) => createHmac(algorithm, appSecret).update(body).digest("hex");
  return {
    "User-Agent": "facebookexternalua",
    "Content-Type": "application/json",
    Accept: "*/*",
    "Accept-Encoding": "deflate, gzip",
    "X-Hub-Signature": `sha1=${hmac("sha1")}`,
    "X-Hub-Signature-256": `sha256=${hmac("sha256")}`,
    "Facebook-API-Version": webhookVersion,
  };
}

export type BodyOptions = {
  /** Updates a POST, 1 to 1000. */
  batchSize: number;
  /** In [0, 1]: this share of the updates comes twice, the second time later, byte for byte the same item. */
  duplicateShare: number;
  /** Whether updates come in another order than they happened. Their timestamps stay true. */
  reorder: boolean;
  seed: number;
  /** `entry.time`: when Meta sent it. */
  nowMs: number;
};

/**
 * Builds the bodies of a row of events: duplicated, reordered and batched as asked. The same input gives the same
 * bytes.
 */
export function buildWebhookBodies(events: readonly SandboxEvent[], options: BodyOptions): string[] {
  const { batchSize, duplicateShare, reorder, seed, nowMs } = options;
  assert(
    Number.isInteger(batchSize) && batchSize >= 1 && batchSize <= updatesPerPostMax,
    `batchSize must be 1 to ${updatesPerPostMax}, got ${batchSize}`,
  );
  assert(duplicateShare >= 0 && duplicateShare <= 1, `duplicateShare must be 0 to 1, got ${duplicateShare}`);
  const chance = createChance(seed);
  const doubled = duplicateShare === 0 ? [...events] : duplicate(events, duplicateShare, chance);
  const ordered = reorder ? chance.shuffle(doubled) : doubled;
  // Meta gathers updates of one account in one entry, or gives each its own: both occur.
  return chunk(ordered, batchSize).map((post) => writeWebhookJson(buildWebhook(post, chance.next() < 0.5, nowMs)));
}

/** Puts a second copy of some events a little after the first, at times in another POST. */
function duplicate(
  events: readonly SandboxEvent[],
  share: number,
  chance: ReturnType<typeof createChance>,
): SandboxEvent[] {
  const placed: { event: SandboxEvent; at: number }[] = [];
  for (const [at, event] of events.entries()) {
    placed.push({ event, at });
    if (chance.next() < share) placed.push({ event, at: at + 0.5 + chance.below(50) });
  }
  return placed.sort((left, right) => left.at - right.at).map(({ event }) => event);
}

/** One delivery: `object`, and entries with their items in order. */
export function buildWebhook(events: readonly SandboxEvent[], gather: boolean, nowMs: number) {
  const entries = new Map<string, Record<string, unknown> & { items: unknown[] }>();
  for (const [at, event] of events.entries()) {
    const key = gather ? `${event.accountId} ${event.channel}` : String(at);
    const entry = entries.get(key);
    if (entry !== undefined) {
      entry.items.push(event.item);
      continue;
    }
    const items = [event.item];
    // `changes` tell the time in seconds, messages in milliseconds (§2.1).
    const time = event.channel === "changes" ? Math.floor(nowMs / 1000) : nowMs;
    entries.set(key, { id: event.accountId, time, [event.channel]: items, items });
  }
  const written = [...entries.values()].map(({ items: _, ...entry }) => entry);
  return { object: "instagram", entry: written };
}
