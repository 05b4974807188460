import { describe, expect, test } from "bun:test";
import postgres from "postgres";
import { ask, openFolder, runProgram, startDaemon, until } from "../support/program.ts";
import { openTestDatabase, openTestRedis } from "../support/test-services.ts";

type Person = { id: string; username: string; name: string | null; hasPicture: boolean; trouble: string | null };
type World = {
  accounts: {
    instagramId: string;
    username: string;
    login: string;
    pageId: string | null;
    token: string;
    people: Person[];
  }[];
};
type Row = {
  account_id: string;
  participant_platform_id: string;
  participant_username: string | null;
  participant_name: string | null;
  participant_profile_pic: string | null;
  profile_status: string;
  unread_count: number;
};

const secret = "a-real-looking-app-secret";

describe("social-sync on Postgres and Redis", () => {
  test("names the first account's people by itself, and a second account's by backfill: the tables equal the sandbox's world", async () => {
    await using database = await openTestDatabase();
    await using redis = await openTestRedis();
    using folder = openFolder();
    const sql = postgres(database.url, { max: 1, onnotice() {} });
    const env = {
      SOCIAL_SYNC_DATA_DIR: folder.path,
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      META_APP_SECRET: secret,
    };
    try {
      await using daemon = await startDaemon(
        ["--sandbox", "--sandbox-accounts", "1", "--messages-per-second", "0", "--people", "60", "--latency-ms", "20"],
        env,
      );
      const world = await ask<World>(`${daemon.sandboxUrl}/sandbox/world`);
      const [first, second] = world.accounts;
      if (first === undefined || second === undefined) throw new Error("The sandbox has fewer than two accounts");
      for (const [accountIndex, { people }] of world.accounts.entries())
        await ask(`${daemon.sandboxUrl}/sandbox/deliver`, {
          accountIndex,
          count: people.length,
          personIds: people.map(({ id }) => id),
          kinds: ["text"],
          batchSize: 7,
          duplicateShare: 0.1,
          reorder: true,
        });
      const rows = (account: string) =>
        sql<Row[]>`select * from conversations where account_id = ${account} order by participant_platform_id`;
      const waiting = async (account: string) =>
        (await sql`select 1 from conversations where account_id = ${account} and profile_status = 'pending'`).length;

      await until(
        async () => (await rows(first.instagramId)).length === 60 && (await waiting(first.instagramId)) === 0,
        30_000,
        () => daemon.output.err,
      );
      expectWorld(await rows(first.instagramId), first.people);
      // Nobody has added the second account: its messages are kept, its people are numbers, and it says why.
      await until(async () => (await waiting(second.instagramId)) === 0, 20_000);
      const blocked = await rows(second.instagramId);
      expect(blocked).toHaveLength(60);
      for (const row of blocked)
        expect(row).toMatchObject({ participant_username: null, profile_status: "account_blocked" });

      const command = {
        ...env,
        SOCIAL_SYNC_DATA_DIR: `${folder.path}/sandbox`,
        GRAPH_INSTAGRAM_URL: `${daemon.sandboxUrl}/graph.instagram.com`,
        GRAPH_FACEBOOK_URL: `${daemon.sandboxUrl}/graph.facebook.com`,
      };
      const added = await runProgram(
        [
          "accounts",
          "add",
          "--instagram-id",
          second.instagramId,
          "--login",
          second.login,
          "--page-id",
          second.pageId ?? "",
          "--account-id",
          "second-shop",
          "--token-file",
          "-",
          "--verify",
        ],
        command,
        `${second.token}\n`,
      );
      expect(added).toMatchObject({ code: 0 });
      expect(added.out + added.err).not.toContain(second.token);

      await ask(`${daemon.sandboxUrl}/sandbox/calls/reset`, {});
      const run = await runProgram(["backfill", "--account-id", "second-shop"], command);
      expect(run.err + run.out).toContain("Backfill job ");
      expect([0, 2]).toContain(run.code);
      await until(async () => (await waiting(second.instagramId)) === 0, 20_000);
      expectWorld(await rows(second.instagramId), second.people);
      // Sixty people of a page account are two batch requests; a third only where the daemon took some of them up.
      const { counts } = await ask<{ counts: { profileRequests: number } }>(`${daemon.sandboxUrl}/sandbox/calls`);
      expect(counts.profileRequests).toBeLessThanOrEqual(6);

      const unknown = await runProgram(["backfill", "--account-id", "second-shap"], command);
      expect(unknown.code).toBe(1);
      expect(unknown.err).toContain("second-shop");

      daemon.signal("SIGTERM");
      const ended = await daemon.ended;
      expect(ended.code).toBe(0);
      for (const hidden of [secret, first.token, second.token])
        expect(ended.err + ended.out + run.err + run.out).not.toContain(hidden);
      const [sealed] = await sql`select token_sealed from accounts where own_id = 'second-shop'`;
      expect(sealed?.token_sealed).toStartWith("v1.");
    } finally {
      await sql.end();
    }
  }, 120_000);
});

/** What the tables must say of each person, from the sandbox's own description of them. */
function expectWorld(rows: readonly Row[], people: readonly Person[]) {
  const sorted = [...people].sort((a, b) => (a.id < b.id ? -1 : 1));
  expect(rows.map((row) => row.participant_platform_id)).toEqual(sorted.map((person) => person.id));
  for (const [at, person] of sorted.entries()) {
    const row = rows[at];
    expect(row?.unread_count).toBe(1);
    if (person.trouble !== null) continue; // each trouble has a test of its own
    expect(row).toMatchObject({
      participant_username: person.username,
      participant_name: person.name,
      profile_status: person.hasPicture ? "complete" : "no_picture",
    });
    expect(row?.participant_profile_pic !== null).toBe(person.hasPicture);
  }
}
