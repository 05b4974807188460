import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  createRetention,
  type RetentionDependencies,
  removedMax,
  stretchBlocks,
} from "../../src/usecases/retention.ts";
import { createRecordingLog, openTestRepositories, systemClock } from "../support/test-repositories.ts";

const never = new AbortController().signal;
/** Pauses take no time here. */
const clock = { after: (_: number, run: () => void) => systemClock.after(0, run) };

for (const kind of ["postgres", "embedded"] as const) {
  describe(`createRetention() on ${kind}`, async () => {
    const db = await openTestRepositories(kind);
    afterAll(() => db[Symbol.asyncDispose]());
    beforeEach(() => db.empty());

    const fill = async (old: number, young: number) => {
      await db.database.query(
        `insert into events (account_id, event_key, kind, occurred_at, raw, received_at)
         select '1', 'other:' || n, 'other', now(), '{}', now() - case when n <= ${old} then interval '31 days' else interval '29 days' end
         from generate_series(1, ${old + young}) n order by n % 7`,
        [],
        "fill",
      );
      await db.database.query(
        `insert into quarantine (reason, body_hash, body, received_at)
         select 'not_json', n::text, '', now() - case when n <= ${old} then interval '31 days' else interval '29 days' end
         from generate_series(1, ${old + young}) n`,
        [],
        "fill",
      );
    };
    const counts = async () => {
      const [row] = await db.database.query(
        "select (select count(*)::int from events) as events, (select count(*)::int from quarantine) as quarantine",
        [],
        "count",
      );
      return row;
    };
    const make = (over: Partial<RetentionDependencies["events"]> = {}) => {
      const recorded = createRecordingLog();
      return {
        ...createRetention({ events: { ...db.replays, ...over }, clock, log: recorded.log }, { days: 30 }),
        ...recorded,
      };
    };

    test("removes what is older than its days, in small batches, and nothing else", async () => {
      await fill(2_500, 700);
      const batches: number[] = [];
      const retention = make({
        removeExpired: async (...asked) => {
          const step = await db.replays.removeExpired(...asked);
          batches.push(step.removed);
          return step;
        },
      });
      await retention.run(never);
      expect(await counts()).toEqual({ events: 700, quarantine: 700 });
      expect(batches).toEqual([removedMax, removedMax, 500]);
      expect(retention.messages()).toEqual(["Removed 2500 raw events and 2500 quarantined bodies older than 30 days"]);
      await retention.run(never);
      expect(await counts()).toEqual({ events: 700, quarantine: 700 });
    });

    test("looks through the whole table in stretches, wherever the old rows stand", async () => {
      await fill(40, 3_000);
      const stretches: number[] = [];
      await make({
        removeExpired: async (days, { from }, rows) => {
          stretches.push(from);
          // A stretch of one block stands for one of thousands.
          const step = await db.replays.removeExpired(days, { from: from / stretchBlocks, blocks: 1 }, rows);
          return { ...step, blocks: step.blocks * stretchBlocks };
        },
      }).run(never);
      expect(stretches.length).toBeGreaterThan(10);
      expect(await counts()).toEqual({ events: 3_000, quarantine: 3_000 });
    });

    test("ends between two batches when it is told to, and the next run goes on", async () => {
      await fill(2_500, 0);
      const stop = new AbortController();
      const retention = make({
        removeExpired: async (...asked) => {
          const step = await db.replays.removeExpired(...asked);
          stop.abort();
          return step;
        },
      });
      await retention.run(stop.signal);
      expect(await counts()).toEqual({ events: 1_500, quarantine: 2_500 });
      await retention.run(never);
      expect(await counts()).toEqual({ events: 0, quarantine: 0 });
    });

    test("an empty table takes one statement", async () => {
      await make().run(never);
      expect(await counts()).toEqual({ events: 0, quarantine: 0 });
    });
  });
}
