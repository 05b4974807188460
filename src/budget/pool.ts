import {
  type Allowance,
  feelPercentLive,
  feelPercentShared,
  feelShare,
  feelShareAt98,
  feelShareAt99,
  fillRequests,
  firstAloneMs,
  flightMsOf,
  freeShare,
  laneWaitMsMax,
  laneWaitShare,
  learnAllowance,
  paceLagCallsMin,
  paceLagRequests,
  paceLagShare,
  paceLumpShare,
  paceRequestsMin,
  pollMsMax,
  pollShare,
  restOf,
  slownessFade,
  throttledShare,
  throttledWindows,
  usagePercentMax,
  usagePercentVague,
} from "./allowance.ts";
import type { LedgerRequest, Settlement } from "./ledger.ts";
import { bucketsPerWindow, createSlidingWindow, type WindowCount } from "./sliding-window.ts";

type Flight = { readonly atMs: number; readonly calls: number; readonly shared: number; readonly landedBefore: number };
export type Room = { readonly calls: number; readonly resumeInMs: number };
export type Ask = Pick<LedgerRequest, "lane" | "calls" | "perRequest" | "firstCalls" | "spacingMs"> & {
  readonly allowance: Allowance;
  /** What would be used were nothing learned. */
  readonly ceiling: number;
  /** After a stop one call goes to see how things are, whatever is known. */
  readonly probes: boolean;
};

export type Pool = ReturnType<typeof createPool>;

/**
 * The calls of one pool in this process. A call holds a place from its grant until `windowMs` after its *answer*: whenever between the two
 * Instagram counted it, it is still held, so no delay on the way lets one call too many into any window.
 */
export function createPool(windowMs: number) {
  const log = createSlidingWindow(windowMs);
  const flights = new Map<string, Flight>();
  const flightMs = flightMsOf(windowMs);
  let flying = { calls: 0, shared: 0 };
  let learned: number | null = null;
  /** Until when `learned` stands, where only a throttle told it. */
  let learnedUntilMs = Number.POSITIVE_INFINITY;
  let percent: number | null = null;
  /** When usage was last told. */
  let toldAtMs = Number.NEGATIVE_INFINITY;
  let slownessMs = 0;
  /** Calls of throttled answers, and until when some of them stand in the log: Instagram may have counted none of them. */
  let doubt = { calls: 0, untilMs: Number.NEGATIVE_INFINITY };
  let bornAtMs: number | null = null;
  let paceAtMs = Number.NEGATIVE_INFINITY;
  let nextAtMs = Number.NEGATIVE_INFINITY;
  let grantedAtMs = Number.NEGATIVE_INFINITY;
  const waitsUntilMs = { live: Number.NEGATIVE_INFINITY, refresh: Number.NEGATIVE_INFINITY };

  function land(id: string): Flight | null {
    const flight = flights.get(id);
    if (flight === undefined) return null;
    flights.delete(id);
    flying = { calls: flying.calls - flight.calls, shared: flying.shared - flight.shared };
    return flight;
  }

  function count(nowMs: number) {
    if (nowMs >= learnedUntilMs) [learned, learnedUntilMs] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (const [id, flight] of flights) {
      if (nowMs - flight.atMs < flightMs) break; // in order of their grants
      land(id);
      log.add(nowMs, flight);
    }
    const { calls, shared } = log.count(nowMs);
    return { calls: calls + flying.calls, shared: shared + flying.shared };
  }

  /** What refresh and backfill may have of the allowance: part of it at once, the rest one every `spacingMs`. */
  function paceOf(nowMs: number, used: WindowCount, { calls, perRequest, allowance }: Ask) {
    const rest = restOf(allowance, used.calls - used.shared);
    const spacingMs = windowMs / rest;
    const shortMs = Math.max(windowMs * paceLagShare, paceLagCallsMin * spacingMs);
    const fills = rest >= paceRequestsMin * perRequest;
    const lagMs = Math.max(shortMs, fills ? paceLagRequests * perRequest * spacingMs : 0);
    const fromMs = Math.max(paceAtMs, nowMs - lagMs);
    // Still counted here, and at Instagram no more.
    const stale = Math.floor(rest * (1 / bucketsPerWindow + slownessMs / windowMs));
    const lump = Math.max(Math.floor((shortMs * paceLumpShare) / spacingMs), fills ? perRequest : 1);
    return {
      fills,
      left: rest + stale - used.shared,
      free: Math.max(0, Math.floor(rest * freeShare) - used.shared),
      paced: Math.floor((nowMs - fromMs) / spacingMs + 1e-6),
      lump: Math.min(calls, lump),
      spacingMs,
      fromMs,
    };
  }

  /** How many calls may go now, as far as the pool is concerned. */
  function room(nowMs: number, ask: Ask): Room {
    if (nowMs < nextAtMs) return { calls: 0, resumeInMs: Math.ceil(nextAtMs - nowMs) };
    const found = roomWithin(nowMs, ask);
    if (ask.spacingMs === 0 || found.calls <= 1) return found;
    return { calls: 1, resumeInMs: Math.ceil(ask.spacingMs) };
  }

  function roomWithin(nowMs: number, ask: Ask): Room {
    const { lane, calls, perRequest, allowance, probes } = ask;
    const used = count(nowMs);
    const pollMs = Math.max(1, Math.min(pollMsMax, windowMs * pollShare));
    if (learned === null && flying.calls > 0 && nowMs - grantedAtMs < firstAloneMs)
      return { calls: 0, resumeInMs: pollMs };
    const leavesInMs = log.untilLess(nowMs, (bucket) => bucket.calls);
    const isNew = isFresh(nowMs);
    const isVague = knowsLittle(nowMs, used, ask);
    let open = allowance.usable - used.calls;
    let resumeInMs = leavesInMs > 0 ? leavesInMs : pollMs;
    let full = open <= 0;
    if (isPaced(lane, allowance)) {
      const { fills, left, free, paced, lump, spacingMs, fromMs } = paceOf(nowMs, used, ask);
      const ready = Math.max(free, paced, isVague && perRequest > 1 ? perRequest : 0);
      if (left <= 0 && open > 0) {
        resumeInMs = Math.max(
          1,
          log.untilLess(nowMs, (bucket) => bucket.shared),
        );
      } else if (left > 0 && open > 0 && ready < calls) {
        resumeInMs = Math.max(1, Math.ceil(fromMs + lump * spacingMs - nowMs));
      }
      full ||= left <= 0 || (ready <= 0 && isNew);
      const due = fills ? fillRequests(ready, calls, perRequest) : ready;
      open = Math.min(open, left, due < lump ? 0 : due);
      const waitsMs = Math.max(waitsUntilMs.live, lane === "backfill" ? waitsUntilMs.refresh : waitsUntilMs.live);
      if (nowMs < waitsMs)
        return { calls: 0, resumeInMs: Math.max(1, Math.ceil(Math.min(resumeInMs, waitsMs - nowMs))) };
    }
    if (learned === null) return { calls: Math.min(ask.firstCalls, open), resumeInMs: pollMs };
    if (isVague) resumeInMs = Math.min(resumeInMs, pollMs);
    if (full && learned !== Number.POSITIVE_INFINITY && used.calls < ask.ceiling) {
      const restMs = probes ? 0 : toldAtMs + pauseToFeel(lane) - nowMs;
      if (flying.calls === 0 && restMs <= 0) return { calls: 1, resumeInMs };
      // Who feels its way asks again by itself; the others need not press.
      resumeInMs = Math.min(resumeInMs, Math.ceil(Math.max(windowMs * pollShare, restMs)));
    }
    return { calls: Math.max(0, open), resumeInMs };
  }

  /** In its first window a pool may be one that others have filled: what it knows is too little to keep to a pace of it. */
  const isFresh = (nowMs: number) => nowMs - (bornAtMs ?? nowMs) < windowMs;

  /** Low usage tells that there is room, and not yet how much: the next answer does. */
  function knowsLittle(nowMs: number, used: WindowCount, { lane, ceiling }: Ask): boolean {
    if (learned === Number.POSITIVE_INFINITY || used.calls >= ceiling || pauseToFeel(lane) > 0) return false;
    return lane === "live" || isFresh(nowMs) || (percent ?? usagePercentMax) < usagePercentVague;
  }

  function pauseToFeel(lane: Ask["lane"]): number {
    const at = percent ?? usagePercentMax;
    if (at < (lane === "live" ? feelPercentLive : feelPercentShared)) return 0;
    return windowMs * (at < 98 ? feelShare : at < 99 ? feelShareAt98 : feelShareAt99);
  }

  /** Books `granted` calls; `resumeInMs` is what the caller was told where it wanted more. */
  function book(nowMs: number, id: string, granted: number, ask: Ask, resumeInMs: number): void {
    const { lane, calls, perRequest, allowance, spacingMs: apartMs } = ask;
    if (lane !== "backfill") {
      waitsUntilMs[lane] =
        granted === calls
          ? Number.NEGATIVE_INFINITY
          : nowMs + resumeInMs + Math.min(laneWaitMsMax, windowMs * laneWaitShare);
    }
    if (granted === 0) return;
    const used = count(nowMs);
    // A whole request of which the next answer learns more is ahead of a pace that it will change.
    if (isPaced(lane, allowance) && !(perRequest > 1 && knowsLittle(nowMs, used, ask))) {
      const { free, spacingMs, fromMs } = paceOf(nowMs, used, ask);
      paceAtMs = free > 0 ? nowMs + Math.max(0, granted - free) * spacingMs : fromMs + granted * spacingMs;
    }
    if (apartMs > 0) nextAtMs = nowMs + apartMs;
    grantedAtMs = nowMs;
    bornAtMs ??= nowMs;
    const shared = lane === "live" ? 0 : granted;
    flights.set(id, { atMs: nowMs, calls: granted, shared, landedBefore: log.landed() });
    flying = { calls: flying.calls + granted, shared: flying.shared + shared };
  }

  /** Moves calls from under way to made, and learns what the answer shows of the allowance. */
  function settle(nowMs: number, { id, lane, callsMade, usage, throttle }: Settlement): void {
    count(nowMs);
    const flight = land(id);
    slownessMs = Math.max(flight === null ? 0 : nowMs - flight.atMs, slownessMs * (1 - slownessFade));
    const leaving = log.countUntil(nowMs - windowMs + slownessMs + windowMs / bucketsPerWindow);
    // Answered before this call was granted, and still in the window when Instagram counted this one.
    const before = flight === null ? 0 : flight.landedBefore - (log.landed() - log.count(nowMs).calls) - leaving;
    if (nowMs > doubt.untilMs) doubt = { calls: 0, untilMs: doubt.untilMs };
    const sure = Math.max(0, before - doubt.calls) + (throttle === null && flight !== null ? callsMade : 0);
    if (throttle !== null) doubt = { calls: doubt.calls + callsMade, untilMs: nowMs + windowMs };
    if (callsMade > 0) log.add(nowMs, { calls: callsMade, shared: lane === "live" ? 0 : callsMade });
    const all = log.count(nowMs).calls + flying.calls;
    if (usage !== null && (usage.percent > 0 || usage.regainMs === null)) {
      percent = usage.percent;
      toldAtMs = nowMs;
      learnedUntilMs = Number.POSITIVE_INFINITY;
      if (flight !== null && (callsMade > 0 || throttle !== null))
        learned = learnAllowance(throttle === null ? learned : null, usage.percent, sure, all);
    } else if (throttle !== null) {
      if (throttle.scope === "account" && flight !== null) {
        learned = Math.min(learned ?? Number.POSITIVE_INFINITY, Math.max(1, sure * throttledShare));
        toldAtMs = nowMs;
        learnedUntilMs = nowMs + throttledWindows * windowMs;
      }
    } else if (callsMade > 0) learned ??= Number.POSITIVE_INFINITY;
  }

  return {
    count,
    room,
    book,
    settle,
    known(nowMs: number) {
      count(nowMs);
      return { learned, percent };
    },
    /** Takes over what another book knew; what is known here already stands. */
    know(from: { readonly learned: number | null; readonly percent: number | null }): void {
      learned ??= from.learned;
      percent ??= from.percent;
    },
    log,
    flying: () => flying,
  };
}

const isPaced = (lane: Ask["lane"], allowance: Allowance) =>
  lane !== "live" && allowance.usable !== Number.POSITIVE_INFINITY;
