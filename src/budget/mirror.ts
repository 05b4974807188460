import type { Clock } from "../lib/clock.ts";
import type { Ledger, LogEntry, PoolMemory, PoolSnapshot } from "./ledger.ts";

/** Each process looks into the shared log after this part of the window, to know what it held should it be lost. */
export const mirrorShare = 1 / 120;
/** Calls that Redis has yet to be told of are put together into this part of the window. */
export const owedShare = 1 / 1000;

export type Owed = { atMs: number; calls: number; shared: number };
type Seen = {
  /** When `entries` were read. */
  readonly readAtMs: number;
  readonly entries: readonly LogEntry[];
  readonly askedAtMs: number;
  readonly snapshot: PoolSnapshot;
  readonly snapshotAtMs: number;
};

/** What one process knows of the shared book, and what that book does not know of it. */
export function createMirror(ledger: Pick<Ledger, "readLog">, windowMs: number, clock: Pick<Clock, "monotonicMs">) {
  const seen = new Map<string, Seen>();
  const owed = new Map<string, Owed[]>();

  /** Notes what a step on the shared book showed, and now and then reads its log. */
  function note(pool: string, snapshot: PoolSnapshot): void {
    const nowMs = clock.monotonicMs();
    const before = seen.get(pool) ?? { readAtMs: nowMs, entries: [], askedAtMs: Number.NEGATIVE_INFINITY };
    const due = nowMs - before.askedAtMs >= windowMs * mirrorShare;
    seen.set(pool, { ...before, askedAtMs: due ? nowMs : before.askedAtMs, snapshot, snapshotAtMs: nowMs });
    if (!due) return;
    void ledger.readLog(pool).then(
      (entries) => {
        const now = seen.get(pool);
        if (now !== undefined) seen.set(pool, { ...now, entries, readAtMs: nowMs });
      },
      () => {}, // The next one may bring it.
    );
  }

  /** One in `share` of what the shared book was last seen to hold, as of now. */
  function recall(pool: string, share: number): Omit<PoolMemory, "owed"> {
    const from = seen.get(pool);
    if (from === undefined) return { pool, entries: [], learned: null, percent: null, accountStopMs: 0, appStopMs: 0 };
    const nowMs = clock.monotonicMs();
    const sinceMs = nowMs - from.readAtMs;
    const snapshotAgeMs = nowMs - from.snapshotAtMs;
    const entries: LogEntry[] = [];
    let [sum, sumShared, given, givenShared] = [0, 0, 0, 0];
    // Rounded over the running sum, so that a thousand moments of one call each do not become as many for everybody.
    for (const entry of from.entries) {
      [sum, sumShared] = [sum + entry.calls, sumShared + entry.shared];
      const calls = Math.ceil(sum / share) - given;
      const shared = Math.min(calls, Math.ceil(sumShared / share) - givenShared);
      [given, givenShared] = [given + calls, givenShared + shared];
      if (calls > 0) entries.push({ ageMs: entry.ageMs + sinceMs, calls, shared });
    }
    // Made since then: as late as they can have been.
    const fresh = Math.ceil(Math.max(0, from.snapshot.used - sum) / share);
    if (fresh > 0) entries.push({ ageMs: snapshotAgeMs, calls: fresh, shared: 0 });
    const { learned, percent, accountStopMs, appStopMs } = from.snapshot;
    const left = (stopMs: number) => Math.max(0, stopMs - snapshotAgeMs);
    return { pool, entries, learned, percent, accountStopMs: left(accountStopMs), appStopMs: left(appStopMs) };
  }

  /** Notes calls that the shared book does not know of. */
  function owe(pool: string, made: readonly Owed[]): void {
    const list = owed.get(pool) ?? [];
    const nowMs = clock.monotonicMs();
    for (const { atMs, calls, shared } of made) {
      const last = list.at(-1);
      if (last !== undefined && Math.abs(atMs - last.atMs) < windowMs * owedShare) {
        last.atMs = Math.max(last.atMs, atMs);
        last.calls += calls;
        last.shared += shared;
      } else list.push({ atMs, calls, shared });
    }
    owed.set(
      pool,
      list.filter(({ atMs }) => nowMs - atMs <= windowMs),
    );
  }

  function takeOwed(pool: string): readonly Owed[] {
    const list = owed.get(pool) ?? [];
    owed.delete(pool);
    return list;
  }

  return { note, recall, owe, takeOwed, pools: () => [...seen.keys()], owing: () => [...owed.keys()] };
}
