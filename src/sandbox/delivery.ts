/**
 * A given number of webhooks, now: for tests, chaos runs and load. The report is the ledger a run is checked against.
 */
import { createChance } from "./chance.ts";
import type { EventSource } from "./event-source.ts";
import type { AccountState, Platform } from "./platform.ts";
import { inboundKinds, type SandboxEvent, type SandboxEventKind } from "./webhook-item.ts";
import type { SendWebhook } from "./webhook-sender.ts";
import { buildWebhookBodies, updatesPerPostMax } from "./webhooks.ts";

/** Events of one call are held in memory, about 1 kB each. */
export const deliverCountMax = 200_000;
export const deliverConcurrencyMax = 256;

export type DeliverOptions = {
  /** How many events, duplicates not counted. */
  count: number;
  /** Whose; default: both accounts in turn. */
  accountIndex?: number;
  /**
   * Who writes, in turn, ids chosen by hand too; default: the people of the world, going on where the last call
   * ended.
   */
  personIds?: readonly string[];
  /**
   * In turn; default: plain messages. "mixed": a plain message of each person first, then any inbound kind by chance.
   */
  kinds?: readonly SandboxEventKind[] | "mixed";
  /** Updates a POST, 1 to 1000; default 1. */
  batchSize?: number;
  /** Default 0. */
  duplicateShare?: number;
  /** This share are echoes; default 0. */
  echoShare?: number;
  /** Default false. */
  reorder?: boolean;
  /** POSTs at the same time; default 4. With 1 they come one after the other. */
  concurrency?: number;
};

export type DeliverReport = {
  events: number;
  posts: number;
  /** POSTs that were answered 200 in the end. */
  accepted: number;
  /** POSTs that nobody took. */
  failed: number;
  /** Attempts beyond the first. */
  retries: number;
  /** Attempts by HTTP status; `0` is no answer. */
  statuses: Record<string, number>;
  durationMs: number;
  /** What was sent, in the order it happened. */
  sent: readonly {
    accountId: string;
    personId: string;
    kind: SandboxEventKind;
    mid: string | null;
    timestampMs: number;
  }[];
};

export type DeliveryDependencies = { platform: Platform; source: EventSource; send: SendWebhook };

/** Says what is wrong with options that came from outside; `null`: nothing. */
export function checkDeliverOptions(options: DeliverOptions, accounts: number): string | null {
  const { count, accountIndex, batchSize = 1, duplicateShare = 0, echoShare = 0, concurrency = 1 } = options;
  const isWhole = (value: number, min: number, max: number) => Number.isInteger(value) && value >= min && value <= max;
  if (!isWhole(count, 0, deliverCountMax)) return `count must be a whole number from 0 to ${deliverCountMax}`;
  if (accountIndex !== undefined && !isWhole(accountIndex, 0, accounts - 1)) return "accountIndex names no account";
  if (!isWhole(batchSize, 1, updatesPerPostMax))
    return `batchSize must be a whole number from 1 to ${updatesPerPostMax}`;
  if (!(duplicateShare >= 0 && duplicateShare <= 1)) return "duplicateShare must be from 0 to 1";
  if (!(echoShare >= 0 && echoShare <= 1)) return "echoShare must be from 0 to 1";
  if (!isWhole(concurrency, 1, deliverConcurrencyMax)) return `concurrency must be from 1 to ${deliverConcurrencyMax}`;
  return null;
}

/** Sends the events and waits until each POST was taken or given up. */
export async function deliver(dependencies: DeliveryDependencies, options: DeliverOptions): Promise<DeliverReport> {
  const { platform, send } = dependencies;
  const problem = checkDeliverOptions(options, platform.accounts.length);
  if (problem !== null) throw new Error(`Cannot deliver webhooks: ${problem}`);
  const startedMs = platform.clock.monotonicMs();
  const nowMs = Math.floor(platform.clock.nowMs());
  const events = createEvents(dependencies, options, nowMs);
  const { batchSize = 1, duplicateShare = 0, reorder = false, concurrency = 4 } = options;
  const seed = platform.world.seed;
  const bodies = buildWebhookBodies(events, { batchSize, duplicateShare, reorder, seed, nowMs });

  const report: DeliverReport = {
    events: events.length,
    posts: bodies.length,
    accepted: 0,
    failed: 0,
    retries: 0,
    statuses: {},
    durationMs: 0,
    sent: events.map(({ accountId, personId, kind, mid, timestampMs }) => ({
      accountId,
      personId,
      kind,
      mid,
      timestampMs,
    })),
  };
  const waiting = bodies.values(); // One iterator shared by all senders: each takes the next body.
  const sendNext = async () => {
    for (const body of waiting) {
      const { accepted, attempts, statuses } = await send(body);
      if (accepted) report.accepted += 1;
      else report.failed += 1;
      report.retries += Math.max(0, attempts - 1);
      for (const status of statuses) report.statuses[status] = (report.statuses[status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, bodies.length) }, sendNext));
  report.durationMs = platform.clock.monotonicMs() - startedMs;
  return report;
}

function createEvents(
  { platform, source }: DeliveryDependencies,
  options: DeliverOptions,
  nowMs: number,
): SandboxEvent[] {
  const { count, accountIndex, personIds = [], kinds = ["text"], echoShare = 0 } = options;
  const chance = createChance(platform.world.seed + count);
  const seen = new Set<string>();
  const events: SandboxEvent[] = [];
  for (let at = 0; at < count; at += 1) {
    const chosen = personIds[at % Math.max(1, personIds.length)];
    const state =
      platform.accounts[accountIndex ?? ownerIndex(platform.accounts, chosen) ?? at % platform.accounts.length];
    if (state === undefined) continue;
    const person = chosen === undefined ? source.nextPerson(state) : readPerson(platform, state, chosen);
    if (person === null) continue;
    const isFirst = !seen.has(person.id);
    seen.add(person.id);
    let kind: SandboxEventKind = "text";
    if (kinds !== "mixed") kind = kinds[at % Math.max(1, kinds.length)] ?? "text";
    else if (!isFirst) kind = chance.pick(inboundKinds);
    if (echoShare > 0 && chance.next() < echoShare) kind = "echo";
    events.push(source.createEvent(state, person, kind, nowMs - count + at));
  }
  return events;
}

/** The account a person of the world belongs to. */
function ownerIndex(accounts: readonly AccountState[], personId: string | undefined): number | undefined {
  if (personId === undefined) return undefined;
  return accounts.find((state) => state.account.population.indexOf(personId) !== null)?.index;
}

/** Also ids that Graph knows nothing of: webhooks of strangers exist. */
function readPerson(platform: Platform, state: AccountState, id: string) {
  return platform.findPerson(state, id) ?? { id, username: `stranger.${id}` };
}
