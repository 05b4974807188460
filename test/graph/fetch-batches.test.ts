import { describe, expect, test } from "bun:test";
import { aloneMax } from "../../src/graph/graph-client.ts";
import { createLog } from "../../src/lib/log.ts";
import { participantIdOf } from "../cache/profiles.ts";
import { ask, idsOf, page } from "./ask-graph.ts";
import {
  createTestClient,
  errorItem,
  foundItem,
  openGraphServer,
  type Reply,
  readBatchIds,
  secret,
  token,
} from "./graph-server.ts";

const batchOf =
  (items: (ids: string[]) => unknown): Reply =>
  ({ body }) =>
    Response.json(items(readBatchIds(body)));

describe("fetchProfiles() with a Page's token", () => {
  test("asks 50 people in one POST, with the token in no URL and the proof at top level", async () => {
    await using server = openGraphServer(batchOf((ids) => ids.map(foundItem)));
    const lines: string[] = [];
    const log = createLog("debug", (...line) => void lines.push(JSON.stringify(line)));
    const { said, callsMade, answers } = await ask(createTestClient(server.url, { log }), page, idsOf(50));
    expect(said).toEqual(Array(50).fill("found"));
    expect(answers.get(participantIdOf("1007"))).toMatchObject({ profile: { username: "user.1007" } });
    expect([callsMade, server.seen.length]).toEqual([50, 1]);
    const [seen] = server.seen;
    const form = new URLSearchParams(seen?.body);
    expect(`${seen?.method} ${seen?.path}`).toBe("POST /v26.0/");
    expect(form.get("include_headers")).toBe("false");
    expect(form.get("access_token")).toBe(token);
    expect(form.get("appsecret_proof")).toBe("2f6c99f265a9e1644d725e8f9c96e439fcbf40a73357d1d98ba8b98fbfe445e4");
    expect(seen?.headers.get("authorization")).toBe(`Bearer ${token}`);
    const batch: unknown[] = JSON.parse(form.get("batch") ?? "");
    expect(batch[0]).toEqual({ method: "GET", relative_url: "v26.0/1000?fields=name,username,profile_pic" });
    expect([seen?.url, form.get("batch"), ...lines].join()).not.toContain(token);
    expect(lines.join()).not.toContain(secret);
    expect(lines.length).toBe(1);
  });

  test("splits a longer list, and runs the batches with bounded concurrency", async () => {
    await using server = openGraphServer(async ({ body }) => {
      await Bun.sleep(30);
      return Response.json(readBatchIds(body).map(foundItem));
    });
    const client = createTestClient(server.url, { batchConcurrencyMax: 2 });
    const { said } = await ask(client, page, idsOf(230));
    expect(said.filter((text) => text === "found").length).toBe(230);
    expect(server.seen.map(({ body }) => readBatchIds(body).length).sort()).toEqual([30, 50, 50, 50, 50]);
    expect(server.most.running).toBe(2);
  });

  test("asks an unfinished item again alone, once", async () => {
    await using server = openGraphServer(
      batchOf((ids) =>
        ids.length === 1 && ids[0] === "1001"
          ? ids.map(foundItem)
          : ids.map((id) => (id === "1000" ? foundItem(id) : null)),
      ),
    );
    const { said, callsMade } = await ask(createTestClient(server.url), page, idsOf(3));
    expect(said).toEqual(["found", "found", "failed not_answered"]);
    expect(server.seen.map(({ body }) => readBatchIds(body).join()).sort()).toEqual(["1000,1001,1002", "1001", "1002"]);
    expect(callsMade).toBe(5);
  });

  test("gives everybody behind an unfinished item their own answer", async () => {
    await using server = openGraphServer(
      batchOf((ids) =>
        ids.length === 1 ? ids.map(foundItem) : [null, errorItem(403, 230), ...ids.slice(2).map(foundItem)],
      ),
    );
    const { said } = await ask(createTestClient(server.url), page, idsOf(4));
    expect(said).toEqual(["found", "absent no_consent", "found", "found"]);
  });

  test("asks no more than a few again where Graph finishes nothing", async () => {
    await using server = openGraphServer(batchOf((ids) => ids.map(() => null)));
    const { said } = await ask(createTestClient(server.url), page, idsOf(50));
    expect(new Set(said)).toEqual(new Set(["failed not_answered"]));
    expect(server.seen.length).toBe(1 + aloneMax);
  });

  const [a, b, c] = ["1000", "1001", "1002"].map(foundItem);
  const shapes: readonly (readonly [string, unknown, string[]])[] = [
    ["mixed codes", [a, errorItem(403, 230), errorItem(400, 9010)], ["found", "absent no_consent", "absent gone"]],
    ["two that changed places", [b, a, c], ["failed wrong_person", "failed wrong_person", "found"]],
    [
      "an error among items that changed places",
      [errorItem(403, 230), c, b],
      ["failed not_answered", "failed wrong_person", "failed wrong_person"],
    ],
    ["a stranger's body", [a, foundItem("999"), c], ["found", "failed wrong_person", "found"]],
    ["an item too few", [a, c], ["found", "failed not_answered", "found"]],
    ["an item too many", [a, errorItem(403, 230), b, c], ["found", "found", "found"]],
    ["errors that belong to nobody", [errorItem(403, 230)], Array(3).fill("failed not_answered")],
    ["no items", [], Array(3).fill("failed not_answered")],
    [
      "items of a wrong kind",
      ["x", { code: 200 }, { code: 200, body: '{"id":"10' }],
      ["failed bad_answer", "failed bad_answer", "failed bad_answer"],
    ],
    ["an item's 5xx", [a, { code: 502, body: "<html>" }, c], ["found", "failed server_error", "found"]],
    ["an item's 200 with an error", [a, errorItem(200, 190), c], ["found", "blocked token_dead", "found"]],
    ["a bare string", "OK", Array(3).fill("failed bad_answer")],
    ["an object", { data: [] }, Array(3).fill("failed bad_answer")],
    ["null", null, Array(3).fill("failed bad_answer")],
    [
      "an item's own throttle code, whatever its status",
      [a, errorItem(400, 80006), errorItem(403, 4)],
      ["found", "throttled account", "throttled app"],
    ],
    ["an outer throttle", { error: { code: 4 } }, Array(3).fill("throttled app")],
    ["an outer dead token", { error: { code: 190 } }, Array(3).fill("blocked token_dead")],
    ["an outer 100", { error: { code: 100 } }, Array(3).fill("blocked proof_refused")],
    ["an outer 230, which is about nobody", { error: { code: 230 } }, Array(3).fill("failed unknown_code")],
  ];
  for (const [what, reply, expected] of shapes) {
    test(`reads ${what}`, async () => {
      await using server = openGraphServer(() => Response.json(reply));
      expect((await ask(createTestClient(server.url), page, idsOf(3))).said).toEqual(expected);
      expect(server.seen.length).toBe(1);
    });
  }

  test("sends no further batch once one says that the token is dead", async () => {
    await using server = openGraphServer(
      batchOf((ids) => ids.map((id) => (id === "1007" ? errorItem(400, 190, 460) : foundItem(id)))),
    );
    const { said, callsMade } = await ask(createTestClient(server.url, { batchConcurrencyMax: 1 }), page, idsOf(120));
    expect([server.seen.length, callsMade]).toEqual([1, 50]);
    expect(said.filter((text) => text === "found").length).toBe(49);
    expect(said.filter((text) => text === "blocked token_dead").length).toBe(71);
  });
});
