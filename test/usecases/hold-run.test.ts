import { describe, expect, test } from "bun:test";
import type { Run, RunPlace } from "../../src/domain/run.ts";
import { holdRun } from "../../src/usecases/hold-run.ts";

const run = { id: "a run", fencingToken: "1" } as Run;
const names = { calls: 0, listed: 0, named: 0, imported: 0 };
const clock = { after: () => () => {} };
const log = { warn: () => {} };

describe("holdRun()", () => {
  test("saves one place after the other, each as it stands when its turn comes", async () => {
    const saved: number[] = [];
    const waiting: (() => void)[] = [];
    let total = 1;
    const runs = {
      saveRun: async (_: unknown, place: RunPlace) => {
        await new Promise<void>((resolve) => waiting.push(resolve));
        saved.push(place.total);
        return { cancelRequested: false };
      },
    };
    const place = () => ({ phase: "names", cursor: null, namesCursor: null, names, pausedForMs: null, total }) as const;
    const hold = holdRun({ runs, clock, log }, run, place);
    const both = Promise.all([hold.save(), hold.save()]);
    await Bun.sleep(0);
    expect(waiting).toHaveLength(1);
    total = 2;
    waiting[0]?.();
    await Bun.sleep(0);
    waiting[1]?.();
    await both;
    expect(saved).toEqual([1, 2]);
    await hold.release();
  });

  test("goes on saving after the database was away", async () => {
    let calls = 0;
    const runs = {
      saveRun: async () => {
        calls += 1;
        if (calls === 1) throw new Error("away");
        return { cancelRequested: false };
      },
    };
    const place = () =>
      ({ phase: "names", cursor: null, namesCursor: null, names, pausedForMs: null, total: 1 }) as const;
    const hold = holdRun({ runs, clock, log }, run, place);
    await expect(hold.save()).rejects.toThrow("away");
    await hold.save();
    expect([calls, hold.why()]).toEqual([2, null]);
    await hold.release();
  });
});
