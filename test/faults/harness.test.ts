/** The harness itself: a judge that lets everything pass is worse than none. */
import { describe, expect, test } from "bun:test";
import { createServer, Socket } from "node:net";
import postgres from "postgres";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import { waitUntil } from "../support/bounded-wait.ts";
import { openTestRepositories } from "../support/test-repositories.ts";
import { checkTables, countMissing } from "./check-tables.ts";
import { createEventPlan, createSendOrder, makePlanAccounts } from "./event-plan.ts";
import { openFaultProxy } from "./fault-proxy.ts";
import { createLedger } from "./ledger.ts";

const seed = 5;
const deliveries = 60;
const makePlan = () =>
  createEventPlan({ seed, startMs: Date.now() - 3_600_000, accounts: makePlanAccounts(seed, 2, 10), batchMax: 40 });

describe("createEventPlan()", () => {
  test("makes the same events from the same seed, all kinds, each with a time of its own", () => {
    const options = { seed, startMs: 1_760_000_000_000, accounts: makePlanAccounts(seed, 2, 10) };
    const [plan, again] = [createEventPlan(options), createEventPlan(options)];
    const times = new Set<number>();
    const kinds = new Set<string>();
    let events = 0;
    for (let delivery = 0; delivery < 200; delivery += 1) {
      expect(plan.buildBody(delivery)).toEqual(again.buildBody(delivery));
      for (const event of plan.eventsOf(delivery)) {
        events += 1;
        times.add(event.occurredAtMs);
        kinds.add(event.kind);
        if (event.kind === "message") expect(plan.numberOfMid(event.mid)).toBe(event.number);
      }
    }
    expect(times.size).toBe(events);
    expect([...kinds].sort()).toEqual(["edit", "message", "postback", "reaction", "read", "unsend"]);
  });
});

describe("createSendOrder()", () => {
  test("hands out every delivery, about one in twenty twice and one in twenty late, and ends", () => {
    const order = createSendOrder(makePlan(), { count: 2_000 });
    const sent: number[] = [];
    for (let next = order.next(); next !== null; next = order.next()) sent.push(next);
    expect(new Set(sent).size).toBe(2_000);
    expect(sent.length - 2_000).toBeWithin(50, 150);
    const late = sent.filter(
      (delivery, at) => sent.indexOf(delivery) === at && sent.slice(0, at).some((one) => one > delivery),
    );
    expect(late.length).toBeWithin(50, 200);
  });
});

describe("createLedger()", () => {
  test("tells the first acknowledgement after a moment, the worst gap, and what was never acknowledged", async () => {
    const ledger = createLedger();
    const startMs = performance.now();
    ledger.answered(ledger.sent(1), 200);
    const middleMs = performance.now();
    await Bun.sleep(30);
    ledger.answered(ledger.sent(2), 503);
    ledger.answered(ledger.sent(3), 200);
    ledger.sent(4);
    expect(ledger.unacknowledged()).toEqual([2, 4]);
    expect(ledger.firstAckAfter(middleMs)).toBeGreaterThanOrEqual(29);
    expect(ledger.worstGapWithin(startMs, performance.now())).toBeGreaterThanOrEqual(29);
    expect(ledger.firstAckAfter(performance.now() + 1)).toBeNull();
    expect(ledger.pendingCount()).toBe(1);
    expect([...ledger.statuses()]).toEqual([
      [200, 2],
      [503, 1],
    ]);
  });
});

describe("checkTables()", () => {
  test("finds nothing in right tables, and every kind of damage in wrong ones", async () => {
    await using repositories = await openTestRepositories();
    const sql = postgres(repositories.url ?? "", { max: 1, onnotice() {} });
    try {
      const plan = makePlan();
      const ledger = createLedger();
      for (let delivery = deliveries - 1; delivery >= 0; delivery -= 1) {
        ledger.answered(ledger.sent(delivery), 200);
        await repositories.events.saveEvents(parseWebhook(plan.buildBody(delivery), Date.now()).events, 10_000);
      }
      const right = await checkTables({ sql, plan, ledger });
      expect(right).toMatchObject({ lost: 0, doubled: 0, broken: [] });
      expect(right.stored).toBe(right.acknowledged);
      expect(right.stored).toBeGreaterThan(300);
      const all = Array.from({ length: deliveries }, (_, at) => at);
      expect(await countMissing(sql, plan, all)).toBe(0);

      const damages: readonly (readonly [string, string])[] = [
        ["what was acknowledged is stored", "delete from events where event_key = (select max(event_key) from events)"],
        [
          "no event is stored twice",
          "insert into events select account_id, event_key || 'x', kind, participant_id, mid, occurred_at, received_at, raw from events limit 1",
        ],
        [
          "nothing is stored that was not sent",
          "update events set occurred_at = occurred_at + interval '1 hour' where event_key = (select min(event_key) from events)",
        ],
        [
          "an event is stored as it was sent",
          "update events set participant_id = '1' where event_key = (select min(event_key) from events)",
        ],
        [
          "unread counts each inbound message once",
          "update conversations set unread_count = unread_count + 1 where id = (select min(id) from conversations)",
        ],
        [
          "last_message_at is the latest",
          "update conversations set last_message_at = last_message_at - interval '1 s' where id = (select min(id) from conversations)",
        ],
        [
          "every message has its conversation",
          "delete from conversations where id = (select min(id) from conversations)",
        ],
        ["every message is there", "delete from messages where mid = (select min(mid) from messages)"],
        [
          "a message's row is the model's",
          "update messages set text = 'other' where mid = (select min(mid) from messages)",
        ],
        [
          "a message's row is the model's",
          "update messages set deleted_at = null where mid = (select min(mid) from messages where deleted_at is not null)",
        ],
        [
          "a message's row is the model's",
          "update messages set edit_number = 1 where mid = (select min(mid) from messages where edit_number > 1)",
        ],
        [
          "no message is made up",
          "insert into messages (account_id, mid, conversation_id, direction, has_content, sent_at) values ('1', 'm', '1_2', 'inbound', true, now())",
        ],
        ["the latest reaction stands", "update reactions set emoji = 'x' where mid = (select min(mid) from reactions)"],
        ["every reaction is there", "delete from reactions where mid = (select min(mid) from reactions)"],
        [
          "every reader is there",
          "delete from read_receipts where participant_id = (select min(participant_id) from read_receipts)",
        ],
        ["the latest read stands", "update read_receipts set read_at = read_at - interval '1 s'"],
        [
          "what cannot be filed is set aside, and nothing else",
          "insert into quarantine (reason, body_hash, body) values ('not_json', 'h', 'b')",
        ],
      ];
      for (const [law, damage] of damages) {
        await sql.unsafe("begin");
        await sql.unsafe(damage);
        const { broken } = await checkTables({ sql, plan, ledger });
        await sql.unsafe("rollback");
        expect({ damage, laws: broken.map((text) => text.split(":")[0]) }).toMatchObject({
          damage,
          laws: expect.arrayContaining([law]),
        });
      }
      await sql`delete from messages where mid = (select min(mid) from messages where has_content)`;
      expect(await countMissing(sql, plan, all)).toBe(1);
    } finally {
      await sql.end();
    }
  }, 60_000);
});

describe("openFaultProxy()", () => {
  /** A server that says back what it hears. */
  async function openEcho() {
    const server = createServer((socket) => socket.on("error", () => {}).pipe(socket));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("Cannot tell the port");
    return { port: address.port, [Symbol.dispose]: () => void server.close() };
  }
  async function connect(port: number) {
    const seen = { text: "", error: "", ended: false, closed: false };
    const socket = new Socket({ allowHalfOpen: true });
    socket.on("data", (bytes) => {
      seen.text += bytes.toString("latin1");
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      seen.error = error.code ?? "";
    });
    socket.on("end", () => {
      seen.ended = true;
    });
    socket.on("close", () => {
      seen.closed = true;
    });
    const connected = Promise.withResolvers<void>();
    socket.once("connect", () => connected.resolve()).once("error", () => connected.resolve());
    socket.connect(port, "127.0.0.1");
    await connected.promise;
    return { seen, write: (text: string) => socket.write(text), [Symbol.dispose]: () => void socket.destroy() };
  }
  const until = (check: () => boolean) => waitUntil(check, 5_000, "Cannot see the proxy act: nothing came");

  test("passes, delays, cuts within a message, swallows, resets, refuses and closes one half", async () => {
    using echo = await openEcho();
    await using proxy = await openFaultProxy(echo.port);
    using client = await connect(proxy.port);
    client.write("one ");
    await until(() => client.seen.text === "one ");

    await proxy.setMode({ kind: "latency", ms: 60 });
    const startMs = performance.now();
    client.write("two ");
    await until(() => client.seen.text === "one two ");
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(115);

    await proxy.setMode({ kind: "cut", bytes: 2, direction: "to_client" });
    client.write("three");
    await until(() => client.seen.closed);
    expect(client.seen).toMatchObject({ text: "one two th", error: "ECONNRESET" });

    await proxy.setMode({ kind: "black_hole" });
    using hole = await connect(proxy.port);
    hole.write("lost");
    await Bun.sleep(50);
    expect(hole.seen).toEqual({ text: "", error: "", ended: false, closed: false });
    await proxy.setMode({ kind: "pass" }, "new");
    using after = await connect(proxy.port);
    after.write("after");
    await until(() => after.seen.text === "after");
    expect(hole.seen.text).toBe("");
    expect(proxy.links()).toBe(2);

    await proxy.setMode({ kind: "reset" });
    await until(() => hole.seen.closed && after.seen.closed);
    expect(after.seen.error).toBe("ECONNRESET");

    await proxy.setMode({ kind: "refuse" });
    using refused = await connect(proxy.port);
    expect(refused.seen.error).toBe("ECONNREFUSED");
    await proxy.setMode({ kind: "pass" });
    using half = await connect(proxy.port);
    half.write("a");
    await until(() => half.seen.text === "a");
    await proxy.setMode({ kind: "half_close" });
    await until(() => half.seen.ended);
    expect(half.seen.closed).toBe(false);
  });

  test("lets a tap hold bytes back, drop them, and let them go", async () => {
    using echo = await openEcho();
    await using proxy = await openFaultProxy(echo.port);
    using client = await connect(proxy.port);
    const held: { release: () => void }[] = [];
    proxy.setTap((direction, bytes, link) => {
      if (direction === "to_server") return bytes.includes("drop") ? "drop" : "forward";
      if (!bytes.includes("commit")) return "forward";
      held.push(link);
      return "hold";
    });
    client.write("drop");
    await Bun.sleep(30);
    client.write("commit");
    await until(() => held.length === 1);
    await Bun.sleep(30);
    expect(client.seen.text).toBe("");
    held[0]?.release();
    await until(() => client.seen.text === "commit");
  });
});
