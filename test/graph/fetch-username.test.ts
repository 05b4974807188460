import { describe, expect, test } from "bun:test";
import { usernameLengthMax } from "../../src/domain/profile.ts";
import { participantIdOf } from "../cache/profiles.ts";
import { direct, never, page } from "./ask-graph.ts";
import { createTestClient, openGraphServer, token } from "./graph-server.ts";

const jane = participantIdOf("1234567890123456");
const thread = (...sides: unknown[]) => ({ data: [{ id: "aWdf", participants: { data: sides } }] });
const said = async (body: unknown, status = 200) => {
  await using server = openGraphServer(() => Response.json(body, { status }));
  return await createTestClient(server.url).fetchUsername(direct, jane, never);
};

describe("fetchUsername()", () => {
  test("asks the inbox of the account, or of its Page, and never shows the token in the address", async () => {
    await using server = openGraphServer(() =>
      Response.json(thread({ username: "my_shop", id: "17841400000000001" }, { username: "jane.doe", id: jane })),
    );
    const client = createTestClient(server.url);
    for (const access of [direct, page])
      expect(await client.fetchUsername(access, jane, never)).toEqual({ kind: "named", username: "jane.doe" });
    const [own, ofPage] = server.seen;
    expect([own?.path, ofPage?.path]).toEqual(["/v26.0/me/conversations", "/v26.0/645699000000000/conversations"]);
    expect(own?.search.get("platform")).toBe("instagram");
    expect(own?.search.get("user_id")).toBe(jane);
    expect([own?.search.has("appsecret_proof"), ofPage?.search.has("appsecret_proof")]).toEqual([false, true]);
    for (const seen of server.seen) expect(seen.url).not.toContain(token);
  });

  test("takes nobody else's name, and an empty inbox for an answer", async () => {
    expect(await said({ data: [] })).toEqual({ kind: "unknown" });
    expect(await said(thread({ username: "my_shop", id: "17841400000000001" }))).toEqual({ kind: "unknown" });
    expect(await said(thread({ id: jane }, null, 7, { username: "", id: jane }))).toEqual({ kind: "unknown" });
    expect(await said({ data: [null, { participants: null }] })).toEqual({ kind: "unknown" });
  });

  test("cleans the name and cuts it at the limit", async () => {
    const answer = await said(thread({ username: `\u202ea\u0000${"b".repeat(500)}`, id: jane }));
    expect(answer).toEqual({ kind: "named", username: `a${"b".repeat(usernameLengthMax - 1)}` });
  });

  test("classifies errors by code as everywhere", async () => {
    expect(await said({ error: { code: 9010 } }, 400)).toMatchObject({ kind: "absent", reason: "gone" });
    expect(await said({ error: { code: 613 } }, 200)).toMatchObject({ kind: "throttled", scope: "account" });
    expect(await said({ error: { code: 190 } }, 401)).toMatchObject({ kind: "blocked", reason: "token_dead" });
    expect(await said("words")).toMatchObject({ kind: "failed", reason: "bad_answer" });
    expect(await said({}, 502)).toMatchObject({ kind: "failed", reason: "server_error" });
  });
});
