import type { Clock } from "../../src/lib/clock.ts";

export type FakeClock = Clock & {
  /** Moves time on and runs what falls due, in order. */
  readonly advance: (byMs: number) => void;
  /** Moves wall time alone, as an administrator would. */
  readonly stepWall: (byMs: number) => void;
};

/** A clock that stands still until it is told; chance comes from a seed, so that a run can be repeated. */
export function createFakeClock({ seed = 1, startMs = 1_760_000_000_000 } = {}): FakeClock {
  let elapsedMs = 0;
  let wallMs = startMs;
  let state = seed >>> 0;
  let due: { readonly atMs: number; readonly run: () => void }[] = [];
  return {
    nowMs: () => wallMs,
    monotonicMs: () => elapsedMs,
    random: () => {
      // mulberry32
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
    },
    soon: (run) => void setImmediate(run),
    after: (delayMs, run) => {
      const entry = { atMs: elapsedMs + delayMs, run };
      due.push(entry);
      return () => {
        due = due.filter((other) => other !== entry);
      };
    },
    advance: (byMs) => {
      elapsedMs += byMs;
      wallMs += byMs;
      const ready = due.filter(({ atMs }) => atMs <= elapsedMs).sort((one, other) => one.atMs - other.atMs);
      due = due.filter(({ atMs }) => atMs > elapsedMs);
      for (const { run } of ready) run();
    },
    stepWall: (byMs) => {
      wallMs += byMs;
    },
  };
}
