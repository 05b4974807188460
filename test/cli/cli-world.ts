/** A database with accounts and people, and a small Graph on the loopback: what a backfill needs. */
import { afterAll, beforeEach } from "bun:test";
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
    /** Calls of the inbox. */
    listCalls: 0,
    /** Conversations in it: with the first of those whom `fill()` makes. */
    inboxSize: 0,
    /** What the list answers instead. */
    answerList: (_call: number): Response | Promise<Response | null> | null => null,
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
        return (await state.answerList(state.listCalls)) ?? listInbox(new URL(request.url), state.inboxSize);
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

/** A page of the inbox, newest first; both sides stand in each thread. */
function listInbox({ searchParams }: URL, size: number): Response {
  const [from, limit] = [Number(searchParams.get("after") ?? "0"), Number(searchParams.get("limit") ?? "25")];
  const until = searchParams.has("user_id") ? 0 : Math.min(size, from + limit);
  const data = Array.from({ length: Math.max(0, until - from) }, (_, place) => {
    const id = `${900_000_000_000_001 + from + place}`;
    const people = [
      { id: shopId, username: "shop.official" },
      { id, username: `user.${id}` },
    ];
    return { id: `thread-${id}`, updated_time: new Date().toISOString(), participants: { data: people } };
  });
  return Response.json({
    data,
    ...(until < size && until > from ? { paging: { cursors: { after: `${until}` }, next: "https://x/" } } : {}),
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
    /** Empties the tables, and makes the Graph what it was. */
    empty: async () => {
      Object.assign(graph, { latencyMs: 0, calls: 0, listCalls: 0, inboxSize: 0 });
      graph.answer = () => null;
      graph.answerList = () => null;
      await repositories.empty();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Opens a world for the tests of a `describe`, closes it after them, and empties it before each; `fill` says what stands in it then. */
export async function useCliWorld(fill: (world: CliWorld) => unknown): Promise<CliWorld> {
  const world = await openCliWorld();
  afterAll(() => world[Symbol.asyncDispose]());
  beforeEach(async () => {
    await world.empty();
    await fill(world);
  });
  return world;
}
