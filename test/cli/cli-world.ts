/** A database with accounts and people, and a small Graph on the loopback: what a backfill needs. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openTestRepositories } from "../support/test-repositories.ts";
import { runCli } from "./run-cli.ts";

export const shopId = "17841400000000001";
export const shopToken = `IGAA${"x9Qz".repeat(36)}`;

export type Graph = ReturnType<typeof openLoopbackGraph>;

/** Answers profile calls for anybody; `answer` can say something else about a person. */
function openLoopbackGraph() {
  const state = {
    latencyMs: 0,
    calls: 0,
    /** Calls of the inbox, which is empty here. */
    listCalls: 0,
    selfId: shopId,
    answer: (_: string): Response | null => null,
  };
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const id = new URL(request.url).pathname.split("/").at(-1) ?? "";
      if (id === "me") {
        if (request.headers.get("authorization") !== `Bearer ${shopToken}`) return refusal(190, 401);
        return Response.json({ id: "29900000000000001", user_id: state.selfId, username: "shop.official" });
      }
      if (id === "conversations") {
        state.listCalls += 1;
        return Response.json({ data: [] });
      }
      state.calls += 1;
      if (state.latencyMs > 0) await Bun.sleep(state.latencyMs);
      return state.answer(id) ?? Response.json({ id, username: `user.${id}`, name: `Person ${id}` });
    },
  });
  return Object.assign(state, {
    url: `http://127.0.0.1:${server.port}`,
    [Symbol.asyncDispose]: () => server.stop(true),
  });
}

export function refusal(code: number, status = 400): Response {
  return Response.json({ error: { message: "refused", type: "OAuthException", code } }, { status });
}

export type CliWorld = Awaited<ReturnType<typeof openCliWorld>>;

/** Opens all of it. The account `shop` is added by the program itself. */
export async function openCliWorld() {
  await using opening = new AsyncDisposableStack();
  const repositories = opening.use(await openTestRepositories());
  const graph = opening.use(openLoopbackGraph());
  const folder = mkdtempSync(join(tmpdir(), "social-sync-cli-"));
  opening.defer(() => rmSync(folder, { recursive: true, force: true }));
  const tokenFile = join(folder, "token.txt");
  writeFileSync(tokenFile, `${shopToken}\n`, { mode: 0o600 });
  const env = {
    DATABASE_URL: repositories.url ?? "",
    SOCIAL_SYNC_DATA_DIR: join(folder, "data"),
    SOCIAL_SYNC_ENCRYPTION_KEY: "07".repeat(32),
    GRAPH_INSTAGRAM_URL: graph.url,
    GRAPH_FACEBOOK_URL: graph.url,
  };
  const owned = opening.move();
  return {
    env,
    graph,
    folder,
    tokenFile,
    repositories,
    run: (...args: string[]) => runCli(args, { env }),
    addShop: (...more: string[]) =>
      runCli(
        ["accounts", "add", "--instagram-id", shopId, "--login", "instagram", "--token-file", tokenFile, ...more],
        { env },
      ),
    /** `count` people write to the shop; nobody knows them yet. */
    fill: (count: number) =>
      repositories.database.query(
        `insert into conversations (account_id, participant_platform_id, last_message_at, last_inbound_at)
         select '${shopId}', (900000000000000 + n)::text, now() - n * interval '1 s', now() from generate_series(1, ${count}) n`,
        [],
        "fill the conversations",
      ),
    empty: () => repositories.empty(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
