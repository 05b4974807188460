import { describe, expect, test } from "bun:test";
import {
  collectAlwaysBytes,
  collectApartMs,
  collectFromBytes,
  collectGrowthBytes,
  lookEveryMs,
  sweepMemory,
} from "../../src/cli/memory-sweep.ts";
import { createManualClock } from "./manual-clock.ts";

/** A process of so much memory, of which a collection leaves `leftBytes` and takes `tookMs`. */
function openProcess({ leftBytes = 0, tookMs = 0 } = {}) {
  const { clock, advance, timers } = createManualClock();
  const memory = { residentBytes: 0 };
  const collectedAtMs: number[] = [];
  const sweep = sweepMemory({ usage: () => ({ ...memory, cpuSeconds: 0 }), clock }, () => {
    collectedAtMs.push(clock.monotonicMs());
    memory.residentBytes = leftBytes;
    advance(tookMs);
  });
  return { sweep, memory, collectedAtMs, advance, timers };
}

describe("sweepMemory()", () => {
  test("collects within one look of the memory's growth, and not below that", () => {
    const { memory, collectedAtMs, advance } = openProcess();
    memory.residentBytes = collectFromBytes - 1;
    advance(1_000);
    expect(collectedAtMs).toEqual([]);
    memory.residentBytes = collectFromBytes;
    advance(lookEveryMs);
    expect(collectedAtMs.length).toBe(1);
    advance(1_000);
    expect(collectedAtMs.length).toBe(1);
  });

  test("waits for new garbage where a collection left much, up to a bound", () => {
    const { memory, collectedAtMs, advance } = openProcess({ leftBytes: collectFromBytes });
    memory.residentBytes = collectFromBytes;
    advance(1_000);
    expect(collectedAtMs.length).toBe(1);
    memory.residentBytes = collectFromBytes + collectGrowthBytes;
    advance(1_000);
    expect(collectedAtMs.length).toBe(2);
    const full = openProcess({ leftBytes: collectAlwaysBytes });
    full.memory.residentBytes = collectAlwaysBytes;
    full.advance(1_000);
    expect(full.collectedAtMs.length).toBeGreaterThan(5);
  });

  test("keeps collections apart where the memory is really in use, however long one takes", () => {
    const tookMs = 40;
    const { memory, collectedAtMs, advance } = openProcess({ leftBytes: 2 * collectFromBytes, tookMs });
    memory.residentBytes = 2 * collectFromBytes;
    advance(10_000);
    expect(collectedAtMs.length).toBeGreaterThan(10_000 / (tookMs + collectApartMs + lookEveryMs) - 1);
    for (const [at, atMs] of collectedAtMs.entries())
      if (at > 0) expect(atMs - (collectedAtMs[at - 1] ?? 0)).toBeGreaterThanOrEqual(tookMs + collectApartMs);
  });

  test("ends with its scope, and leaves no timer behind", () => {
    const { sweep, memory, collectedAtMs, advance, timers } = openProcess();
    expect(timers()).toBe(1);
    sweep[Symbol.dispose]();
    expect(timers()).toBe(0);
    memory.residentBytes = collectFromBytes;
    advance(1_000);
    expect(collectedAtMs).toEqual([]);
  });
});
