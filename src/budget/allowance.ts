/** How many calls may go now, as arithmetic: no state, no clock. `ledger-script.lua` says the same once more, and a test holds the two together. */

/** Part of the allowance that refresh and backfill never use, so that a backfill never delays a new customer's name (spec §5). */
export const liveReserveShare = 0.05;
/** Live's reserve beyond what it used in the last window, in roots of it: chance brings so much more at times (two standard deviations). */
export const liveReserveRoots = 2;
/** Part of an allowance found from percentages that is used. Meta may round them: 99.5 % could read 100, and 100 stops. */
export const learnedShare = 0.995;
/** After a throttle without percentages, the part of what had been used that is taken for the allowance, and for how many windows: nothing tells when it is more. */
export const throttledShare = 0.98;
export const throttledWindows = 5;
/** Refresh and backfill may use this part at once, from then on they are paced: a start, or a small job, is quick. */
export const freeShare = 0.1;
/** Who comes late for a paced call may make up for this part of the window, or for so many calls. */
export const paceLagShare = 1 / 50;
export const paceLagCallsMin = 2;
/** Paced calls go together, as many as are asked for or fall into this part of what may be made up for: fewer and fuller batches. */
export const paceLumpShare = 1 / 2;
/** Calls that share requests are paced by whole ones where the lane may have so many of them in a window; who comes late for one may make up for so many. */
export const paceRequestsMin = 2;
export const paceLagRequests = 1.25;
/** Below this usage a caller may feel its way, one call at a time, where what is known allows none. */
export const feelPercentLive = 97;
export const feelPercentShared = 93;
/** Above it, only where no answer has told a usage for this part of the window: others' calls may have left it since. Longer the nearer it is to the end. */
export const feelShare = 1 / 36;
export const feelShareAt98 = 1 / 10;
export const feelShareAt99 = 1;
/** How soon to look again for what may come any moment, as a part of the window, in ms at most this: the first call of all goes alone, and its answer is near. */
export const pollShare = 1 / 360;
export const pollMsMax = 100;
/** The first call of all goes alone; where it is not answered for so long, in ms, its caller may be dead, and one more goes. */
export const firstAloneMs = 2_000;
/** The slowest answer counts for how old a call may be; with each answer it fades by this part. */
export const slownessFade = 1 / 1000;
/** Below this percentage an allowance is known from below only. */
export const usagePercentVague = 10;
/** From this percentage on Instagram may refuse (meta-platform.md §5.2). */
export const usagePercentMax = 100;
/** Who waits in a higher lane is waited for, beyond the time it was told, for this part of the window, in ms at most this: it may never come back. */
export const laneWaitShare = 1 / 100;
export const laneWaitMsMax = 2_000;
/** Calls that nobody reports on are counted as made after this part of the window. In ms at least a lookup's own end, at most what fifty in a queue may take. */
export const flightShare = 1 / 10;
export const flightMsMin = 10_000;
export const flightMsMax = 60_000;

/** How long granted calls are waited for, in ms. */
export function flightMsOf(windowMs: number): number {
  return Math.max(flightMsMin, Math.min(flightMsMax, windowMs * flightShare));
}

/** Calls of one window: all that are served, and those of them that are used at most. `Infinity`: as far as is known, any number. */
export type Allowance = { readonly whole: number; readonly usable: number };

/** One in `share` of what a window holds. `learned` null: nothing is known yet. */
export function allowanceOf(ceiling: number | null, learned: number | null, share: number): Allowance {
  const part = (known: number) => Math.max(1, Math.floor(Math.min(ceiling ?? Number.POSITIVE_INFINITY, known) / share));
  const known = learned ?? Number.POSITIVE_INFINITY;
  return { whole: part(Math.floor(known)), usable: part(Math.floor(known * learnedShare)) };
}

/**
 * Calls of a finite allowance that refresh and backfill share, where live has made `live` in the last window. They leave live's twentieth of the whole; what is
 * not used at all, for Meta may round, is a part of that while live needs little, and none of what it needs.
 */
export function restOf({ whole, usable }: Allowance, live: number): number {
  const demand = live + Math.ceil(liveReserveRoots * Math.sqrt(live));
  // An allowance too small to share still lets the other lanes move.
  return Math.max(1, Math.min(whole - Math.ceil(whole * liveReserveShare), usable - demand));
}

/** Of `open` calls, where more are wanted, those that fill whole requests. */
export function fillRequests(open: number, calls: number, perRequest: number): number {
  return open >= calls ? open : open - (open % perRequest);
}

/**
 * What a whole percentage shows of the allowance, in calls of ours in a window. `sure` of them Instagram has counted for certain, `all` it may have.
 * It is above 100 × sure / (percent + 1) whichever way Instagram rounds, and where others use the pool too that is the part which is left to us. A value from before is
 * kept while it fits, so the lower edge closes in to within a call: just before each step of the percentage it is nearly exact.
 */
export function learnAllowance(learned: number | null, percent: number, sure: number, all: number): number {
  const low = Math.max(1, (100 * sure) / (percent + 1));
  const high = percent < 1 ? Number.POSITIVE_INFINITY : (100 * all) / (percent - 0.5);
  if (learned === null || learned === Number.POSITIVE_INFINITY || learned < low) return low;
  return learned > high ? low : learned;
}
