import { describe, expect, test } from "bun:test";
import { buildProof } from "../../src/graph/graph-request.ts";
import { shop } from "../cache/profiles.ts";
import { direct, never, page } from "./ask-graph.ts";
import { createTestClient, openGraphServer, secret, token } from "./graph-server.ts";

describe("fetchSelf()", () => {
  test("reads the webhook's id of an Instagram token, wrapped or not, never the app's own", async () => {
    const self = { id: "9990001112223334", user_id: "17841400000000001", username: "my_shop" };
    for (const body of [self, { data: [self] }]) {
      await using server = openGraphServer(() => Response.json(body));
      expect(await createTestClient(server.url).fetchSelf(direct, never)).toEqual({
        kind: "found",
        self: { accountId: shop, scopedId: "9990001112223334", pageId: null, username: "my_shop" },
      });
      expect(server.seen[0]?.url).not.toContain(token);
      expect(server.seen[0]?.path).toBe("/v26.0/me");
      expect(server.seen[0]?.search.has("appsecret_proof")).toBe(false);
    }
    await using server = openGraphServer(() => Response.json({ id: "9990001112223334" }));
    expect(await createTestClient(server.url).fetchSelf(direct, never)).toMatchObject({ reason: "bad_answer" });
  });

  test("reads the Page and the account linked to it", async () => {
    const linked = { id: "645", name: "Shop", instagram_business_account: { id: shop, username: "my_shop" } };
    await using server = openGraphServer(() => Response.json(linked));
    expect(await createTestClient(server.url).fetchSelf(page, never)).toEqual({
      kind: "found",
      self: { accountId: shop, scopedId: null, pageId: "645", username: "my_shop" },
    });
    expect(server.seen[0]?.search.get("appsecret_proof")).toBe(buildProof(secret, token));
    expect(server.seen[0]?.url).not.toContain(token);
    await using alone = openGraphServer(() => Response.json({ id: "645", name: "Shop" }));
    expect(await createTestClient(alone.url).fetchSelf(page, never)).toMatchObject({ reason: "page_not_linked" });
    await using dead = openGraphServer(() => Response.json({ error: { code: 190 } }, { status: 400 }));
    expect(await createTestClient(dead.url).fetchSelf(page, never)).toMatchObject({ reason: "token_dead" });
  });
});
