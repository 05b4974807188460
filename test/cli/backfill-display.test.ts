import { describe, expect, test } from "bun:test";
import { lineEveryMs, openEventDisplay, openLineDisplay } from "../../src/cli/backfill-display.ts";
import type { Output } from "../../src/cli/io.ts";
import type { BackfillProgress } from "../../src/usecases/backfill.ts";
import { createManualClock } from "./manual-clock.ts";

const run = { runId: "r", accountName: "shop", total: 1_000, done: 0 };
const progress = (done: number, pausedForMs: number | null = null): BackfillProgress => ({
  phase: "profiles",
  names: { calls: 0, listed: 0, named: 0, imported: 0 },
  done,
  total: 1_000,
  successful: done,
  errors: 0,
  outcomes: { complete: done },
  pausedForMs,
});

function outputTo(writes: string[]): Output {
  return { write: (text) => writes.push(text), isTty: false, columns: () => 80, onResize: () => () => {} };
}

test("openLineDisplay() logs a line every five seconds and none after its end", () => {
  const { clock, advance } = createManualClock();
  const lines: string[] = [];
  const display = openLineDisplay({ stderr: outputTo([]), clock }, run, { log: (message) => lines.push(message) });
  for (let second = 0; second < 12; second++) {
    display.progress(progress(second * 10));
    advance(1_000);
  }
  expect(lines).toEqual([
    "shop: 40/1,000 4%, 8.0/s, ETA 2 min, 40 complete",
    "shop: 90/1,000 9%, 9.0/s, ETA 1 min 42 s, 90 complete",
  ]);
  display[Symbol.dispose]();
  advance(3 * lineEveryMs);
  expect(lines).toHaveLength(2);
});

describe("openEventDisplay()", () => {
  test("tells progress at most once a second, and each pause once", () => {
    const { clock, advance } = createManualClock();
    const writes: string[] = [];
    const display = openEventDisplay({ stdout: outputTo(writes), stderr: outputTo([]), clock }, run);
    for (let ms = 0; ms < 3_000; ms += 100) {
      display.progress(progress(ms / 10));
      advance(100);
    }
    for (let left = 5_000; left > 0; left -= 250) {
      display.progress(progress(300, left));
      advance(250);
    }
    display.progress(progress(301));
    display.progress(progress(301, 60_000));
    const events = writes.map((line) => JSON.parse(line));
    expect(events.filter(({ event }) => event === "pause").map(({ pausedForMs }) => pausedForMs)).toEqual([
      5_000, 60_000,
    ]);
    expect(events.filter(({ event }) => event === "progress").length).toBeLessThanOrEqual(9);
    expect(events.every(({ v, runId }) => v === 1 && runId === "r")).toBe(true);
  });
});
