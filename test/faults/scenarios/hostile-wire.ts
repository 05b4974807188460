/**
 * Rows 35, 39 to 42, 44 to 48: requests that no client of sense sends, against the binary, beside a load that goes on:
 * poison, too large, too deep, no UTF-8, inexact ids, odd times, request smuggling, slow senders, idle connections.
 */
import { openIdleConnections, sendRaw } from "../../http/raw-socket.ts";
import { percentile } from "../percentile.ts";
import { openLane } from "../request-lane.ts";
import { openRig, type Rig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { buildRequest } from "../sender.ts";
import {
  buildStranger,
  buildStrangerBody,
  raiseFileLimit,
  removeStrangers,
  sendMany,
  strangerAccount,
} from "./hostile-kit.ts";

const post = "POST /webhooks/instagram HTTP/1.1\r\nHost: localhost\r\n";
const poisonedMid = "m-poisoned";
/** Postgres's `integer` ends at 2^31 - 1; the reader takes any exact whole number. */
const editNumberPostgresRefuses = 3_000_000_000;
const idleConnections = 10_000;
const connectAtOnce = 500; // The backlog of a listening socket.
const filesBeside = 500;
const slowMsMax = 20_000; // The idle bound of 10 s, in Bun's steps of 4 s, and room for a busy machine.
/** Row 47 in the long form: twice the latency, and the noise of two cores that the test itself uses too. */
const idleNoiseMs = 2;

type Wire = { readonly rig: Rig; readonly broken: string[]; readonly notes: Record<string, number | string> };

export const hostileWire: Scenario = {
  name: "hostile-wire",
  fault: "poison, over-limit, deep, mis-encoded and smuggled requests, slow senders, 10,000 idle connections",
  rows: [35, 39, 40, 41, 42, 44, 45, 46, 47, 48],
  cycles: { short: 1, long: 20 },
  timeoutMs: 120_000,
  async run({ cycles, long, seed, signal, say }) {
    await using rig = await openRig({ seed });
    await rig.daemon.start();
    const wire: Wire = { rig, broken: [], notes: {} };
    const load = rig.sender.start({ lanes: 4, perSecond: 60, next: rig.order.next });
    let done = 0;
    for (; done < cycles && !signal.aborted; done += 1) {
      const slow = sendSlowly(wire);
      await sendPoison(wire);
      await sendTooMuch(wire);
      await sendTooDeep(wire);
      await sendOddText(wire);
      await sendOddTimes(wire);
      await sendSmuggled(wire);
      await holdIdle(wire, long);
      await slow;
      await rig.settle();
      await removeStrangers(rig.sql, rig.plan);
      if (cycles > 1) say(`cycle ${done + 1}: ${wire.broken.length} laws broken`);
    }
    load.stopTaking();
    await load.acknowledged(30_000);
    const { pendingMs, over } = rig.ledger.worst();
    if (over > 0) wire.broken.push(`${over} requests of the load beside were pending over 3 s`);
    const check = await rig.check();
    const notes = { ...wire.notes, "worst pending of the load beside, ms": Math.round(pendingMs) };
    return rig.result({ cycles: done, check, notes, broken: wire.broken });
  },
};

/** Sends one signed body on a connection of its own; answers the status, 0 where there was none. */
async function sendBody({ rig }: Wire, body: Uint8Array): Promise<number> {
  using lane = openLane(rig.daemon.port);
  const { status } = await lane.send(buildRequest(body, { port: rig.daemon.port, secret: rig.appSecret }), 15_000);
  return status;
}

/** Where Postgres was slow for a moment, a 200 means the spool: the tables are read after it was drained. */
async function expectKept(wire: Wire, what: string, body: Uint8Array): Promise<void> {
  const status = await sendBody(wire, body);
  if (status !== 200) wire.broken.push(`${what} got ${status}, not 200`);
  await wire.rig.settle();
}

type Counted = { readonly count: number };

/** Row 39. */
async function sendPoison(wire: Wire): Promise<void> {
  const { rig, broken } = wire;
  const items: unknown[] = Array.from({ length: 999 }, (_, at) => buildStranger(`m-good-${at}`, `68${at}`));
  const { sender, recipient, timestamp } = buildStranger(poisonedMid);
  const edit = { mid: poisonedMid, text: "poison", num_edit: editNumberPostgresRefuses };
  items.splice(640, 0, { sender, recipient, timestamp, message_edit: edit });
  await expectKept(wire, "A thousand updates with one poison", buildStrangerBody(items));
  const [stored] = await rig.sql<{ good: number; bad: number; aside: number }[]>`
    select (select count(*) from messages where account_id = ${strangerAccount} and mid like 'm-good-%')::int as good,
      (select count(*) from messages where mid = ${poisonedMid})::int as bad,
      (select count(*) from quarantine where reason = 'row_refused')::int as aside`;
  if (stored?.good !== 999) broken.push(`Of 999 good updates beside a poison ${stored?.good} were stored`);
  // Where the product learns to read such a number, this is no poison any more and says so here.
  if (stored?.aside !== 1 || stored.bad !== 0)
    broken.push(`The poison was not set aside: ${stored?.aside} in quarantine, ${stored?.bad} stored`);
}

/** Row 40. */
async function sendTooMuch(wire: Wire): Promise<void> {
  const { port } = wire.rig.daemon;
  const declared = await sendRaw(port, [`${post}Content-Length: 999999999\r\n\r\n`], { forMs: 5_000 });
  if (!declared.text.startsWith("HTTP/1.1 413 ") || !declared.closed)
    wire.broken.push(`A declared length over the cap got '${declared.text.slice(0, 30)}'`);
  wire.notes["413 before the body, ms"] = Math.round(declared.afterMs);
  const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
  const pieces = [`${post}Transfer-Encoding: chunked\r\n\r\n`, ...Array.from({ length: 80 }, () => chunk), "0\r\n\r\n"];
  const chunked = await sendRaw(port, pieces, { forMs: 5_000 });
  if (!chunked.text.startsWith("HTTP/1.1 413 ")) wire.broken.push(`5 MB in chunks got '${chunked.text.slice(0, 30)}'`);
}

/** Row 41: acknowledged and set aside unread, and nobody waits for it. */
async function sendTooDeep(wire: Wire): Promise<void> {
  const nest = (open: string, close: string, depth: number) =>
    Buffer.from(`${open.repeat(depth)}1${close.repeat(depth)}`, "latin1");
  const bodies = [
    nest("[", "]", 1_000_000),
    nest('{"a":', "}", 600_000),
    Buffer.alloc(4_000_000, "["),
    Buffer.from(
      JSON.stringify({
        object: "instagram",
        entry: [{ id: strangerAccount, time: 1, messaging: [buildStranger("deep")] }],
      }).replace('"stranger deep"', `${"[".repeat(500_000)}${"]".repeat(500_000)}`),
    ),
  ];
  const startMs = performance.now();
  for (const [at, body] of bodies.entries()) await expectKept(wire, `Deep body ${at}`, body);
  wire.notes["four bodies a million deep, ms"] = Math.round(performance.now() - startMs);
  const [row] = await wire.rig.sql<Counted[]>`
    select count(*)::int as count from quarantine where reason = 'too_deep'`;
  if (row?.count !== bodies.length) wire.broken.push(`Of ${bodies.length} deep bodies ${row?.count} are in quarantine`);
  // Ten million brackets are more than a body may have.
  const status = await sendBody(wire, Buffer.alloc(10_000_000, "["));
  if (status !== 413 && status !== 0) wire.broken.push(`Ten million brackets got ${status}, not 413`);
}

/** Rows 42, 44, 45. */
async function sendOddText(wire: Wire): Promise<void> {
  const { rig, broken } = wire;
  const whole = buildStrangerBody([buildStranger("no-utf8")]);
  const at = whole.indexOf("stranger no-utf8");
  const noUtf8 = Buffer.concat([whole.subarray(0, at), Buffer.from([0xc3, 0x28, 0xff]), whole.subarray(at)]);
  await expectKept(wire, "A body that is no UTF-8", noUtf8);
  const digest = new Bun.CryptoHasher("sha256").update(noUtf8).digest("hex");
  const [aside] = await rig.sql<Counted[]>`
    select count(*)::int as count from quarantine where reason = 'not_utf8' and body_hash = ${digest}`;
  if (aside?.count !== 1) broken.push("The body that is no UTF-8 is not in quarantine");

  const exact = "17841400000000001234"; // As a number it would become …2000.
  const numeric = JSON.stringify({
    object: "instagram",
    entry: [{ id: strangerAccount, time: Date.now(), messaging: [buildStranger("numeric", "ID")] }],
  }).replace('"ID"', exact);
  await expectKept(wire, "An id beyond 2^53 as a number", Buffer.from(numeric, "utf8"));
  const [digits] = await rig.sql<Counted[]>`
    select count(*)::int as count from conversations
    where account_id = ${strangerAccount} and participant_platform_id = ${exact}`;
  if (digits?.count !== 1) broken.push(`The id ${exact} lost digits, or its message was set aside`);

  const keys = (item: string) =>
    Buffer.from(
      `{"__proto__":{"entry":[]},"object":"instagram","entry":[{"id":"${strangerAccount}","time":1,` +
        `"constructor":{"prototype":{"polluted":1}},"messaging":[${item}]}]}`,
      "utf8",
    );
  const proto = JSON.stringify(buildStranger("proto")).replace('"message":{', '"message":{"__proto__":{"mid":"evil"},');
  await expectKept(wire, "A body with __proto__", keys(proto));
  const twice = JSON.stringify(buildStranger("twice-2")).replace('"mid":', '"mid":"twice-1","mid":');
  await expectKept(wire, "A body with a key twice", keys(twice));
  const mids = await rig.sql<{ mid: string }[]>`
    select mid from messages where account_id = ${strangerAccount} and mid in ('proto', 'evil', 'twice-1', 'twice-2')
    order by mid`;
  if (mids.map(({ mid }) => mid).join() !== "proto,twice-2")
    broken.push(`__proto__ and a key twice were stored as ${JSON.stringify(mids)}`);
}

/** Row 35: seconds, text, zero, the year 5138 and before 1970: a time that is sane, or the moment it came. */
async function sendOddTimes(wire: Wire): Promise<void> {
  const { rig, broken } = wire;
  const nowMs = Date.now();
  const yearMs = 365 * 86_400_000;
  const anHourAgo = nowMs - 3_600_000;
  const times: [string, unknown, number][] = [
    ["in ms", anHourAgo, anHourAgo],
    ["in seconds", Math.floor(anHourAgo / 1000), Math.floor(anHourAgo / 1000) * 1000],
    ["as digits", String(anHourAgo), anHourAgo],
    ["as ISO", new Date(anHourAgo).toISOString(), anHourAgo],
    ["0", 0, nowMs],
    ["negative", -5, nowMs],
    ["no number", "soon", nowMs],
    ["in the year 5138", 1e14, nowMs],
    ["a year ahead", nowMs + yearMs, nowMs],
    ["1e300", 1e300, nowMs],
  ];
  const items = times.map(([, timestamp], at) => ({ ...buildStranger(`time-${at}`, `68100${at}`), timestamp }));
  await expectKept(wire, "Odd times", buildStrangerBody(items));
  const rows = await rig.sql<{ mid: string; ms: string }[]>`
    select mid, round(extract(epoch from sent_at) * 1000)::text as ms from messages
    where account_id = ${strangerAccount} and mid like 'time-%'`;
  for (const [at, [what, , wanted]] of times.entries()) {
    const ms = Number(rows.find(({ mid }) => mid === `time-${at}`)?.ms ?? Number.NaN);
    if (!(Math.abs(ms - wanted) < 5_000)) broken.push(`A time ${what} was stored as ${ms}, not ${wanted}`);
  }
}

/** Row 48: what two readers could read in two ways is refused, and the connection closed. */
async function sendSmuggled(wire: Wire): Promise<void> {
  const requests: [string, string, readonly number[]][] = [
    ["a length and chunks", `${post}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, [400]],
    ["two lengths", `${post}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`, [400]],
    ["no Host", "POST /webhooks/instagram HTTP/1.1\r\nContent-Length: 0\r\n\r\n", [400]],
    ["a bare LF in the first line", "POST /webhooks/instagram HTTP/1.1\nHost: localhost\n\n", [400, 505]],
    ["a bare LF in a header", "GET / HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n", [400]],
    ["headers of 40 kB", `${post}X: ${"y".repeat(40_000)}\r\n\r\n`, [431]],
    ["no HTTP at all", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003\r\n\r\n", [400]],
  ];
  const answers = await Promise.all(requests.map(([, text]) => sendRaw(wire.rig.daemon.port, [text])));
  for (const [at, [what, , statuses]] of requests.entries()) {
    const { text = "", closed = false } = answers[at] ?? {};
    if (!statuses.includes(Number(text.slice(9, 12))) || !closed)
      wire.broken.push(`A request with ${what} got '${text.slice(0, 30)}', ${closed ? "closed" : "left open"}`);
  }
}

function* drip(head: string, piece: string): Generator<string> {
  yield head;
  while (true) yield piece;
}

/** Row 46: stalled, dripping every 4 s and every second, in the headers and in the body. */
async function sendSlowly(wire: Wire): Promise<void> {
  const { port } = wire.rig.daemon;
  const withPauses = { gapMs: 4_000, forMs: slowMsMax + 5_000 };
  const neverIdle = { gapMs: 1_000, forMs: slowMsMax + 5_000 };
  const body = `${post}Content-Length: 100000\r\n\r\n`;
  const ends = await Promise.all([
    sendRaw(port, ["GET / HTT"], withPauses),
    sendRaw(port, drip(`${post}X-Slow: `, "a"), withPauses),
    sendRaw(port, drip(body, "a"), withPauses),
    sendRaw(port, drip(post, "X: y\r\n"), neverIdle),
    sendRaw(port, drip(body, "a"), neverIdle),
    sendRaw(port, drip(`${post}Transfer-Encoding: chunked\r\n\r\n`, "1\r\na\r\n"), neverIdle),
  ]);
  const slowestMs = Math.max(...ends.map(({ afterMs }) => afterMs));
  wire.notes["slow senders cut after at most, s"] = Math.round(slowestMs / 100) / 10;
  const left = ends.filter(({ closed, afterMs }) => !closed || afterMs > slowMsMax).length;
  if (left > 0) wire.broken.push(`${left} of ${ends.length} slow senders were not cut within ${slowMsMax} ms`);
}

/** Row 47. */
async function holdIdle(wire: Wire, long: boolean): Promise<void> {
  const { rig, broken, notes } = wire;
  const files = [process.pid, rig.daemon.pid].map((pid) => raiseFileLimit(pid, idleConnections + filesBeside));
  const count = Math.min(idleConnections, ...files.map((limit) => limit - filesBeside));
  await timeAcks(rig); // Warm.
  const aloneMs = await timeAcks(rig);
  await using idle = new AsyncDisposableStack();
  const waves: { open: () => number }[] = [];
  for (let opened = 0; opened < count; opened += connectAtOnce)
    waves.push(idle.use(await openIdleConnections(rig.daemon.port, Math.min(connectAtOnce, count - opened))));
  const countOpen = () => waves.reduce((sum, wave) => sum + wave.open(), 0);
  const before = countOpen();
  const besideMs = await timeAcks(rig);
  const after = countOpen();
  notes["idle connections held"] = after;
  notes["ack alone, ms"] = Math.round(aloneMs * 100) / 100;
  notes["ack beside them, ms"] = Math.round(besideMs * 100) / 100;
  if (after < before || before < count) broken.push(`Of ${count} idle connections ${before} opened, ${after} stayed`);
  if (long && besideMs > 2 * aloneMs + idleNoiseMs)
    broken.push(`An ack took ${besideMs} ms beside ${after} idle connections, ${aloneMs} ms alone`);
}

/** The median of 200 acknowledged posts one after the other, each over the same connection, in ms. */
async function timeAcks(rig: Rig): Promise<number> {
  const { port } = rig.daemon;
  const times: number[] = [];
  let startMs = 0;
  let left = 200;
  await sendMany({
    port,
    lanes: 1,
    next: () => {
      if (left === 0) return null;
      left -= 1;
      const body = buildStrangerBody([buildStranger(`idle-${crypto.randomUUID()}`)]);
      const bytes = buildRequest(body, { port, secret: rig.appSecret });
      startMs = performance.now();
      return { bytes };
    },
    onAnswer: ({ status }) => {
      if (status === 200) times.push(performance.now() - startMs);
    },
  });
  return percentile(times);
}
