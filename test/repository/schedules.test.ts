import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { openTestRepositories } from "../support/test-repositories.ts";

const minuteMs = 60_000;

for (const kind of ["postgres", "embedded"] as const) {
  describe(`claim() on ${kind}`, async () => {
    const db = await openTestRepositories(kind);
    afterAll(() => db[Symbol.asyncDispose]());
    beforeEach(() => db.empty());
    const { claim, finish, release } = db.schedules;

    /** Moves the schedule's own times back: as if so much time had passed. */
    const pass = (ms: number) =>
      db.database.query(
        `update schedules set last_started_at = last_started_at - make_interval(secs => $1::float8 / 1000),
           lease_until = lease_until - make_interval(secs => $1::float8 / 1000)`,
        [ms],
        "pass the time",
      );
    const claimers = Array.from({ length: 8 }, (_, n) => `daemon-${n}`);
    /** Everybody asks at once; the winners. */
    const race = async () => {
      const taken = await Promise.all(claimers.map((owner) => claim("retention", minuteMs, 5_000, owner)));
      return claimers.filter((_, place) => taken[place]);
    };

    test("one of eight claimers at once gets it, interval after interval", async () => {
      for (let interval = 0; interval < 5; interval++) {
        const winners = await race();
        expect(winners).toHaveLength(1);
        expect(await race()).toEqual([]);
        expect(await finish("retention", winners[0] ?? "")).toBe(true);
        expect(await race()).toEqual([]);
        await pass(minuteMs - 1_000);
        expect(await race()).toEqual([]);
        await pass(1_001);
      }
    });

    test("where the holder has died, one other gets it once the lease has run out", async () => {
      const [dead = ""] = await race();
      await pass(4_000);
      expect(await race()).toEqual([]);
      await pass(1_001);
      const heirs = await race();
      expect(heirs).toHaveLength(1);
      expect(await race()).toEqual([]);
      if (heirs[0] !== dead) {
        expect(await finish("retention", dead)).toBe(false);
        expect(await release("retention", dead)).toBe(false);
      }
      expect(await finish("retention", heirs[0] ?? "")).toBe(true);
    });

    test("what is given back undone is anybody's at once", async () => {
      const [holder = ""] = await race();
      expect(await release("retention", holder)).toBe(true);
      expect(await race()).toHaveLength(1);
    });

    test("schedules are claimed each by its own name", async () => {
      expect(await claim("one", minuteMs, 5_000, "a")).toBe(true);
      expect(await claim("two", minuteMs, 5_000, "b")).toBe(true);
      expect(await db.rows("schedules", "name")).toMatchObject([
        { name: "one", owner: "a", last_ended_at: null },
        { name: "two", owner: "b", last_ended_at: null },
      ]);
    });
  });
}
