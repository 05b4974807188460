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
  let pausedEver = false;
  return {
    note(nowMs: number, progress: { readonly done: number; readonly pausedForMs: number | null }): void {
      done = progress.done;
      if (progress.pausedForMs !== null) pausedEver = true;
      resumeAtMs = nowMs + (progress.pausedForMs ?? 0);
      const last = samples.at(-1);
      if (last === undefined || nowMs - last.atMs >= sampleEveryMs) samples.push({ atMs: nowMs, done });
      while (samples.length > 2 && nowMs - (samples[1]?.atMs ?? nowMs) >= rateWindowMs) samples.shift();
    },
    /**
     * The rate of the last seconds, the time to the end, and what is left of a pause. Once Instagram's limit has held
     * the run up it will again, so from then on the time to the end goes by the average with its pauses.
     */
    read(nowMs: number, total: number) {
      const pauseLeftMs = Math.max(0, resumeAtMs - nowMs);
      const oldest = samples[0] ?? { atMs: startMs, done: startDone };
      const ratePerSecond = rateOf(done - oldest.done, nowMs - oldest.atMs);
      const average = rateOf(done - startDone, nowMs - startMs);
      const counted = pausedEver ? average : ratePerSecond;
      const left = Math.max(0, total - done);
      const workMs = counted === null || counted === 0 ? null : (left / counted) * 1_000;
      return { ratePerSecond, etaMs: workMs === null || left === 0 ? null : workMs + pauseLeftMs, pauseLeftMs };
    },
  };
}

function rateOf(people: number, ms: number): number | null {
  return ms < firstRateMs ? null : (people / ms) * 1_000;
}
