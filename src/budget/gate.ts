import type { Clock } from "../lib/clock.ts";

/** The first pause after a throttle, as a part of the window: 15 minutes of an hour (meta-platform.md §5.5). */
export const firstPauseShare = 1 / 4;
/** The longest pause of our own, in windows: two hours for one of an hour. */
export const longestPauseShare = 2;
/** A pause that Instagram names is honoured up to this, in ms, whatever the window: no allowance of Meta's runs over more than a day (§5.1). */
export const namedPauseMsMax = 24 * 3_600_000;
/** A pause is stretched by up to this part, by chance, so that several processes do not come back together. Never shortened: nobody calls before the named time. */
export const jitterShare = 0.1;
/** A probe that nobody reports on is taken to be lost after this part of the window: 3 minutes of an hour. */
export const probeLeaseShare = 1 / 20;
/** Who finds a probe under way looks again after this part of the window: 10 seconds of an hour. */
export const probePollShare = 1 / 360;

export type GateState = "open" | "stopped" | "probing";

/**
 * Lets calls through, or after a throttle none for a while and then a single probe. A probe that is answered opens the gate; one that is throttled doubles the
 * pause.
 */
export function createGate(windowMs: number, clock: Pick<Clock, "monotonicMs" | "random">) {
  let stops = 0;
  let stoppedUntilMs: number | null = null;
  let probe: { readonly holder: string; readonly endsAtMs: number } | null = null;

  function readState(): GateState {
    if (stoppedUntilMs === null) return "open";
    return probe === null || clock.monotonicMs() >= probe.endsAtMs ? "stopped" : "probing";
  }

  /** How many calls may go now: all, one or none. Changes nothing. */
  function allowance(): { readonly calls: number; readonly resumeInMs: number } {
    if (stoppedUntilMs === null) return { calls: Number.POSITIVE_INFINITY, resumeInMs: 0 };
    const nowMs = clock.monotonicMs();
    if (nowMs < stoppedUntilMs) return { calls: 0, resumeInMs: Math.ceil(stoppedUntilMs - nowMs) };
    const pollMs = Math.ceil(windowMs * probePollShare);
    return readState() === "probing" ? { calls: 0, resumeInMs: pollMs } : { calls: 1, resumeInMs: pollMs };
  }

  /** Notes that the allowance was used by `holder`: where the gate is not open, that call is the probe. */
  function pass(holder: string): void {
    if (stoppedUntilMs === null) return;
    probe = { holder, endsAtMs: clock.monotonicMs() + windowMs * probeLeaseShare };
  }

  /** Shuts the gate; answers the ms until the probe. Calls that were under way together count as one stop. */
  function stop(namedMs: number | null): number {
    const nowMs = clock.monotonicMs();
    const stretch = 1 + jitterShare * clock.random();
    const named = Math.min(namedMs ?? 0, namedPauseMsMax) * stretch;
    if (stoppedUntilMs !== null && nowMs < stoppedUntilMs) {
      stoppedUntilMs = Math.max(stoppedUntilMs, nowMs + named);
    } else {
      const ownMs = Math.min(windowMs * firstPauseShare * 2 ** stops, windowMs * longestPauseShare) * stretch;
      stops = Math.min(stops + 1, 30);
      stoppedUntilMs = nowMs + Math.max(named, ownMs);
    }
    probe = null;
    return Math.ceil(stoppedUntilMs - nowMs);
  }

  /** Notes that a call of `holder` was served. Opens the gate where that call was the probe. */
  function succeed(holder: string): void {
    if (probe?.holder !== holder) return;
    stoppedUntilMs = null;
    probe = null;
    stops = 0;
  }

  /** Notes that the probe was handed back unused, so that the next caller may have it at once. */
  function forgetProbe(holder: string): void {
    if (probe?.holder === holder) probe = null;
  }

  /** How long the gate stays shut whoever asks, in ms; 0: it is open, or a probe may go. */
  function shutForMs(): number {
    return stoppedUntilMs === null ? 0 : Math.max(0, Math.ceil(stoppedUntilMs - clock.monotonicMs()));
  }

  /** Takes over a stop that another book knew of. */
  function keepShut(forMs: number): void {
    if (forMs > 0) stoppedUntilMs = Math.max(stoppedUntilMs ?? 0, clock.monotonicMs() + forMs);
  }

  return { readState, allowance, pass, stop, succeed, forgetProbe, shutForMs, keepShut };
}

export type Gate = ReturnType<typeof createGate>;
