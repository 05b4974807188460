/**
 * Rows 36 and 37: whatever the order and however often, the same tables. Lists of events are shuffled, repeated and
 * split into deliveries at random, each time for an account of its own, through the product's reader and statement;
 * then every account's rows must be the plain order's, and the plain order's the model's. First, 64 posts race, and 1,000 of
 * one message.
 */
import type { Sql } from "postgres";
import type { InboundEvent } from "../../../src/domain/event.ts";
import { profileMaxAgeMsDefault } from "../../../src/domain/profile.ts";
import { createSystemClock } from "../../../src/lib/clock.ts";
import { createLog } from "../../../src/lib/log.ts";
import { openDatabase } from "../../../src/repository/database.ts";
import { createEventsRepository } from "../../../src/repository/events.ts";
import { parseWebhook } from "../../../src/webhook/parse-webhook.ts";
import { type Chance, createChance, hash } from "../chance.ts";
import { checkTables } from "../check-tables.ts";
import { buildBody, createEventPlan, type EventPlan, type PlanEvent } from "../event-plan.ts";
import { openRig, type Rig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { buildRequest } from "../sender.ts";
import { buildStranger, buildStrangerBody, sendMany, strangerAccount } from "./hostile-kit.ts";

/** Deliveries of a list: an edit may stand eleven behind its message. */
const deliveriesOfList = 13;
const eventsOfDeliveryMax = 2;
/** Permutations of one list before the next list is made and the tables are emptied. */
const permutationsOfList = 1_000;
/** Accounts of one statement, and statements that one permutation is split over. */
const accountsOfStatement = 100;
const steps = 4;
const statementMsMax = 60_000;
const racers = 64;
/** How often one message comes in the second kind of race: row 36's most. */
const copies = 1_000;
const hourMs = 3_600_000;

export const permutations: Scenario = {
  name: "permutations",
  fault: "Lists of events shuffled, repeated and split at random; 64 posts racing to create one conversation",
  rows: [36, 37],
  cycles: { short: 2_000, long: 100_000 },
  timeoutMs: 90_000,
  async run({ cycles, long, seed, signal, say }) {
    await using rig = await openRig({ seed });
    await rig.daemon.start();
    const broken: string[] = [];
    const raced = await race(rig, long ? 50 : 4, broken);
    await rig.daemon.stop(); // From here on nobody else writes.

    const folder = { dataFolder: rig.folder, url: rig.postgres.url };
    const log = createLog("error", () => {});
    await using database = await openDatabase({ ...folder, clock: createSystemClock(), log });
    const { saveEvents } = createEventsRepository(database, profileMaxAgeMsDefault, null);
    const save = (events: readonly InboundEvent[]) => saveEvents(events, statementMsMax);
    const told = { done: 0, events: 0, lost: 0, doubled: 0, different: 0 };
    for (let list = 0; told.done < cycles && !signal.aborted; list += 1) {
      await empty(rig.sql);
      const plan = makePlan(seed, list);
      const events = Array.from({ length: deliveriesOfList }, (_, at) => plan.eventsOf(at)).flat();
      for (const event of events) await save(read([event]));
      const ledger = { isSent: (at: number) => at < deliveriesOfList, acknowledgedDeliveries: deliveryNumbers };
      const check = await checkTables({ sql: rig.sql, plan, ledger });
      broken.push(...check.broken.map((law) => `List ${list} in its plain order: ${law}`));
      told.lost += check.lost;
      told.doubled += check.doubled;

      const chance = createChance(hash(seed, list, 36));
      const count = Math.min(permutationsOfList, cycles - told.done);
      for (let first = 0; first < count; first += accountsOfStatement) {
        const size = Math.min(accountsOfStatement, count - first);
        const split = Array.from({ length: size }, (_, at) => permute(events, accountOf(first + at), chance));
        for (let step = 0; step < steps; step += 1) await save(split.flatMap((parts) => read(parts[step] ?? [])));
      }
      const different = await findDifferent(rig.sql, plan.accounts[0]?.id ?? "");
      told.done += count;
      told.events += events.length * (count + 1);
      told.different += different.length;
      if (different.length > 0)
        broken.push(`List ${list}: ${different.length} of ${count} orders ended in other rows, first ${different[0]}`);
      if (told.done % 10_000 === 0) say(`${told.done} permutations, ${told.different} differ`);
    }
    return {
      cycles: told.done,
      acknowledged: raced + told.events,
      lost: told.lost,
      doubled: told.doubled,
      notes: { permutations: told.done, "ended in other rows": told.different, "posts that raced": raced },
      broken: [...broken, ...rig.daemon.complaints()],
    };
  },
};

function* deliveryNumbers(): Generator<number> {
  for (let at = 0; at < deliveriesOfList; at += 1) yield at;
}
const accountOf = (at: number) => `17846${String(at).padStart(12, "0")}`;

function makePlan(seed: number, list: number): EventPlan {
  const people = ["6600000000000001", "6600000000000002"];
  return createEventPlan({
    seed: hash(seed, list, 37),
    startMs: Date.now() - hourMs,
    accounts: [{ id: "17845000000000001", people }],
    batchMax: eventsOfDeliveryMax,
  });
}

/** As the product reads one delivery of these. */
function read(events: readonly PlanEvent[]): readonly InboundEvent[] {
  return events.length === 0 ? [] : parseWebhook(buildBody(events), Date.now()).events;
}

/** The events as another account's, each once to three times, one of them ten times, in any order, cut into `steps` parts. */
function permute(events: readonly PlanEvent[], accountId: string, chance: Chance): PlanEvent[][] {
  const often = chance.below(events.length);
  const all = events.flatMap((event, at) =>
    Array.from({ length: at === often ? 10 : chance.between(1, 3) }, () => ({ ...event, accountId })),
  );
  for (let at = all.length - 1; at > 0; at -= 1) {
    const other = chance.below(at + 1);
    const [a, b] = [all[at], all[other]];
    if (a !== undefined && b !== undefined) [all[at], all[other]] = [b, a];
  }
  const cuts = Array.from({ length: steps - 1 }, () => chance.below(all.length + 1)).sort((a, b) => a - b);
  return Array.from({ length: steps }, (_, step) => all.slice(cuts[step - 1] ?? 0, cuts[step] ?? all.length));
}

async function empty(sql: Sql): Promise<void> {
  await sql`truncate events, quarantine, conversations, messages, reactions, read_receipts, known_usernames`;
}

/** Accounts whose rows, their own id aside, are not those of `wanted`. */
async function findDifferent(sql: Sql, wanted: string): Promise<string[]> {
  const rows = await sql<{ account_id: string }[]>`
    with lines as (
      select account_id, concat_ws('|', 'event', kind, participant_id, mid, occurred_at, replace(raw, account_id, 'A')) as line
      from events
      union all
      select account_id, concat_ws('|', 'message', mid, replace(conversation_id, account_id, 'A'), direction, has_content,
        coalesce(text, '-'), coalesce(attachments::text, '-'), coalesce(reply_to_mid, '-'), unsupported, sent_at, edit_number,
        coalesce(deleted_at::text, '-'))
      from messages
      union all
      select account_id, concat_ws('|', 'conversation', participant_platform_id, last_message_at,
        coalesce(last_inbound_at::text, '-'), unread_count, self, next_attempt_at is null)
      from conversations
      union all
      select account_id, concat_ws('|', 'reaction', mid, replace(sender_id, account_id, 'A'), coalesce(reaction, '-'),
        coalesce(emoji, '-'), reacted_at)
      from reactions
      union all
      select account_id, concat_ws('|', 'read', participant_id, coalesce(mid, '-'), read_at) from read_receipts
    ),
    digests as (
      select account_id, md5(string_agg(line, E'\n' order by line collate "C")) as digest from lines group by account_id
    )
    select account_id from digests
    where digest is distinct from (select digest from digests where account_id = ${wanted}) order by account_id`;
  return rows.map((row) => row.account_id);
}

/** Posts that arrive at one moment, about a person whom nobody knows: 64 messages, then one message 1,000 times. */
async function race(rig: Rig, rounds: number, broken: string[]): Promise<number> {
  const { port } = rig.daemon;
  let acknowledged = 0;
  for (let round = 0; round < rounds * 2; round += 1) {
    const same = round % 2 === 1;
    const personId = `65000000000${String(round).padStart(5, "0")}`;
    let sent = 0;
    const statuses: number[] = [];
    await sendMany({
      port,
      lanes: racers,
      next: () => {
        if (sent === (same ? copies : racers)) return null;
        sent += 1;
        const mid = same ? `race-${round}` : `race-${round}-${sent}`;
        return {
          bytes: buildRequest(buildStrangerBody([buildStranger(mid, personId)]), { port, secret: rig.appSecret }),
        };
      },
      onAnswer: ({ status }) => statuses.push(status),
    });
    if (statuses.some((status) => status !== 200)) broken.push(`Racing posts were answered ${[...new Set(statuses)]}`);
    const rows = await rig.sql<{ unread: number; messages: number }[]>`
      select unread_count as unread, (select count(*) from messages m where m.conversation_id = c.id)::int as messages
      from conversations c where account_id = ${strangerAccount} and participant_platform_id = ${personId}`;
    const wanted = same ? 1 : racers;
    acknowledged += wanted;
    if (rows.length !== 1 || rows[0]?.unread !== wanted || rows[0]?.messages !== wanted)
      broken.push(`${sent} racing posts made ${JSON.stringify(rows)}, not one conversation with ${wanted}`);
  }
  return acknowledged;
}
