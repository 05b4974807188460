import { describe, expect, test } from "bun:test";
import type { Output } from "../../src/cli/io.ts";
import { openLiveScreen, redrawEveryMs } from "../../src/cli/live-screen.ts";
import { createManualClock } from "./manual-clock.ts";

function open() {
  const { clock, advance, timers } = createManualClock();
  const writes: string[] = [];
  const listeners = new Set<() => void>();
  const size = { columns: 80 };
  const output: Output = {
    write: (text) => writes.push(text),
    drained: async () => {},
    isTty: true,
    columns: () => size.columns,
    onResize(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const abort = new AbortController();
  let count = 0;
  const env = { LANG: "C.UTF-8", NO_COLOR: "1" };
  const screen = openLiveScreen({ output, env, clock, abort: abort.signal }, () => {
    count += 1;
    return [`bar ${count}`, "x".repeat(60)];
  });
  return { screen, writes, advance, timers, listeners, abort, size };
}

describe("openLiveScreen()", () => {
  test("redraws at most ten times a second however much is told", () => {
    const { screen, writes, advance } = open();
    for (let ms = 0; ms < 1_000; ms++) {
      screen.redraw();
      screen.writeAbove("a line\n");
      advance(1);
    }
    expect(writes.length).toBeLessThanOrEqual(1_000 / redrawEveryMs + 1);
    expect(writes.join("").match(/a line\n/g)?.length).toBeGreaterThan(850);
  });

  test("goes back over the rows that the lines take after a terminal became narrower", () => {
    const { writes, advance, listeners, size } = open();
    advance(redrawEveryMs);
    size.columns = 20;
    for (const listener of listeners) listener();
    expect(writes.at(-1)).toStartWith("\u001b[?25l\r\u001b[3A\u001b[J"); // 1 row and 3 rows
  });

  test("takes its lines away, writes what waits, brings the cursor back and leaves no timer", () => {
    const { screen, writes, timers, listeners } = open();
    screen.writeAbove("last words\n");
    screen[Symbol.dispose]();
    screen[Symbol.dispose]();
    expect(writes.slice(1)).toEqual(["\r\u001b[1A\u001b[Jlast words\n\u001b[?25h"]);
    expect([timers(), listeners.size]).toEqual([0, 0]);
    screen.redraw();
    screen.writeAbove("after\n");
    expect(writes.at(-1)).toBe("after\n");
  });

  test("brings the cursor back at once where the process leaves", () => {
    const { writes, abort } = open();
    abort.abort();
    expect(writes.at(-1)).toEndWith("\n\u001b[?25h");
  });
});
