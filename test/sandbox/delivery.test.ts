import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { createSystemClock } from "../../src/lib/clock.ts";
import { isLoopback } from "../../src/sandbox/control.ts";
import { accountOf, appSecret, ask, type Json, openReceiver, openTestSandbox, personOf } from "./open-test-sandbox.ts";

const itemsOf = (bodies: Json[]): Json[] =>
  bodies.flatMap((body) => body.entry.flatMap((entry: Json) => entry.messaging ?? entry.standby));

describe("openSandbox() deliver()", () => {
  test("deliver() sends signed posts whose signature stands over the bytes received", async () => {
    await using receiver = openReceiver();
    await using box = await openTestSandbox({ webhookUrl: receiver.url });
    const report = await box.sandbox.deliver({ count: 40, kinds: "mixed", batchSize: 6 });
    expect(report).toMatchObject({ events: 40, posts: 7, accepted: 7, failed: 0, retries: 0, statuses: { 200: 7 } });
    for (const { bytes, headers } of receiver.deliveries) {
      const signature = (algorithm: string) => createHmac(algorithm, appSecret).update(bytes).digest("hex");
      expect(headers.get("X-Hub-Signature-256")).toBe(`sha256=${signature("sha256")}`);
      expect(headers.get("X-Hub-Signature")).toBe(`sha1=${signature("sha1")}`);
      expect(headers.get("User-Agent")).toBe("facebookexternalua");
      expect(bytes.every((byte) => byte < 0x80)).toBe(true);
    }
  });

  test("deliver() lets people write in the world's order, going on where it ended", async () => {
    await using receiver = openReceiver();
    await using box = await openTestSandbox({ webhookUrl: receiver.url });
    for (const count of [3, 2]) await box.sandbox.deliver({ count, accountIndex: 0, concurrency: 1 });
    const { people, instagramId } = accountOf(box.sandbox, 0);
    expect(itemsOf(receiver.bodies()).map(({ sender }) => sender.id)).toEqual(people.slice(0, 5).map(({ id }) => id));
    expect(receiver.bodies().every((body) => body.entry[0].id === instagramId)).toBe(true);
    const mids = itemsOf(receiver.bodies()).map(({ message }) => message.mid);
    expect(new Set(mids).size).toBe(5);
    expect(mids.every((mid) => /^aWdf[A-Za-z0-9_-]{100,165}$/.test(mid))).toBe(true);
  });

  test("deliver() sends echoes by share, chosen people by id, and reports what it sent", async () => {
    await using receiver = openReceiver();
    await using box = await openTestSandbox({ webhookUrl: receiver.url });
    const report = await box.sandbox.deliver({ count: 200, echoShare: 0.5, batchSize: 50 });
    const echoes = itemsOf(receiver.bodies()).filter(({ message }) => message.is_echo).length;
    expect(echoes).toBeGreaterThan(60);
    expect(echoes).toBeLessThan(140);
    expect(report.sent.filter(({ kind }) => kind === "echo")).toHaveLength(echoes);
    const ids = [personOf(box.sandbox, 1, 4).id, "9990000000000230", "1234567890123456"];
    const chosen = await box.sandbox.deliver({ count: 3, personIds: ids });
    expect(chosen.sent.map(({ personId }) => personId)).toEqual(ids);
    expect(chosen.sent[0]?.accountId).toBe(accountOf(box.sandbox, 1).instagramId);
  });

  test("deliver() lets edits, deletes and replies speak of a message that was sent before", async () => {
    await using receiver = openReceiver();
    await using box = await openTestSandbox({ webhookUrl: receiver.url });
    const kinds = ["text", "edit", "edit", "reaction", "reply", "delete", "text"] as const;
    const { sent } = await box.sandbox.deliver({
      count: kinds.length,
      kinds,
      personIds: [personOf(box.sandbox, 0, 0).id],
      concurrency: 1,
    });
    const [text, edit, again, reaction, reply, unsent, last] = itemsOf(receiver.bodies());
    expect([edit.message_edit.mid, again.message_edit.mid]).toEqual([text.message.mid, text.message.mid]);
    expect([edit.message_edit.num_edit, again.message_edit.num_edit]).toEqual([1, 2]);
    expect([reaction.reaction.mid, reply.message.reply_to.mid]).toEqual([text.message.mid, text.message.mid]);
    expect(unsent.message).toEqual({ mid: reply.message.mid, is_deleted: true });
    expect(sent.map(({ mid }) => mid)).toEqual([
      ...[text, text, text, text, reply, reply].map(({ message }) => message.mid),
      last.message.mid,
    ]);
  });

  test("deliver() tries again with the same bytes until the answer is 200", async () => {
    await using receiver = openReceiver((count) => (count < 3 ? 503 : 200));
    await using box = await openTestSandbox({
      webhookUrl: receiver.url,
      retryDelaysMs: [0, 10],
      clock: createSystemClock(),
    });
    const report = await box.sandbox.deliver({ count: 1 });
    expect(report).toMatchObject({ accepted: 1, retries: 2, statuses: { 200: 1, 503: 2 } });
    const signatures = receiver.deliveries.map(({ headers }) => headers.get("X-Hub-Signature-256"));
    expect(new Set(signatures).size).toBe(1);
  });

  test("deliver() gives up after the last pause, and counts a receiver that is away as 0", async () => {
    await using box = await openTestSandbox({
      webhookUrl: "http://127.0.0.1:1/",
      retryDelaysMs: [0],
      clock: createSystemClock(),
    });
    expect(await box.sandbox.deliver({ count: 1 })).toMatchObject({ accepted: 0, failed: 1, statuses: { 0: 2 } });
  });

  test("deliver() refuses options out of range, and a box without a webhook URL", async () => {
    await using box = await openTestSandbox({ webhookUrl: "http://127.0.0.1:1/" });
    await expect(box.sandbox.deliver({ count: -1 })).rejects.toThrow("count");
    await expect(box.sandbox.deliver({ count: 1, batchSize: 1001 })).rejects.toThrow("batchSize");
    await using mute = await openTestSandbox();
    await expect(mute.sandbox.deliver({ count: 1 })).rejects.toThrow("no webhook URL");
  });
});

describe("openSandbox() stream", () => {
  test("openSandbox() starts its stream with a burst on account 0, then mixes both accounts, newcomers first plain", async () => {
    await using receiver = openReceiver();
    await using box = await openTestSandbox({ webhookUrl: receiver.url, messagesPerSecond: 10 });
    const [instagram, facebook] = [accountOf(box.sandbox, 0), accountOf(box.sandbox, 1)];
    box.manual.pass(250);
    while (receiver.deliveries.length < 5) await Bun.sleep(1);
    expect(
      itemsOf(receiver.bodies())
        .map(({ sender }) => sender.id)
        .sort(),
    ).toEqual(
      instagram.people
        .slice(0, 5)
        .map(({ id }) => id)
        .sort(),
    );
    for (let step = 0; step < 60; step += 1) {
      box.manual.pass(100);
      await Bun.sleep(2);
    }
    while (receiver.deliveries.length < 64) await Bun.sleep(1);
    expect(receiver.deliveries.length).toBeLessThanOrEqual(66);
    const accounts = receiver.bodies().map((body) => body.entry[0].id);
    expect(accounts.filter((id) => id === facebook.instagramId).length).toBeGreaterThan(25);
    const firstOf = new Map<string, Json>();
    for (const item of itemsOf(receiver.bodies()).sort((left, right) => left.timestamp - right.timestamp)) {
      const id = item.message?.is_echo ? item.recipient.id : item.sender.id;
      if (!firstOf.has(id)) firstOf.set(id, item);
    }
    for (const item of firstOf.values()) expect(item.message.text).toBeString();
    expect(firstOf.size).toBeGreaterThan(20);
  });

  test("openSandbox() leaves no timer and no post behind when it closes", async () => {
    await using receiver = openReceiver(() => 503);
    const box = await openTestSandbox({ webhookUrl: receiver.url, messagesPerSecond: 100, retryDelaysMs: [1000] });
    box.manual.pass(250);
    while (receiver.deliveries.length < 5) await Bun.sleep(1);
    await box.sandbox[Symbol.asyncDispose]();
    expect(box.manual.waiting()).toBe(0);
    const sent = receiver.deliveries.length;
    box.manual.pass(10_000);
    await Bun.sleep(20);
    expect(receiver.deliveries).toHaveLength(sent);
  });
});

describe("openSandbox() control routes", () => {
  const post = (url: string, body: unknown) => ask(url, null, { method: "POST", body: JSON.stringify(body) });

  test("openSandbox() shows its world and its calls, delivers, sets rates and troubles under /sandbox/", async () => {
    await using receiver = openReceiver();
    await using box = await openTestSandbox({ webhookUrl: receiver.url, people: 5 });
    const { origin, instagramUrl, world } = box.sandbox;
    const { token } = accountOf(box.sandbox, 0);
    const { id } = personOf(box.sandbox, 0, 0);
    expect((await ask(`${origin}/sandbox/world`)).body).toEqual(JSON.parse(JSON.stringify(world)));
    const get = async () => (await ask(`${instagramUrl}/${id}?fields=name`, token)).body.error?.code ?? 200;
    expect((await post(`${origin}/sandbox/trouble`, { personId: id, trouble: "gone" })).status).toBe(200);
    expect(await get()).toBe(9010);
    expect((await post(`${origin}/sandbox/trouble`, { personId: id, trouble: null })).status).toBe(200);
    expect((await post(`${origin}/sandbox/trouble`, { accountIndex: 0, trouble: "token_dead" })).status).toBe(200);
    expect(await get()).toBe(190);
    await post(`${origin}/sandbox/trouble`, { accountIndex: 0, trouble: null });
    expect((await post(`${origin}/sandbox/rate`, { ratePerWindow: 0 })).body).toEqual({ ratePerWindow: 0 });
    expect(await get()).toBe(80002);
    const { body } = await ask(`${origin}/sandbox/calls`);
    expect(body.counts).toMatchObject({ profileRequests: 3, profileItems: 3, throttled: 1 });
    expect(body.calls).toHaveLength(3);
    await post(`${origin}/sandbox/calls/reset`, {});
    expect((await ask(`${origin}/sandbox/calls`)).body.calls).toEqual([]);
    const sent = await post(`${origin}/sandbox/deliver`, { accountIndex: 1, count: 4, batchSize: 2 });
    expect(sent.body).toMatchObject({ events: 4, posts: 2, accepted: 2 });
    expect(receiver.deliveries).toHaveLength(2);
  });

  test("isLoopback() knows this machine's addresses and no other", () => {
    for (const address of ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"]) expect(isLoopback(address)).toBe(true);
    for (const address of ["10.0.0.1", "::ffff:10.0.0.1", "1127.0.0.1", "127.0.0.1.evil", "", null]) {
      expect(isLoopback(address)).toBe(false);
    }
  });

  test("openSandbox() refuses malformed control requests with 400 and unknown routes with 404", async () => {
    await using box = await openTestSandbox();
    const { origin } = box.sandbox;
    for (const [path, body] of [
      ["deliver", {}],
      ["deliver", { count: 1, batchSize: 0 }],
      ["deliver", { count: 1, surprise: true }],
      ["rate", { ratePerWindow: -1 }],
      ["rate", {}],
      ["trouble", { personId: "1", trouble: "headache" }],
      ["trouble", { trouble: "gone" }],
    ] as const) {
      expect([path, (await post(`${origin}/sandbox/${path}`, body)).status]).toEqual([path, 400]);
    }
    expect((await post(`${origin}/sandbox/deliver`, { count: 1 })).status).toBe(409);
    expect((await ask(`${origin}/sandbox/nonsense`)).status).toBe(404);
    expect((await ask(`${origin}/`)).status).toBe(404);
  });
});
