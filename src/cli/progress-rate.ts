/** The rate that is shown covers this long: short enough to follow a change, long enough not to flicker. */
export const rateWindowMs = 10_000;
/** Samples closer than this tell nothing new; so at most 40 are kept. */
const sampleEveryMs = 250;
/** Before this nobody can tell a rate. */
const firstRateMs = 500;

export type ProgressRate = ReturnType<typeof createProgressRate>;

/** Follows how fast a run goes on from `startDone` people. Times are monotonic milliseconds; pure but for what it remembers. */
export function createProgressRate(startMs: number, startDone = 0) {
  const samples = [{ atMs: startMs, done: startDone }];
  let done = startDone;
  let resumeAtMs = startMs;
  let [notedAtMs, pausedMs] = [startMs, 0];
  let [paused, pausedEver] = [false, false];
  return {
    note(nowMs: number, progress: { readonly done: number; readonly pausedForMs: number | null }): void {
      done = progress.done;
      if (paused) pausedMs += nowMs - notedAtMs;
      notedAtMs = nowMs;
      paused = progress.pausedForMs !== null;
      if (paused) pausedEver = true;
      resumeAtMs = nowMs + (progress.pausedForMs ?? 0);
      const last = samples.at(-1);
      if (last === undefined || nowMs - last.atMs >= sampleEveryMs) samples.push({ atMs: nowMs, done });
      while (samples.length > 2 && nowMs - (samples[1]?.atMs ?? nowMs) >= rateWindowMs) samples.shift();
    },
    /**
     * The rate of the last seconds, the time to the end, and what is left of a pause. `limitMs(left)` says how long
     * Instagram's limit makes so many people last, its pauses included. Where no limit is known but one has held the run
     * up, it will again: the time to the end goes by the average then. `total` null: nobody knows the end.
     */
    read(nowMs: number, total: number | null, limitMs: (left: number) => number | null = () => null) {
      const pauseLeftMs = Math.max(0, resumeAtMs - nowMs);
      const oldest = samples[0] ?? { atMs: startMs, done: startDone };
      const ratePerSecond = rateOf(done - oldest.done, nowMs - oldest.atMs);
      const left = Math.max(0, (total ?? done) - done);
      const limitedMs = left === 0 ? null : limitMs(left);
      const idleMs = pausedMs + (paused ? nowMs - notedAtMs : 0);
      const working = rateOf(done - startDone, nowMs - startMs - idleMs);
      const average = rateOf(done - startDone, nowMs - startMs);
      const counted = !pausedEver ? ratePerSecond : limitedMs === null ? average : working;
      const workMs = counted === null || counted === 0 ? null : (left / counted) * 1_000 + pauseLeftMs;
      const etaMs = limitedMs === null ? workMs : Math.max(workMs ?? 0, limitedMs);
      return { ratePerSecond, etaMs: left === 0 ? null : etaMs, pauseLeftMs };
    },
  };
}

function rateOf(people: number, ms: number): number | null {
  return ms < firstRateMs ? null : (people / ms) * 1_000;
}
