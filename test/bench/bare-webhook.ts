/**
 * What the product's webhook is held against: the least that an honest receiver does. `Bun.serve`, HMAC-SHA256 over the
 * bytes, `JSON.parse`, one multi-row statement per commit, posts that wait share the next one. No log, no rules about
 * shapes, no lookups, no deadline, no retry.
 *
 * `same` stores the facts in the product's own tables, with the indexes that listing conversations and messages needs.
 * `full` stores them in tables with primary keys alone, from which nothing could be listed: the raw event, the message,
 * the conversation with its last time and unread count, each once.
 * `raw` stores the raw event alone: less than the product promises. `nothing` answers at once: the load's own ceiling.
 * With `graph` whoever writes is asked for after the answer, one call a message, and named by one more statement: no lease,
 * no cache, no budget, no classifying, nothing that knows whether somebody asks already.
 */
import { timingSafeEqual } from "node:crypto";
import postgres from "postgres";
import { migrations } from "../../src/repository/migrate.ts";
import { fetchBatch, profilePath } from "./bare-graph.ts";
import { type BenchMessage, readInput, tellRunner } from "./bench-child.ts";

export type BareVariant = "same" | "full" | "raw" | "nothing";
export type BareGraph = {
  readonly url: string;
  readonly login: "instagram" | "facebook";
  readonly token: string;
};
export type BareInput = {
  readonly databaseUrl: string;
  readonly secret: string;
  readonly variant: BareVariant;
  readonly graph: BareGraph | null;
};
export type BareListening = BenchMessage & { readonly kind: "listening"; readonly port: number };

const schema = `
  create table events (account_id text, mid text, raw text not null, received_at timestamptz not null default now(),
    primary key (account_id, mid));
  create table messages (account_id text, mid text, participant_id text not null, sent_at timestamptz not null, text text,
    primary key (account_id, mid));
  create table conversations (account_id text, participant_id text, last_message_at timestamptz not null,
    unread_count integer not null, primary key (account_id, participant_id));`;
const rawStatement = `
  insert into events (account_id, mid, raw) select * from unnest($1::text[], $2::text[], $3::text[])
  on conflict do nothing`;
const fullStatement = `
  with input as (
    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::float8[], $6::text[])
      as i (account_id, mid, raw, participant_id, sent_at_ms, text)
  ), fresh as (
    insert into events (account_id, mid, raw) select account_id, mid, raw from input
    on conflict do nothing returning account_id, mid
  ), said as (
    select i.account_id, i.mid, i.participant_id, to_timestamp(i.sent_at_ms / 1000) as sent_at, i.text
    from input i join fresh using (account_id, mid)
  ), told as (
    insert into messages (account_id, mid, participant_id, sent_at, text) select * from said on conflict do nothing
  )
  insert into conversations as c (account_id, participant_id, last_message_at, unread_count)
  select account_id, participant_id, max(sent_at), count(*) from said group by 1, 2 order by 1, 2
  on conflict (account_id, participant_id) do update set
    last_message_at = greatest(c.last_message_at, excluded.last_message_at),
    unread_count = c.unread_count + excluded.unread_count`;

const sameStatement = `
  with input as (
    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::float8[], $6::text[])
      as i (account_id, mid, raw, participant_id, sent_at_ms, text)
  ), fresh as (
    insert into events (account_id, event_key, kind, participant_id, mid, occurred_at, raw)
    select account_id, 'message:' || mid, 'message', participant_id, mid, to_timestamp(sent_at_ms / 1000), raw from input
    on conflict do nothing returning account_id, mid
  ), said as (
    select i.account_id, i.mid, i.participant_id, to_timestamp(i.sent_at_ms / 1000) as sent_at, i.text
    from input i join fresh using (account_id, mid)
  ), told as (
    insert into messages (account_id, mid, conversation_id, direction, has_content, sent_at, text)
    select account_id, mid, account_id || '_' || participant_id, 'inbound', true, sent_at, text from said
    on conflict do nothing
  )
  insert into conversations as c (account_id, participant_platform_id, last_message_at, last_inbound_at, unread_count, profile_status)
  select account_id, participant_id, max(sent_at), max(sent_at), count(*), 'complete' from said group by 1, 2 order by 1, 2
  on conflict (account_id, participant_platform_id) do update set
    last_message_at = greatest(c.last_message_at, excluded.last_message_at),
    last_inbound_at = greatest(c.last_inbound_at, excluded.last_inbound_at),
    unread_count = c.unread_count + excluded.unread_count`;

const nameStatement = `
  update conversations set participant_username = $3, participant_name = $4, participant_profile_pic = $5, fetched_at = now()
  where account_id = $1 and participant_platform_id = $2 and set_config('synchronous_commit', 'off', true) = 'off'`;

type Profile = { readonly username: string; readonly name?: string; readonly profile_pic?: string };
type Message = { account: string; mid: string; raw: string; person: string; sentAtMs: number; text: string };
type Delivery = {
  entry: {
    id: string;
    messaging: { sender: { id: string }; timestamp: number; message: { mid: string; text: string } }[];
  }[];
};

const textType = 25; // postgres.js finds the array type of an element type once it has fetched the types.
const numberType = 701;

const { databaseUrl, secret, variant, graph } = readInput<BareInput>();
const sql = postgres(databaseUrl, { max: 1, onnotice() {} });
// The plan is made while the table is empty, and kept: it must not be a scan.
const namesSql = postgres(databaseUrl, { max: 2, onnotice() {}, connection: { enable_seqscan: "off" } });
await sql.unsafe(variant === "same" ? migrations.map(({ text }) => text).join("\n") : schema).simple();

let waiting: { messages: Message[]; answer: () => void }[] = [];
let committing = false;

async function commitAll() {
  committing = true;
  while (waiting.length > 0) {
    const batch = waiting;
    waiting = [];
    const rows = batch.flatMap(({ messages }) => messages);
    const column = (name: "account" | "mid" | "raw" | "person" | "text") =>
      sql.array(
        rows.map((row) => row[name]),
        textType,
      );
    const raw = [column("account"), column("mid"), column("raw")];
    const times = sql.array(
      rows.map((row) => row.sentAtMs),
      numberType,
    );
    if (variant === "raw") await sql.unsafe(rawStatement, raw, { prepare: true });
    else
      await sql.unsafe(
        variant === "same" ? sameStatement : fullStatement,
        [...raw, column("person"), times, column("text")],
        { prepare: true },
      );
    for (const { answer } of batch) answer();
  }
  committing = false;
}

async function fetchProfile({ url, login, token }: BareGraph, person: string): Promise<Profile> {
  if (login === "facebook") return (await fetchBatch(url, token, [person]))[0] as Profile;
  const answer = await fetch(`${url}/${profilePath(person)}`, { headers: { authorization: `Bearer ${token}` } });
  return (await answer.json()) as Profile;
}

async function name(by: BareGraph, { account, person }: Message): Promise<void> {
  const { username, name = null, profile_pic = null } = await fetchProfile(by, person);
  await namesSql.unsafe(nameStatement, [account, person, username, name, profile_pic], { prepare: true });
}

function isSigned(body: Uint8Array, header: string | null): boolean {
  const expected = new Bun.CryptoHasher("sha256", secret).update(body).digest();
  const given = Buffer.from(header?.slice("sha256=".length) ?? "", "hex");
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function readMessages({ entry }: Delivery): Message[] {
  return entry.flatMap(({ id, messaging }) =>
    messaging.map((item) => ({
      account: id,
      mid: item.message.mid,
      raw: JSON.stringify(item),
      person: item.sender.id,
      sentAtMs: item.timestamp,
      text: item.message.text,
    })),
  );
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  development: false,
  async fetch(request) {
    if (variant === "nothing") return new Response("ok");
    const body = new Uint8Array(await request.arrayBuffer());
    if (!isSigned(body, request.headers.get("x-hub-signature-256"))) return new Response(null, { status: 401 });
    const messages = readMessages(JSON.parse(Buffer.from(body.buffer).toString("utf8")) as Delivery);
    await new Promise<void>((answer) => {
      waiting.push({ messages, answer });
      if (!committing) void commitAll();
    });
    if (graph !== null) for (const message of messages) void name(graph, message);
    return new Response("ok");
  },
});
tellRunner<BareListening>({ kind: "listening", port: server.port ?? 0 });
