import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import type { ConversationId } from "../../src/domain/ids.ts";
import { createLookupsRepository } from "../../src/repository/lookups.ts";
import { openTestRepositories } from "../support/test-repositories.ts";

for (const kind of ["postgres", "embedded"] as const) {
  describe(`createLookupsRepository() on ${kind}`, async () => {
    const db = await openTestRepositories(kind);
    afterAll(() => db[Symbol.asyncDispose]());
    const first = createLookupsRepository(db.database, "folder-a");
    const other = createLookupsRepository(db.database, "folder-b");
    const command = db.lookups;
    const ids = (...people: string[]) => people.map((person) => `1_${person}` as ConversationId);

    beforeEach(async () => {
      await db.empty();
      await db.database.query(
        `insert into conversations (account_id, participant_platform_id, profile_status, next_attempt_at, last_message_at,
          last_inbound_at)
        select '1', n::text, 'pending', now() - interval '1 second', now(), now() from generate_series(1, 6) n`,
        [],
        "fill",
      );
    });

    test("releaseOwned() gives back what its folder's last daemon held, and nobody else's", async () => {
      const [dead] = await first.claimLookups(ids("1", "2"), false);
      await other.claimLookups(ids("3"), false);
      await command.claimLookups(ids("4"), false);
      const successor = createLookupsRepository(db.database, "folder-a");
      expect(await successor.releaseOwned()).toBe(2);
      expect(await successor.releaseOwned()).toBe(0);
      expect(await command.releaseOwned()).toBe(0);
      const claims = await successor.claimLookups(ids("1", "2", "3", "4"), false);
      expect(claims.map(({ kind }) => kind)).toEqual(["taken", "taken", "held", "held"]);
      // Whoever comes back from the dead all the same is fenced off by the lease's token.
      if (dead?.kind !== "taken") throw new Error("The first claim took nobody");
      const late = { kind: "later", reason: "timeout", attempts: 1, retryInMs: 1_000, evidence: null } as const;
      expect(await first.saveOutcomes([{ lookup: dead.lookup, outcome: late }])).toEqual([]);
    });

    test("releaseOwned() leaves alone what has ended", async () => {
      const [claim] = await first.claimLookups(ids("5"), false);
      if (claim?.kind !== "taken") throw new Error("The claim took nobody");
      await first.releaseLookups([claim.lookup]);
      expect(await first.releaseOwned()).toBe(0);
      expect((await first.listDue(10)).length).toBe(6);
    });
  });
}
