/**
 * The conservation laws, asked of the tables themselves: what was acknowledged is there, once; nothing is there that
 * was never sent; every derived row equals the model's.
 *
 *   const report = await checkTables({ sql, plan, ledger });       // streams every table: the whole truth
 *   report.broken                                                   // sentences; empty: every law held
 *   await countMissing(sql, plan, [3, 4])                           // cheap: messages of these that are not there
 *
 * A delivery that was sent and never acknowledged may be stored or not; what `events` holds of it must then stand in
 * the other tables too.
 */
import type { Sql } from "postgres";
import type { EventPlan } from "./event-plan.ts";
import { createGrowingBits } from "./growing-bits.ts";
import type { Ledger } from "./ledger.ts";
import { createModel, type Model, type ModelMessage } from "./model.ts";

const rowsPerFetch = 5_000; // About 2 MB of events at once.
const examplesMax = 5; // Of each broken law: the first rows tell what the others would.

export type CheckReport = {
  /** Distinct events of acknowledged deliveries. */
  readonly acknowledged: number;
  /** Acknowledged events that are not stored. */
  readonly lost: number;
  /** Events stored twice, and messages that `unread_count` counts too often. */
  readonly doubled: number;
  readonly stored: number;
  /** Each broken law with its first examples. */
  readonly broken: readonly string[];
};
type Checked = {
  readonly sql: Sql;
  /** Rows that quarantine must hold; 0. */
  readonly setAside?: number;
  readonly plan: EventPlan;
  readonly ledger: Pick<Ledger, "isSent" | "acknowledgedDeliveries">;
};

/** Compares all tables with the model. Only for a rig where nothing but `plan` was sent. */
export async function checkTables({ sql, plan, ledger, setAside = 0 }: Checked): Promise<CheckReport> {
  const laws = createLaws();
  const model = createModel(plan);
  let acknowledged = 0;
  for (const delivery of ledger.acknowledgedDeliveries()) {
    for (let slot = 0; slot < plan.sizeOf(delivery); slot += 1) model.keep(plan.numberOf(delivery, slot));
    acknowledged += plan.sizeOf(delivery);
  }
  const { lost, doubled, stored } = await checkEvents({ sql, plan, ledger, model, laws });
  const overcounted = await checkConversations(sql, model, laws);
  await checkMessages(sql, plan, model, laws);
  await checkReactions(sql, plan, model, laws);
  await checkReads(sql, model, laws);
  const [aside] = await sql<{ count: number }[]>`select count(*)::int as count from quarantine`;
  if (aside?.count !== setAside)
    laws.breakLaw(
      "what cannot be filed is set aside, and nothing else",
      `${aside?.count} rows in quarantine, not ${setAside}`,
    );
  return { acknowledged, lost, doubled: doubled + overcounted, stored, broken: laws.broken() };
}

/** Counts the events of `deliveries` that are not stored. A few statements, for use between the cycles of a long run. */
export async function countMissing(sql: Sql, plan: EventPlan, deliveries: Iterable<number>): Promise<number> {
  const wanted = new Map<number, string>();
  for (const delivery of deliveries)
    for (const event of plan.eventsOf(delivery))
      if (event.kind === "message" || event.kind === "postback") wanted.set(event.number, event.accountId);
  let missing = 0;
  const numbers = [...wanted.keys()];
  for (let at = 0; at < numbers.length; at += rowsPerFetch) {
    const part = numbers.slice(at, at + rowsPerFetch);
    const pairs = part.map((number) => ({ account_id: wanted.get(number) ?? "", mid: plan.midOf(number) }));
    const [row] = await sql<{ found: number }[]>`
      select count(*)::int as found from json_to_recordset(${JSON.stringify(pairs)}::text::json) as w (account_id text, mid text)
      where exists (select from messages m where m.account_id = w.account_id and m.mid = w.mid and m.has_content)`;
    missing += part.length - (row?.found ?? 0);
  }
  return missing;
}

function createLaws() {
  const laws = new Map<string, { count: number; examples: string[] }>();
  return {
    breakLaw(law: string, example: string): void {
      const entry = laws.get(law) ?? { count: 0, examples: [] };
      entry.count += 1;
      if (entry.examples.length < examplesMax) entry.examples.push(example);
      laws.set(law, entry);
    },
    broken: () =>
      [...laws].map(([law, { count, examples }]) => `${law}: broken ${count} times: ${examples.join("; ")}`),
  };
}
type Laws = ReturnType<typeof createLaws>;

type EventRow = { account_id: string; kind: string; mid: string | null; participant_id: string | null; at: string };

async function checkEvents({ sql, plan, ledger, model, laws }: Checked & { model: Model; laws: Laws }) {
  const storedKinds = {
    message: "message",
    postback: "postback",
    edit: "edit",
    unsend: "deletion",
    reaction: "reaction",
    read: "read",
  };
  const seen = createGrowingBits();
  let doubled = 0;
  const rows = sql<EventRow[]>`
    select account_id, kind, mid, participant_id, round(extract(epoch from occurred_at) * 1000)::text as at from events`;
  for await (const batch of rows.cursor(rowsPerFetch)) {
    for (const row of batch) {
      const number = Number(row.at) - plan.startMs;
      const { delivery, slot } = plan.placeOf(number);
      if (number < 0 || !ledger.isSent(delivery) || slot >= plan.sizeOf(delivery)) {
        laws.breakLaw("nothing is stored that was not sent", JSON.stringify(row));
        continue;
      }
      const event = plan.eventAt(number);
      const same = row.account_id === event.accountId && row.participant_id === event.personId && row.mid === event.mid;
      if (!same || row.kind !== storedKinds[event.kind])
        laws.breakLaw("an event is stored as it was sent", `${JSON.stringify(row)} for ${JSON.stringify(event)}`);
      if (!seen.add(number)) {
        doubled += 1;
        laws.breakLaw("no event is stored twice", `event ${number}`);
      }
    }
  }
  let lost = 0;
  for (const number of model.numbers()) {
    if (seen.has(number)) continue;
    lost += 1;
    const { delivery } = plan.placeOf(number);
    laws.breakLaw(
      "what was acknowledged is stored",
      `event ${number} of delivery ${delivery}, ${plan.eventAt(number).kind}`,
    );
  }
  for (const number of seen.members()) model.keep(number);
  return { lost, doubled, stored: seen.size() };
}

type ConversationRow = { account_id: string; person_id: string; unread: number; last: string; inbound: string | null };

async function checkConversations(sql: Sql, model: Model, laws: Laws): Promise<number> {
  const expected = model.conversations();
  let rows = 0;
  let overcounted = 0;
  const asked = sql<ConversationRow[]>`
    select account_id, participant_platform_id as person_id, unread_count as unread,
      round(extract(epoch from last_message_at) * 1000)::text as last,
      round(extract(epoch from last_inbound_at) * 1000)::text as inbound from conversations`;
  for await (const batch of asked.cursor(rowsPerFetch)) {
    for (const row of batch) {
      rows += 1;
      const id = `${row.account_id}_${row.person_id}`;
      const model = expected.get(id);
      if (model === undefined) {
        laws.breakLaw("every conversation comes of a message", id);
        continue;
      }
      overcounted += Math.max(0, row.unread - model.unread);
      if (row.unread !== model.unread)
        laws.breakLaw("unread counts each inbound message once", `${id}: ${row.unread}, not ${model.unread}`);
      const inbound = row.inbound === null ? null : Number(row.inbound);
      if (Number(row.last) !== model.lastMessageAtMs || inbound !== model.lastInboundAtMs)
        laws.breakLaw("last_message_at is the latest", `${id}: ${row.last}, not ${model.lastMessageAtMs}`);
    }
  }
  if (rows !== expected.size) laws.breakLaw("every message has its conversation", `${rows} rows, not ${expected.size}`);
  return overcounted;
}

type MessageRow = {
  account_id: string;
  mid: string;
  conversation_id: string;
  direction: string;
  has_content: boolean;
  text: string | null;
  attachments: unknown;
  edit_number: number;
  sent: string;
  deleted: string | null;
};

async function checkMessages(sql: Sql, plan: EventPlan, model: Model, laws: Laws): Promise<void> {
  const expected = new Set<number>();
  for (const number of model.numbers()) {
    const { delivery, slot } = plan.placeOf(number);
    const event = plan.eventAt(number);
    if (event.kind === "message" || event.kind === "postback") expected.add(number);
    // An edit or unsend whose message never came makes a row by itself.
    else if (event.kind === "edit" || event.kind === "unsend") {
      const about = findTarget(plan, event.mid, delivery, slot);
      if (about !== null) expected.add(about);
    }
  }
  const asked = sql<MessageRow[]>`
    select account_id, mid, conversation_id, direction, has_content, text, attachments, edit_number,
      round(extract(epoch from sent_at) * 1000)::text as sent, round(extract(epoch from deleted_at) * 1000)::text as deleted
    from messages`;
  for await (const batch of asked.cursor(rowsPerFetch)) {
    for (const row of batch) {
      const number = plan.numberOfMid(row.mid);
      const wanted = number === null ? null : model.messageOf(number);
      if (number === null || wanted === null) laws.breakLaw("no message is made up", row.mid);
      else {
        expected.delete(number);
        const told = tellMessage(row);
        const right = tellModel(wanted);
        if (told !== right) laws.breakLaw("a message's row is the model's", `${told}, not ${right}`);
      }
    }
  }
  for (const number of expected) laws.breakLaw("every message is there", `message ${number}`);
}

function findTarget(plan: EventPlan, mid: string, delivery: number, slot: number): number | null {
  const number = plan.numberOfMid(mid);
  return number !== null && number <= plan.numberOf(delivery, slot) ? number : null;
}

const tellMessage = (row: MessageRow) =>
  JSON.stringify([
    row.account_id,
    row.mid,
    row.conversation_id,
    row.direction,
    row.has_content,
    row.text,
    row.attachments ?? null,
    row.edit_number,
    Number(row.sent),
    row.deleted === null ? null : Number(row.deleted),
  ]);
const tellModel = (m: ModelMessage) =>
  JSON.stringify([
    m.accountId,
    m.mid,
    `${m.accountId}_${m.personId}`,
    m.direction,
    m.hasContent,
    m.text,
    m.attachments,
    m.editNumber,
    m.sentAtMs,
    m.deletedAtMs,
  ]);

type ReactionRow = { mid: string; sender_id: string; reaction: string | null; emoji: string | null; at: string };

async function checkReactions(sql: Sql, plan: EventPlan, model: Model, laws: Laws): Promise<void> {
  const reacted = new Set<number>();
  for (const number of model.numbers()) {
    const event = plan.eventAt(number);
    const about = event.kind === "reaction" ? plan.numberOfMid(event.mid) : null;
    if (about !== null) reacted.add(about);
  }
  let expected = 0;
  for (const number of reacted) expected += model.reactionsOf(number).length;
  let rows = 0;
  const asked = sql<ReactionRow[]>`
    select mid, sender_id, reaction, emoji, round(extract(epoch from reacted_at) * 1000)::text as at from reactions`;
  for await (const batch of asked.cursor(rowsPerFetch)) {
    for (const row of batch) {
      rows += 1;
      const number = plan.numberOfMid(row.mid);
      const wanted =
        number === null ? undefined : model.reactionsOf(number).find((one) => one.senderId === row.sender_id);
      const same =
        wanted?.reaction === row.reaction && wanted.emoji === row.emoji && wanted.reactedAtMs === Number(row.at);
      if (!same)
        laws.breakLaw("the latest reaction stands", `${JSON.stringify(row)}, not ${JSON.stringify(wanted ?? null)}`);
    }
  }
  if (rows !== expected) laws.breakLaw("every reaction is there", `${rows} rows, not ${expected}`);
}

async function checkReads(sql: Sql, model: Model, laws: Laws): Promise<void> {
  const expected = model.reads();
  const rows = await sql<{ id: string; mid: string; at: string }[]>`
    select account_id || '_' || participant_id as id, mid, round(extract(epoch from read_at) * 1000)::text as at from read_receipts`;
  for (const row of rows) {
    const wanted = expected.get(row.id);
    if (wanted?.mid !== row.mid || wanted.readAtMs !== Number(row.at))
      laws.breakLaw("the latest read stands", `${JSON.stringify(row)}, not ${JSON.stringify(wanted ?? null)}`);
  }
  if (rows.length !== expected.size)
    laws.breakLaw("every reader is there", `${rows.length} rows, not ${expected.size}`);
}
