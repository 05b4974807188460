import { describe, expect, test } from "bun:test";
import { meetAgainMs, meetDatabase } from "../../src/daemon/meet-database.ts";
import { SyncError } from "../../src/domain/error.ts";
import { createManualClock } from "../cli/manual-clock.ts";
import { createRecordingLog } from "../support/test-repositories.ts";

const away = () => new SyncError("storage_unavailable", "Cannot look: the database does not answer (ECONNREFUSED)");
const newer = () => new SyncError("schema_newer", "Cannot use this database: its schema is version 99");
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("meetDatabase()", () => {
  /** `answers`: what each attempt throws; null and beyond the last: nothing. */
  const make = (answers: readonly (Error | null)[]) => {
    const { clock, advance, timers } = createManualClock();
    const recorded = createRecordingLog();
    const tries: number[] = [];
    const prepare = async () => {
      const error = answers[tries.length] ?? null;
      tries.push(clock.nowMs());
      if (error !== null) throw error;
    };
    const meet = (mayBeAway: boolean) => meetDatabase(prepare, { mayBeAway, clock, log: recorded.log });
    /** Lets `ms` pass in steps, so that what follows from a timer gets its own. */
    const pass = async (ms: number) => {
      for (let passed = 0; passed < ms; passed += 50) {
        advance(50);
        await turn();
      }
    };
    return { meet, pass, tries, timers, ...recorded };
  };

  test("says nothing where the database answers", async () => {
    const { meet, lines } = make([]);
    const meeting = await meet(false);
    expect(meeting.away()).toBeNull();
    expect(await meeting.wait(new AbortController().signal)).toBe(true);
    expect(lines).toEqual([]);
  });

  test("refuses the start where the server is away and may not be", async () => {
    await expect(make([away()]).meet(false)).rejects.toMatchObject({ code: "storage_unavailable" });
  });

  test("refuses the start where the server answers and cannot be used, whatever may be", async () => {
    await expect(make([newer()]).meet(true)).rejects.toMatchObject({ code: "schema_newer" });
    const refused = new SyncError("storage_unavailable", "Cannot look: the database does not answer (28P01)", {
      cause: Object.assign(new Error("password authentication failed"), { code: "28P01" }),
    });
    await expect(make([refused]).meet(true)).rejects.toBe(refused);
  });

  test("tries again for as long as it takes, and warns once", async () => {
    const { meet, pass, tries, lines } = make(Array.from({ length: 7 }, away));
    const meeting = await meet(true);
    const ready = meeting.wait(new AbortController().signal);
    await pass(6 * meetAgainMs);
    expect(meeting.away()?.message).toContain("ECONNREFUSED");
    await pass(meetAgainMs);
    expect(await ready).toBe(true);
    expect(meeting.away()).toBeNull();
    const distances = tries.slice(1).map((atMs, n) => atMs - (tries[n] ?? 0));
    expect(distances).toEqual(Array(7).fill(meetAgainMs));
    expect(lines.map(({ level }) => level)).toEqual(["warn"]);
  });

  test("throws what would have refused the start, once the database is back", async () => {
    const { meet, pass } = make([away(), newer()]);
    const ready = (await meet(true)).wait(new AbortController().signal).catch((error: unknown) => error);
    await pass(meetAgainMs);
    expect(await ready).toMatchObject({ code: "schema_newer" });
  });

  test("ends at a stop, and leaves no timer behind", async () => {
    const { meet, tries, timers } = make([away()]);
    const stop = new AbortController();
    const ready = (await meet(true)).wait(stop.signal);
    stop.abort();
    expect(await ready).toBe(false);
    expect([tries.length, timers()]).toEqual([1, 0]);
  });
});
