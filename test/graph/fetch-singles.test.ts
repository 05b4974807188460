import { describe, expect, test } from "bun:test";
import { bodyBytesMax } from "../../src/graph/fetch-reply.ts";
import { participantIdOf } from "../cache/profiles.ts";
import { ask, direct, idsOf, never, page } from "./ask-graph.ts";
import { createTestClient, openGraphServer, profileBody, token } from "./graph-server.ts";

describe("fetchProfiles() with Instagram Login", () => {
  test("asks one GET each, no more than the bound at a time, over connections that stay open", async () => {
    await using server = openGraphServer(async ({ path }) => {
      await Bun.sleep(10);
      return Response.json(profileBody(path.slice("/v26.0/".length)));
    });
    const client = createTestClient(server.url, { concurrencyMax: 4 });
    const [one, other] = await Promise.all([ask(client, direct, idsOf(30)), ask(client, direct, idsOf(20))]);
    expect(new Set([...one.said, ...other.said])).toEqual(new Set(["found"]));
    expect([one.callsMade, server.most.running]).toEqual([30, 4]);
    expect(new Set(server.seen.map(({ port }) => port)).size).toBeLessThanOrEqual(8);
    for (const { url, search, headers } of server.seen) {
      expect(Object.fromEntries(search)).toEqual({ fields: "name,username,profile_pic" });
      expect(headers.get("authorization")).toBe(`Bearer ${token}`);
      expect(url).not.toContain(token);
    }
  });

  test("a host that hangs takes no places of the other host's calls", async () => {
    const hung = Promise.withResolvers<void>();
    await using server = openGraphServer(async ({ path }) => {
      if (path.endsWith("/conversations")) return Response.json({ data: [] });
      await hung.promise;
      return Response.json(profileBody(path.slice("/v26.0/".length)));
    });
    const client = createTestClient(server.url, { concurrencyMax: 1 });
    const hanging = ask(client, direct, idsOf(2));
    expect(await client.fetchUsername(page, participantIdOf("5000"), never)).toEqual({ kind: "unknown" });
    hung.resolve();
    expect((await hanging).said).toEqual(["found", "found"]);
  });

  test("asks for the documented extras where they are switched on", async () => {
    await using server = openGraphServer(() => Response.json(profileBody("1000")));
    await ask(createTestClient(server.url, { extraFields: ["follower_count"] }), direct, idsOf(1));
    expect(server.seen[0]?.search.get("fields")).toBe("name,username,profile_pic,follower_count");
  });

  for (const [code, said] of [
    [190, "blocked token_dead"],
    [80002, "throttled account"],
    [4, "throttled app"],
  ] as const) {
    test(`holds the rest back once an answer says ${code}`, async () => {
      const usage = { "X-Business-Use-Case-Usage": '{"1":[{"call_count":104,"estimated_time_to_regain_access":9}]}' };
      await using server = openGraphServer(() => Response.json({ error: { code } }, { status: 400, headers: usage }));
      const result = await ask(createTestClient(server.url, { concurrencyMax: 2 }), direct, idsOf(40));
      expect(result.said).toEqual(Array(40).fill(said));
      expect(result.usage).toEqual({ percent: 104, regainMs: 540_000 });
      expect(server.seen.length).toBeLessThanOrEqual(2);
      expect(result.callsMade).toBe(server.seen.length);
      const first = result.answers.get(participantIdOf("1000"));
      if (first?.kind === "throttled") expect(first.resumeInMs).toBe(540_000);
    });
  }

  test("goes on after answers about one person", async () => {
    await using server = openGraphServer(() => Response.json({ error: { code: 230 } }, { status: 403 }));
    expect((await ask(createTestClient(server.url), direct, idsOf(20))).said).toEqual(
      Array(20).fill("absent no_consent"),
    );
    expect(server.seen.length).toBe(20);
  });

  test("asks each id once, and never one that would climb in the path", async () => {
    await using server = openGraphServer(() => Response.json(profileBody("1000")));
    const ids = ["1000", "..", "1000", "."].map(participantIdOf);
    expect((await ask(createTestClient(server.url), direct, ids)).said).toEqual([
      "found",
      "absent invalid_id",
      "absent invalid_id",
    ]);
    expect(server.seen.length).toBe(1);
    expect((await ask(createTestClient(server.url), direct, [])).said).toEqual([]);
  });

  test("keeps the name and tells of a picture at a foreign address, and takes the sandbox's own", async () => {
    await using server = openGraphServer(({ path, url }) => {
      const id = path.slice("/v26.0/".length);
      const own = `${new URL(url).origin}/p.png`;
      return Response.json({ ...profileBody(id), profile_pic: id === "1000" ? own : "http://127.0.0.1:1/p.png" });
    });
    const { answers, pictureRefused } = await ask(createTestClient(server.url), direct, idsOf(2));
    expect(pictureRefused).toEqual([participantIdOf("1001")]);
    expect(answers.get(participantIdOf("1000"))).toMatchObject({ profile: { pictureUrl: `${server.url}/p.png` } });
    expect(answers.get(participantIdOf("1001"))).toMatchObject({ profile: { name: "Name 1001", pictureUrl: null } });
  });

  const html = { headers: { "content-type": "text/html" } };
  const odd: readonly (readonly [string, () => Response, string])[] = [
    ["HTML", () => new Response("<html>blocked</html>", html), "failed bad_answer"],
    ["HTML with a 502", () => new Response("<html>", { status: 502, ...html }), "failed server_error"],
    ["JSON with a 503 and no error", () => Response.json({}, { status: 503 }), "failed server_error"],
    ["a bare string", () => Response.json("OK"), "failed bad_answer"],
    ["nothing", () => new Response(""), "failed bad_answer"],
    ["cut off JSON", () => new Response('{"id":"1000","name":"Ja'), "failed bad_answer"],
    ["a 200 with an error", () => Response.json({ error: { code: 9010 } }), "absent gone"],
    ["a 429 without a code", () => new Response("slow down", { status: 429 }), "failed bad_answer"],
    ["a profile with a 404", () => Response.json(profileBody("1000"), { status: 404 }), "failed bad_answer"],
    ["a wrong id", () => Response.json(profileBody("1001")), "failed wrong_person"],
    ["a huge body", () => new Response(`{"id":"1000","name":"${"x".repeat(bodyBytesMax)}"}`), "failed bad_answer"],
    ["a body nested without end", () => new Response("[".repeat(1_000_000)), "failed bad_answer"],
  ];
  for (const [what, reply, expected] of odd) {
    test(`reads ${what}`, async () => {
      await using server = openGraphServer(reply);
      expect((await ask(createTestClient(server.url), direct, idsOf(1))).said).toEqual([expected]);
    });
  }

  test("stops reading a body that has no end", async () => {
    let sent = 0;
    const piece = new Uint8Array(256 * 1024).fill(0x20);
    const endless = () =>
      new ReadableStream({
        async pull(controller) {
          sent += piece.byteLength;
          await Bun.sleep(1);
          controller.enqueue(piece);
        },
      });
    await using server = openGraphServer(() => new Response(endless()));
    expect((await ask(createTestClient(server.url), direct, idsOf(1))).said).toEqual(["failed bad_answer"]);
    await Bun.sleep(100);
    expect(sent).toBeLessThan(10 * bodyBytesMax);
  });

  test("follows no redirect", async () => {
    await using inside = openGraphServer(() => Response.json(profileBody("1000")));
    for (const status of [301, 302, 303, 307, 308]) {
      await using server = openGraphServer(() => Response.redirect(`${inside.url}/v26.0/1000`, status));
      expect((await ask(createTestClient(server.url), direct, idsOf(1))).said).toEqual(["failed bad_answer"]);
      expect((await ask(createTestClient(server.url), page, idsOf(1))).said).toEqual(["failed bad_answer"]);
    }
    expect(inside.seen.length).toBe(0);
  });
});
