import { describe, expect, test } from "bun:test";
import type { Sandbox } from "../../src/sandbox/sandbox.ts";
import { accountOf, ask, type Json, openReceiver, openTestSandbox, personOf } from "./open-test-sandbox.ts";

const query = "platform=instagram&fields=id,updated_time,participants";

async function listAll(sandbox: Sandbox, owner: string, host: "instagram" | "facebook", limit: number) {
  const index = host === "instagram" ? 0 : 1;
  const { token } = accountOf(sandbox, index);
  const conversations: Json[] = [];
  const sizes: number[] = [];
  let after = "";
  for (;;) {
    const cursor = after === "" ? "" : `&after=${after}`;
    const { body } = await ask(
      `${sandbox.origin}/graph.${host}.com/v26.0/${owner}/conversations?${query}&limit=${limit}${cursor}`,
      token,
    );
    conversations.push(...body.data);
    sizes.push(body.data.length);
    if (body.paging?.next === undefined) return { conversations, sizes };
    after = body.paging.cursors.after;
  }
}

describe("openSandbox() conversations", () => {
  test("openSandbox() lists everybody once through cursors, newest first, with both sides' names", async () => {
    await using box = await openTestSandbox({ people: 60 });
    const account = accountOf(box.sandbox, 0);
    const { conversations, sizes } = await listAll(box.sandbox, "me", "instagram", 25);
    expect(sizes).toEqual([25, 25, 10]);
    const customers = conversations.map(({ participants }) =>
      participants.data.find((side: { id: string }) => side.id !== account.instagramId),
    );
    expect(customers).toEqual(account.people.map(({ id, username }) => ({ username, id })));
    expect(conversations[0].participants.data[0]).toEqual({ username: account.username, id: account.instagramId });
    const times = conversations.map(({ updated_time }) => updated_time);
    expect(times[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000$/);
    expect(times).toEqual([...times].sort().reverse());
    expect(new Set(conversations.map(({ id }) => id)).size).toBe(60);
  });

  test("openSandbox() puts the token into paging.next, which leads to the next page", async () => {
    await using box = await openTestSandbox();
    const { token } = accountOf(box.sandbox, 0);
    const { body } = await ask(`${box.sandbox.instagramUrl}/v26.0/me/conversations?${query}&limit=10`, token);
    expect(new URL(body.paging.next).searchParams.get("access_token")).toBe(token);
    const next = await ask(body.paging.next);
    expect(next.body.data[0].participants.data[1].id).toBe(personOf(box.sandbox, 0, 10).id);
  });

  test("openSandbox() wants the Page's id on graph.facebook.com and the account's own on graph.instagram.com", async () => {
    await using box = await openTestSandbox({ people: 3 });
    const { pageId, instagramId, token } = accountOf(box.sandbox, 1);
    expect((await listAll(box.sandbox, String(pageId), "facebook", 50)).conversations).toHaveLength(3);
    const wrong = await ask(`${box.sandbox.facebookUrl}/${instagramId}/conversations?${query}`, token);
    expect(wrong.body.error).toMatchObject({ code: 100, error_subcode: 33 });
    const messenger = await ask(`${box.sandbox.facebookUrl}/${pageId}/conversations?fields=id`, token);
    expect(messenger.body).toEqual({ data: [] });
    const other = accountOf(box.sandbox, 0);
    expect((await listAll(box.sandbox, other.instagramId, "instagram", 50)).conversations).toHaveLength(3);
    expect((await ask(`${box.sandbox.instagramUrl}/${instagramId}/conversations?${query}`, other.token)).status).toBe(
      400,
    );
  });

  test("openSandbox() finds one thread by user_id, also where the profile call says 230", async () => {
    await using box = await openTestSandbox();
    const { token } = accountOf(box.sandbox, 0);
    const find = (id: string) => ask(`${box.sandbox.instagramUrl}/me/conversations?${query}&user_id=${id}`, token);
    const person = personOf(box.sandbox, 0, 5);
    box.sandbox.setTrouble(person.id, "no_consent");
    expect((await find(person.id)).body.data[0].participants.data[1]).toEqual({
      username: person.username,
      id: person.id,
    });
    expect((await find("1234567890123456")).body).toEqual({ data: [] });
    expect((await find("9990000000000910")).body.error.code).toBe(9010);
    expect((await find("9990000000000909")).body).toEqual({ data: [] });
  });

  test("openSandbox() moves who writes to the front of the list", async () => {
    await using receiver = openReceiver();
    await using box = await openTestSandbox({ people: 30, webhookUrl: receiver.url });
    const writers = [20, 7].map((at) => personOf(box.sandbox, 0, at).id);
    for (const id of writers) {
      box.manual.pass(1000);
      await box.sandbox.deliver({ count: 1, personIds: [id] });
    }
    const { conversations } = await listAll(box.sandbox, "me", "instagram", 1);
    const ids = conversations.map(({ participants }) => participants.data[1].id);
    expect(ids.slice(0, 3)).toEqual([writers[1], writers[0], personOf(box.sandbox, 0, 0).id]);
    expect(new Set(ids).size).toBe(30);
  });

  test("openSandbox() allows two list calls a second and account, by 613 on one host and 80006 on the other", async () => {
    await using box = await openTestSandbox({ ratePerWindow: 1000 });
    for (const [index, url, code] of [
      [0, box.sandbox.instagramUrl, 613],
      [1, box.sandbox.facebookUrl, 80006],
    ] as const) {
      const { token } = accountOf(box.sandbox, index);
      const call = async () => (await ask(`${url}/me/conversations?${query}`, token)).body.error?.code ?? 200;
      expect([await call(), await call(), await call()]).toEqual([200, 200, code]);
      box.manual.pass(1000);
      expect(await call()).toBe(200);
    }
  });

  test("openSandbox() refuses unknown fields, bad limits, bad cursors and too much data", async () => {
    await using box = await openTestSandbox();
    const { token } = accountOf(box.sandbox, 0);
    const code = async (parameters: string) =>
      (await ask(`${box.sandbox.instagramUrl}/me/conversations?platform=instagram&${parameters}`, token)).body.error
        ?.code;
    expect(await code("fields=id,profile_pic")).toBe(100);
    expect(await code("fields=id&limit=0")).toBe(100);
    expect(await code("fields=id&after=nonsense")).toBe(100);
    expect(await code("fields=id,participants{")).toBe(2500);
    expect(await code("fields=id,messages{message}&limit=50")).toBe(1);
    expect(await code("fields=id&limit=100000")).toBeUndefined();
  });
});

describe("openSandbox() threads", () => {
  test("openSandbox() gives details of the 20 most recent messages only", async () => {
    await using box = await openTestSandbox({ people: 60 });
    const { token } = accountOf(box.sandbox, 0);
    const { conversations } = await listAll(box.sandbox, "me", "instagram", 100);
    let sawOld = false;
    for (const { id } of conversations.slice(0, 20)) {
      const { body } = await ask(
        `${box.sandbox.instagramUrl}/${id}?fields=messages.limit(100){id,created_time,from,to,message}`,
        token,
      );
      const messages = body.messages.data;
      for (const [at, message] of messages.entries()) expect("from" in message).toBe(at < 20);
      if (messages.length <= 20) continue;
      sawOld = true;
      expect((await ask(`${box.sandbox.instagramUrl}/${messages[20].id}?fields=message`, token)).body.error.code).toBe(
        9000001,
      );
      expect((await ask(`${box.sandbox.instagramUrl}/${messages[0].id}?fields=message`, token)).body.message).toBe(
        messages[0].message,
      );
    }
    expect(sawOld).toBe(true);
  });

  test("openSandbox() pages messages by the nested cursor and hides other accounts' threads", async () => {
    await using box = await openTestSandbox();
    const { conversations } = await listAll(box.sandbox, "me", "instagram", 100);
    const { token } = accountOf(box.sandbox, 0);
    const id = conversations[3].id;
    const page = async (modifier: string) =>
      (await ask(`${box.sandbox.instagramUrl}/${id}?fields=messages${modifier}{id}`, token)).body.messages;
    const all = (await page(".limit(100)")).data;
    const first = await page(".limit(2)");
    const second = await page(`.limit(2).after(${first.paging.cursors.after})`);
    expect([...first.data, ...second.data]).toEqual(all.slice(0, 4));
    const other = await ask(`${box.sandbox.facebookUrl}/${id}?fields=id`, accountOf(box.sandbox, 1).token);
    expect(other.body.error).toMatchObject({ code: 100, error_subcode: 33 });
  });
});

describe("openSandbox() inbox by hand", () => {
  const list = (sandbox: Sandbox, parameters = "") => {
    const { token } = accountOf(sandbox, 0);
    return ask(`${sandbox.instagramUrl}/v26.0/me/conversations?${query}${parameters}`, token);
  };

  test("openSandbox() wants less data for long pages, or for a chosen thread in them", async () => {
    await using box = await openTestSandbox({ people: 60 });
    const { sandbox } = box;
    sandbox.setListPageMax(20);
    expect((await list(sandbox, "&limit=21")).body.error).toMatchObject({ code: 1 });
    expect((await list(sandbox, "&limit=20")).body.data).toHaveLength(20);
    sandbox.setListPageMax(null);
    const much = personOf(sandbox, 0, 30).id;
    sandbox.setThreadTwist(much, "too_much");
    expect((await list(sandbox, "&limit=30")).body.data).toHaveLength(30);
    expect(await list(sandbox, "&limit=31")).toMatchObject({ status: 500, body: { error: { code: 1 } } });
    const { token } = accountOf(sandbox, 0);
    const { id } = (await list(sandbox, `&user_id=${much}`)).body.data[0];
    const messages = (limit: number) => ask(`${sandbox.instagramUrl}/${id}?fields=messages.limit(${limit}){id}`, token);
    expect((await messages(20)).body.error).toMatchObject({ code: 1 });
    expect((await messages(10)).status).toBe(200);
  });

  test("openSandbox() shows odd participants, and threads that are listed and cannot be read", async () => {
    await using box = await openTestSandbox({ people: 10 });
    const { sandbox } = box;
    const { instagramId, appScopedId, token } = accountOf(sandbox, 0);
    const twists = ["group", "no_participants", "null_side", "own_app_scoped", "nameless", "no_time"] as const;
    for (const [at, twist] of twists.entries()) sandbox.setThreadTwist(personOf(sandbox, 0, at).id, twist);
    const threads = (await list(sandbox)).body.data;
    expect(threads[0].participants.data).toHaveLength(3);
    expect(threads[1].participants).toBeNull();
    expect(threads[2].participants.data[1]).toBeNull();
    expect(threads[3].participants.data[0].id).toBe(appScopedId);
    expect(threads[4].participants.data[1]).toEqual({ id: personOf(sandbox, 0, 4).id });
    expect(threads[5]).not.toHaveProperty("updated_time");
    expect(threads[6].participants.data[0].id).toBe(instagramId);
    for (const [twist, code] of [
      ["missing", 100],
      ["fails", 2],
      ["permission", 10],
    ] as const) {
      sandbox.setThreadTwist(personOf(sandbox, 0, 7).id, twist);
      expect((await ask(`${sandbox.instagramUrl}/${threads[7].id}?fields=messages`, token)).body.error.code).toBe(code);
      expect((await list(sandbox)).body.data).toHaveLength(10);
    }
    sandbox.setThreadTwist(personOf(sandbox, 0, 7).id, null);
    expect((await ask(`${sandbox.instagramUrl}/${threads[7].id}?fields=messages`, token)).status).toBe(200);
  });

  test("openSandbox() refuses cursors that have expired", async () => {
    await using box = await openTestSandbox({ people: 30 });
    const { after } = (await list(box.sandbox, "&limit=10")).body.paging.cursors;
    expect((await list(box.sandbox, `&limit=10&after=${after}`)).status).toBe(200);
    box.sandbox.expireCursors();
    expect((await list(box.sandbox, `&limit=10&after=${after}`)).body.error.code).toBe(100);
    expect((await list(box.sandbox, "&limit=10")).status).toBe(200);
  });

  test("openSandbox() lists what webhooks brought among a thread's messages, by the same ids", async () => {
    await using receiver = openReceiver();
    await using box = await openTestSandbox({ people: 3, webhookUrl: receiver.url });
    const { sandbox, manual } = box;
    const person = personOf(sandbox, 0, 2).id;
    for (const kind of ["text", "echo", "images", "edit"] as const) {
      manual.pass(1_000);
      await sandbox.deliver({ count: 1, personIds: [person], kinds: [kind] });
    }
    const { token, instagramId } = accountOf(sandbox, 0);
    const { id, updated_time } = (await list(sandbox)).body.data[0];
    const read = async () =>
      (
        await ask(
          `${sandbox.instagramUrl}/${id}?fields=messages.limit(3){id,created_time,from,message,attachments}`,
          token,
        )
      ).body.messages.data;
    const [images, echo, text] = await read();
    const items = receiver.bodies().map(({ entry }) => entry[0].messaging[0]);
    expect([text.id, echo.id, images.id]).toEqual(items.slice(0, 3).map(({ message }) => message.mid));
    expect([text.from.id, echo.from.id]).toEqual([person, instagramId]);
    expect(images.message).toBe(items[3].message_edit.text);
    expect(images.attachments.data).toHaveLength(3);
    expect(Date.parse(updated_time)).toBeGreaterThan(Date.parse(text.created_time));
    await sandbox.deliver({ count: 1, personIds: [person], kinds: ["delete"] });
    expect((await read()).slice(0, 2).map((message: Json) => message.id)).toEqual([echo.id, text.id]);
  });

  test("openSandbox() pulls these levers over HTTP too, and refuses what they do not know", async () => {
    await using box = await openTestSandbox({ people: 30 });
    const { sandbox } = box;
    const pull = async (body: unknown) =>
      (await ask(`${sandbox.origin}/sandbox/inbox`, null, { method: "POST", body: JSON.stringify(body) })).status;
    const personId = personOf(sandbox, 0, 0).id;
    expect(await pull({ personId, twist: "no_participants" })).toBe(200);
    expect((await list(sandbox)).body.data[0].participants).toBeNull();
    expect(await pull({ personId, twist: null })).toBe(200);
    expect((await list(sandbox)).body.data[0].participants.data).toHaveLength(2);
    expect(await pull({ listPageMax: 5 })).toBe(200);
    expect((await list(sandbox)).status).toBe(500);
    expect(await pull({ listPageMax: null })).toBe(200);
    const { after } = (await list(sandbox, "&limit=10")).body.paging.cursors;
    expect(await pull({ expireCursors: true })).toBe(200);
    expect((await list(sandbox, `&after=${after}`)).status).toBe(400);
    for (const body of [{}, { personId, twist: "nonsense" }, { listPageMax: 0 }, { listPageMax: "5" }, 7])
      expect(await pull(body)).toBe(400);
  });
});
