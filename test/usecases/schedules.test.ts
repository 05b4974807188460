import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  createSchedules,
  heartbeatEveryMs,
  type Schedule,
  type SchedulesDependencies,
} from "../../src/usecases/schedules.ts";
import { createManualClock } from "../cli/manual-clock.ts";
import { until } from "../support/program.ts";
import { createRecordingLog, openTestRepositories } from "../support/test-repositories.ts";

describe("createSchedules()", async () => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());
  beforeEach(() => db.empty());

  const tickMs = 1_000;
  const schedule = (over: Partial<Schedule> = {}): Schedule => ({
    name: "sweep",
    everyMs: 3_600_000,
    leaseMs: 60_000,
    run: async () => {},
    ...over,
  });
  const make = (id: string, list: readonly Schedule[], over: Partial<SchedulesDependencies> = {}) => {
    const time = createManualClock();
    const stop = new AbortController();
    const recorded = createRecordingLog();
    const schedules = createSchedules(
      { schedules: db.schedules, daemons: db.daemons, clock: time.clock, log: recorded.log, ...over },
      { id, list, tickMs },
      { stopTaking: stop.signal },
    );
    const settle = async () => {
      stop.abort();
      await schedules.settle();
    };
    return { ...schedules, settle, stop, ...time, ...recorded };
  };
  const row = async () => (await db.rows("schedules", "name"))[0];

  test("of eight daemons one runs what is due, and all are on the list until they stop", async () => {
    let runs = 0;
    const list = [schedule({ run: async () => void runs++ })];
    const daemons = Array.from({ length: 8 }, (_, n) => make(`daemon-${n}`, list));
    for (const daemon of daemons) daemon.start();
    await until(
      async () => (await db.daemons.countAlive(30_000)) === 8 && (await row())?.last_ended_at !== null,
      20_000,
    );
    for (let tick = 0; tick < 5; tick++) for (const daemon of daemons) daemon.advance(tickMs);
    await Promise.all(daemons.map((daemon) => daemon.settle()));
    expect(runs).toBe(1);
    expect(await row()).toMatchObject({ owner: null, lease_until: null });
    expect(await db.rows("daemons", "id")).toEqual([]);
  });

  test("what fails is warned of and tried again at the next tick, by whoever asks first", async () => {
    const failing = make("a", [schedule({ run: () => Promise.reject(new Error("Cannot sweep: no broom")) })]);
    failing.start();
    await until(() => failing.messages().includes("Schedule sweep put off: Cannot sweep: no broom"), 20_000);
    let runs = 0;
    const other = make("b", [schedule({ run: async () => void runs++ })]);
    other.start();
    await until(() => runs === 1, 20_000);
    await Promise.all([failing.settle(), other.settle()]);
    expect(await row()).toMatchObject({ owner: null });
  });

  test("a stop ends what runs through its signal and gives it back", async () => {
    let started = false;
    const daemon = make("a", [
      schedule({
        run: (signal) =>
          new Promise((resolve) => {
            started = true;
            signal.addEventListener("abort", () => resolve());
          }),
      }),
    ]);
    daemon.start();
    await until(() => started, 20_000);
    await daemon.settle();
    expect(await db.schedules.claim("sweep", 3_600_000, 60_000, "b")).toBe(true);
    expect(daemon.timers()).toBe(0);
  });

  test("a run's signal fires when its lease is over", async () => {
    const ends: boolean[] = [];
    const daemon = make("a", [
      schedule({
        leaseMs: 400_000,
        run: (signal) =>
          new Promise((resolve) => {
            ends.push(false);
            signal.addEventListener("abort", () => {
              ends.push(true);
              resolve();
            });
          }),
      }),
    ]);
    daemon.start();
    await until(() => ends.length === 1, 20_000);
    daemon.advance(400_000);
    expect(ends.slice(0, 2)).toEqual([false, true]);
    await daemon.settle();
  });

  test("a database that is away costs a warning, and heartbeats go on by themselves", async () => {
    let away = true;
    let beats = 0;
    const daemon = make("a", [schedule()], {
      daemons: {
        leave: db.daemons.leave,
        beat: (id) => {
          beats += 1;
          return away ? Promise.reject(new Error("Cannot say that this daemon is alive: away")) : db.daemons.beat(id);
        },
      },
    });
    daemon.start();
    await until(() => daemon.messages().some((line) => line.startsWith("Heartbeat put off: Cannot say")), 20_000);
    away = false;
    daemon.advance(heartbeatEveryMs);
    await until(async () => (await db.daemons.countAlive(30_000)) === 1, 20_000);
    expect(beats).toBe(2);
    await daemon.settle();
    expect(await db.daemons.countAlive(30_000)).toBe(0);
  });
});
