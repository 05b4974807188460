/**
 * Many callers against the sandbox's own sliding window, on virtual time: hours in seconds. Instagram counts a call when it arrives,
 * which is later than it was granted and earlier than its answer; both delays are drawn. Says what the far side saw.
 */
import { type Lane, type Ledger, lanes } from "../../src/budget/ledger.ts";
import { createSlidingWindow } from "../../src/sandbox/sliding-window.ts";
import type { FakeClock } from "./fake-clock.ts";

export type Change = { readonly atMs: number; readonly limit: number };

export type SimulationPlan = {
  readonly windowMs: number;
  readonly endsAtMs: number;
  /** What the far side allows in a window from when on; the first at 0. */
  readonly limits: readonly Change[];
  /** Callers of each lane in each process, each with one request under way at a time. */
  readonly callers: Readonly<Partial<Record<Lane, number>>>;
  /** Between an answer and the next request of a live caller, in ms on average; 0 or none: it always has work. */
  readonly liveThinkMs?: number;
  readonly batchMax: number;
  /** Calls that one request carries; 1 where not said. */
  readonly perRequest?: number;
  /** From a request to its answer at most, in ms. */
  readonly latencyMs: number;
  /** What happens to the machines meanwhile. */
  readonly events?: readonly { readonly atMs: number; readonly run: () => void | Promise<void> }[];
};

export type SimulationResult = {
  readonly accepted: number;
  /** Requests that the far side refused in part or whole. */
  readonly refusedAnswers: readonly number[];
  /** Of those, sent after an earlier one's answer had come and before the next change of the limit: nobody had to. */
  readonly refusedAgain: number;
  readonly sentBeforeNamed: number;
  /** Calls of each request that was not live's. */
  readonly requests: readonly number[];
  /** Accepted calls, of those that the limit would have let through, where the limit stood for `settledMs` and no pause ran. */
  readonly usage: number;
};

export type Process = { ledger: Ledger };

export async function simulate(
  clock: FakeClock,
  processes: readonly Process[],
  plan: SimulationPlan,
): Promise<SimulationResult> {
  const { windowMs, limits, endsAtMs, latencyMs, batchMax } = plan;
  const far = createSlidingWindow(windowMs);
  const due: { atMs: number; order: number; run: () => void | Promise<void> }[] = [];
  let order = 0;
  const startMs = clock.monotonicMs();
  const now = () => clock.monotonicMs() - startMs;
  const limitAt = (atMs: number) => limits.findLast((change) => change.atMs <= atMs)?.limit ?? 0;
  /** A binary heap would do no better for the few hundred that wait here. */
  const at = (atMs: number, run: () => void | Promise<void>) => {
    order += 1;
    const entry = { atMs: Math.max(atMs, now()), order, run };
    let place = due.length;
    while (place > 0 && (due[place - 1]?.atMs ?? 0) < entry.atMs) place -= 1;
    due.splice(place, 0, entry);
  };

  const arrivals: { atMs: number; calls: number }[] = [];
  const refusedAnswers: number[] = [];
  const requests: number[] = [];
  let [refusedAgain, sentBeforeNamed, namedUntilMs, lastRefusalToldMs] = [0, 0, 0, Number.NEGATIVE_INFINITY];
  let pauses: { fromMs: number; toMs: number }[] = [];

  async function turn(process: Process, lane: Lane): Promise<void> {
    const { ledger } = process;
    const id = `call${order}-${now()}-${clock.random()}`;
    const whole = { perRequest: lane === "live" ? 1 : (plan.perRequest ?? 1), firstCalls: 1 };
    const ask = { pool: "shop", lane, calls: batchMax, id, share: 1, spacingMs: 0, ...whole };
    const { granted, resumeInMs } = await ledger.take(ask);
    if (granted > 0 && lane !== "live") requests.push(granted);
    if (granted === 0) return at(now() + resumeInMs + clock.random() * 5, () => turn(process, lane));
    const sentMs = now();
    if (sentMs < namedUntilMs) sentBeforeNamed += 1;
    const arrivesMs = sentMs + Math.floor(clock.random() * latencyMs * 0.5);
    const answersMs = arrivesMs + Math.floor(clock.random() * latencyMs * 0.5);
    at(arrivesMs, () => {
      const limit = limitAt(now());
      let taken = 0;
      while (taken < granted && far.take(now(), limit)) taken += 1;
      arrivals.push({ atMs: now(), calls: taken });
      const waitMs = far.waitMs(now(), limit);
      const usage = {
        percent: Math.floor((far.used(now()) * 100) / limit),
        // Minutes of an hour, sixtieths of a window here, as the sandbox has it; 0 is unknown.
        regainMs: waitMs > 0 ? Math.ceil((waitMs * 60) / windowMs) * (windowMs / 60) : null,
      };
      const refused = taken < granted;
      if (refused) {
        refusedAnswers.push(now());
        const change = limits.findLast(({ atMs }) => atMs <= now())?.atMs ?? 0;
        if (sentMs > lastRefusalToldMs && lastRefusalToldMs >= change) refusedAgain += 1;
      }
      at(answersMs, async () => {
        if (refused) lastRefusalToldMs = now();
        if (usage.regainMs !== null) namedUntilMs = Math.max(namedUntilMs, now() + usage.regainMs);
        // A process that has died hears no answer; its successor stands in its place.
        if (process.ledger === ledger) {
          await ledger.settle({
            pool: "shop",
            id,
            lane,
            callsMade: granted,
            usage,
            throttle: refused ? { scope: "account", resumeInMs: null } : null,
          });
          const { accountStopMs } = await ledger.snapshot("shop");
          if (accountStopMs > 0) pauses.push({ fromMs: now(), toMs: now() + accountStopMs });
        }
        const thinkMs = lane === "live" ? (plan.liveThinkMs ?? 0) * 2 * clock.random() : 0;
        at(now() + thinkMs, () => turn(process, lane));
      });
    });
  }

  for (const process of processes)
    for (const lane of lanes)
      for (let caller = 0; caller < (plan.callers[lane] ?? 0); caller += 1)
        at(clock.random() * 50, () => turn(process, lane));
  for (const event of plan.events ?? []) at(event.atMs, event.run);
  for (let next = due.pop(); next !== undefined && next.atMs <= endsAtMs; next = due.pop()) {
    const byMs = Math.ceil(next.atMs - now());
    if (byMs > 0) clock.advance(byMs);
    await next.run();
  }

  // Settled: at first at once, a window after a change, two after one downwards, and a window after a pause.
  pauses = pauses.map(({ fromMs, toMs }) => ({ fromMs, toMs: toMs + windowMs }));
  const stepMs = windowMs / 200;
  let [fits, made, arrival] = [0, 0, 0];
  for (let fromMs = 0; fromMs < endsAtMs; fromMs += stepMs) {
    const change = limits.findLastIndex(({ atMs }) => atMs <= fromMs);
    const { atMs = 0, limit = 0 } = limits[change] ?? {};
    const shrunk = limit < (limits[change - 1]?.limit ?? 0);
    const settled = change === 0 || fromMs >= atMs + windowMs * (shrunk ? 2 : 1);
    const open = !pauses.some((pause) => pause.fromMs <= fromMs && fromMs < pause.toMs);
    for (; (arrivals[arrival]?.atMs ?? Number.POSITIVE_INFINITY) < fromMs + stepMs; arrival += 1)
      if (settled && open) made += arrivals[arrival]?.calls ?? 0;
    if (settled && open) fits += (limit * stepMs) / windowMs;
  }
  const accepted = arrivals.reduce((sum, { calls }) => sum + calls, 0);
  return { accepted, requests, refusedAnswers, refusedAgain, sentBeforeNamed, usage: fits === 0 ? 1 : made / fits };
}
