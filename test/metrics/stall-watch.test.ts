import { describe, expect, test } from "bun:test";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createMetrics } from "../../src/metrics/metrics.ts";
import { stallMs, stallTickMs, watchStalls } from "../../src/metrics/stall-watch.ts";
import { until } from "../support/program.ts";

/** A clock whose timers run as late as the test says. */
function createLateClock() {
  let nowMs = 0;
  let next: { atMs: number; run: () => void } | null = null;
  return {
    clock: {
      monotonicMs: () => nowMs,
      after: (delayMs: number, run: () => void) => {
        const timer = { atMs: nowMs + delayMs, run };
        next = timer;
        return () => {
          if (next === timer) next = null;
        };
      },
    },
    /** Runs the timer that waits, `byMs` after its time. */
    runLate: (byMs: number) => {
      const timer = next;
      if (timer === null) return false;
      nowMs = timer.atMs + byMs;
      timer.run();
      return true;
    },
  };
}

describe("watchStalls()", () => {
  test("counts a tick that comes more than a second late, each stall once", async () => {
    const { clock, runLate } = createLateClock();
    let stalls = 0;
    const watch = watchStalls(clock, () => {
      stalls += 1;
    });
    for (const lateMs of [0, 5, stallMs, 0, stallMs - stallTickMs]) runLate(lateMs);
    expect(stalls).toBe(0);
    runLate(stallMs + 1);
    runLate(0);
    runLate(60_000);
    expect(stalls).toBe(2);
    await watch[Symbol.asyncDispose]();
    expect(runLate(5_000)).toBe(false);
    expect(stalls).toBe(2);
  });

  test("a loop that really stands still for one and a half seconds is seen in the figures", async () => {
    const metrics = createMetrics({ clock: createSystemClock() });
    await using _ = metrics.watchStalls();
    const endMs = performance.now() + 1_500;
    while (performance.now() < endMs);
    await until(
      async () => /^social_sync_event_loop_stalls_total [1-9]/m.test(await metrics.render()),
      5_000,
      () => "no stall was counted",
    );
  });
});
