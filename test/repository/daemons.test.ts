import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { silentForMs, silentRowsMax } from "../../src/repository/daemons.ts";
import { openTestRepositories } from "../support/test-repositories.ts";

for (const kind of ["postgres", "embedded"] as const) {
  describe(`createDaemonsRepository() on ${kind}`, async () => {
    const db = await openTestRepositories(kind);
    afterAll(() => db[Symbol.asyncDispose]());
    beforeEach(() => db.empty());
    const { beat, leave, countAlive } = db.daemons;
    const silence = (where: string, ms: number) =>
      db.database.query(
        `update daemons set heartbeat_at = now() - make_interval(secs => $1::float8 / 1000) where ${where}`,
        [ms],
        "pass the time",
      );

    test("beat() counts a daemon once, until it leaves", async () => {
      await Promise.all(["a", "b", "a", "a"].map(beat));
      expect(await countAlive(30_000)).toBe(2);
      await leave("a");
      await leave("a");
      expect(await countAlive(30_000)).toBe(1);
    });

    test("countAlive() leaves out who has been silent, and takes them in again", async () => {
      await beat("a");
      await beat("b");
      await silence("id = 'a'", 40_000);
      expect(await countAlive(30_000)).toBe(1);
      const [before] = await db.rows("daemons", "id");
      await beat("a");
      expect(await countAlive(30_000)).toBe(2);
      expect((await db.rows("daemons", "id"))[0]).toMatchObject({ started_at: before?.started_at });
    });

    test("beat() removes rows that have long been silent, some at a time, and never its own", async () => {
      await db.database.query(
        `insert into daemons (id) select 'dead-' || n from generate_series(1, ${silentRowsMax + 20}) n`,
        [],
        "fill",
      );
      await beat("a");
      await silence("true", silentForMs + 1_000);
      await beat("a");
      expect(await db.rows("daemons", "id")).toHaveLength(21);
      await Promise.all(["a", "b", "c"].map(beat));
      expect((await db.rows("daemons", "id")).map((row) => row.id)).toEqual(["a", "b", "c"]);
    });
  });
}
