import { describe, expect, test } from "bun:test";
import type { Sandbox } from "../../src/sandbox/sandbox.ts";
import { accountOf, ask, openTestSandbox, personOf } from "./open-test-sandbox.ts";

const fields = "fields=name,username,profile_pic";
const itemOf = (id: string) => ({ method: "GET", relative_url: `v26.0/${id}?${fields}` });

function post(sandbox: Sandbox, items: unknown, extra: Record<string, string> = {}, form: "form" | "json" = "form") {
  const { token } = accountOf(sandbox, 1);
  const parameters = { access_token: token, include_headers: "false", ...extra };
  const body =
    form === "json"
      ? JSON.stringify({ batch: items, ...parameters })
      : new URLSearchParams({ batch: JSON.stringify(items), ...parameters }).toString();
  const type = form === "json" ? "application/json" : "application/x-www-form-urlencoded";
  return ask(`${sandbox.facebookUrl}/v26.0/`, null, { method: "POST", body, headers: { "Content-Type": type } });
}

describe("openSandbox() batches", () => {
  for (const form of ["form", "json"] as const) {
    test(`openSandbox() answers a batch of 50 in a ${form} body in order, with string bodies and codes per item`, async () => {
      await using box = await openTestSandbox({ people: 60 });
      const { people } = accountOf(box.sandbox, 1);
      const ids = people.slice(0, 48).map(({ id }) => id);
      const all = [...ids, "9990000000000230", "1234567890123456"];
      const { status, body } = await post(box.sandbox, all.map(itemOf), {}, form);
      expect(status).toBe(200);
      expect(body).toHaveLength(50);
      for (const [at, id] of ids.entries()) {
        expect(body[at].code).toBe(200);
        expect(typeof body[at].body).toBe("string");
        expect(body[at].headers).toBeUndefined();
        expect(JSON.parse(body[at].body).id).toBe(id);
      }
      expect(body[48].code).toBe(403);
      expect(JSON.parse(body[48].body).error.code).toBe(230);
      expect(JSON.parse(body[49].body).error).toMatchObject({ code: 100, error_subcode: 2534014 });
      expect(box.sandbox.calls.profileRequests).toBe(1);
      expect(box.sandbox.calls.profileItems).toBe(50);
    });
  }

  test("openSandbox() refuses a batch of 51, an empty one, one that is no list, and any on graph.instagram.com", async () => {
    await using box = await openTestSandbox();
    const { id } = personOf(box.sandbox, 1, 0);
    const tooMany = await post(
      box.sandbox,
      Array.from({ length: 51 }, () => itemOf(id)),
    );
    expect(tooMany.status).toBe(400);
    expect(tooMany.body.error).toBeDefined();
    expect((await post(box.sandbox, [])).body.error).toBeDefined();
    expect((await post(box.sandbox, "x")).body.error).toBeDefined();
    const { token } = accountOf(box.sandbox, 0);
    const instagram = await ask(`${box.sandbox.instagramUrl}/v26.0/`, token, {
      method: "POST",
      body: new URLSearchParams({ batch: JSON.stringify([itemOf(personOf(box.sandbox, 0, 0).id)]) }),
    });
    expect(instagram.status).toBe(400);
    expect(instagram.body.error.code).toBe(100);
  });

  test("openSandbox() answers null for an item that was not finished in time, and the person the next time", async () => {
    await using box = await openTestSandbox();
    const items = [itemOf(personOf(box.sandbox, 1, 0).id), itemOf("9990000000000930")];
    const first = await post(box.sandbox, items);
    expect(first.body[0].code).toBe(200);
    expect(first.body[1]).toBeNull();
    const second = await post(box.sandbox, items);
    expect(JSON.parse(second.body[1].body).id).toBe("9990000000000930");
  });

  test("openSandbox() answers batches that do not fit: an item short, one too many, two swapped", async () => {
    await using box = await openTestSandbox();
    const [one, two] = [personOf(box.sandbox, 1, 0).id, personOf(box.sandbox, 1, 1).id];
    const idsOf = async (suffix: string) => {
      const { body } = await post(box.sandbox, [one, `9990000000000${suffix}`, two].map(itemOf));
      return body.map((item: { body: string }) => JSON.parse(item.body).id);
    };
    expect(await idsOf("931")).toEqual([one, two]);
    expect(await idsOf("932")).toEqual([one, "9990000000000932", "9990000000000932", two]);
    expect(await idsOf("933")).toEqual(["9990000000000933", one, two]);
  });

  test("openSandbox() answers a plain error object to a batch with a dead token or a wrong proof", async () => {
    await using box = await openTestSandbox();
    const items = [itemOf(personOf(box.sandbox, 1, 0).id)];
    const unknown = await post(box.sandbox, items, { access_token: "EAAunknown" });
    expect(Array.isArray(unknown.body)).toBe(false);
    expect(unknown.body.error.code).toBe(190);
    expect((await post(box.sandbox, items, { appsecret_proof: "f".repeat(64) })).body.error.code).toBe(100);
    box.sandbox.setAccountTrouble(1, "token_password_changed");
    expect((await post(box.sandbox, items)).body.error).toMatchObject({ code: 190, error_subcode: 460 });
  });

  test("openSandbox() counts each item, throttles items in the middle and then the whole batch", async () => {
    await using box = await openTestSandbox({ ratePerWindow: 5, windowMs: 60_000 });
    const { people } = accountOf(box.sandbox, 1);
    const items = people.slice(0, 8).map(({ id }) => itemOf(id));
    const { body, headers } = await post(box.sandbox, items);
    const codes = body.map((item: { body: string }) => JSON.parse(item.body).error?.code ?? 200);
    expect(codes).toEqual([200, 200, 200, 200, 200, 80006, 80006, 80006]);
    expect(headers.get("X-Business-Use-Case-Usage")).toContain('"call_count":100');
    expect(box.sandbox.calls.throttled).toBe(3);
    const whole = await post(box.sandbox, items);
    expect(whole.body.error.code).toBe(80006);
    expect(box.sandbox.calls.throttled).toBe(4);
    box.manual.pass(60_000);
    expect((await post(box.sandbox, items)).body[0].code).toBe(200);
  });

  test("openSandbox() adds headers to items unless told not to, and takes an item's own token", async () => {
    await using box = await openTestSandbox();
    const { id } = personOf(box.sandbox, 1, 0);
    const { body } = await post(
      box.sandbox,
      [itemOf(id), { method: "GET", relative_url: `${id}?access_token=EAAother` }],
      {
        include_headers: "true",
      },
    );
    expect(body[0].headers.map(({ name }: { name: string }) => name)).toContain("X-Business-Use-Case-Usage");
    expect(JSON.parse(body[1].body).error.code).toBe(190);
  });
});
