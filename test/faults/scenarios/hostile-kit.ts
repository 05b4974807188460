/**
 * What the hostile scenarios share: many requests made by hand, people and messages that no plan knows ("strangers"),
 * and the tables without them, so that the plan's own load beside them can be judged as ever.
 */
import { readFileSync } from "node:fs";
import type { Sql } from "postgres";
import type { EventPlan } from "../event-plan.ts";
import { openLane } from "../request-lane.ts";
import type { Answer } from "../sender.ts";

/** Starts the id of every account that a hostile scenario invents. No account of a plan begins so. */
export const strangerAccount = "17849000000000001";

/** One inbound message of a stranger, as an item of `messaging[]`. */
export function buildStranger(mid: string, personId = "6800000000000001", accountId = strangerAccount) {
  return {
    sender: { id: personId },
    recipient: { id: accountId },
    timestamp: Date.now(),
    message: { mid, text: `stranger ${mid}` },
  };
}

/** A delivery of such items. */
export function buildStrangerBody(items: readonly unknown[], accountId = strangerAccount): Buffer {
  return Buffer.from(
    JSON.stringify({ object: "instagram", entry: [{ id: accountId, time: Date.now(), messaging: items }] }),
    "utf8",
  );
}

/**
 * Sends what `next` makes over `lanes` kept-alive connections, one request under way on each, until it answers null.
 * A request that gets no whole answer is not sent again.
 */
export async function sendMany<T extends { readonly bytes: Uint8Array }>(options: {
  readonly port: number;
  readonly lanes: number;
  readonly next: () => T | null;
  readonly onAnswer: (answer: Answer, sent: T) => void;
  readonly requestMs?: number;
}): Promise<void> {
  const { port, next, onAnswer, requestMs = 10_000 } = options;
  const runLane = async () => {
    using lane = openLane(port);
    for (let sent = next(); sent !== null; sent = next()) onAnswer(await lane.send(sent.bytes, requestMs), sent);
  };
  await Promise.all(Array.from({ length: options.lanes }, runLane));
}

/** Removes every row that is about no account of the plan, and all of quarantine. */
export async function removeStrangers(sql: Sql, plan: EventPlan): Promise<void> {
  const own = plan.accounts.map(({ id }) => id);
  for (const table of ["events", "messages", "conversations", "reactions", "read_receipts", "known_usernames"])
    await sql`delete from ${sql(table)} where account_id <> all(${own})`;
  await sql`delete from quarantine`;
}

/** One figure of a daemon's /metrics; 0 where it is not there. */
export async function readMetric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`, { headers: { Connection: "close" } })).text();
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "m").exec(text)?.[1] ?? 0);
}

/** Lets a process hold `wanted` files open, as far as the machine allows; answers how many it may hold now. */
export function raiseFileLimit(pid: number, wanted: number): number {
  const read = () => /^Max open files\s+(\d+)\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8")) ?? [];
  const hard = Number(read()[2] ?? 0);
  const target = Math.min(wanted, hard);
  Bun.spawnSync(["prlimit", "--pid", String(pid), `--nofile=${target}:${hard}`]);
  return Number(read()[1] ?? 0);
}
