import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { messageOf } from "../lib/message-of.ts";
import { repeat } from "../lib/repeat.ts";
import type { DaemonsRepository } from "../repository/daemons.ts";
import type { SchedulesRepository } from "../repository/schedules.ts";

/** How often a daemon says that it is alive. */
export const heartbeatEveryMs = 10_000;
/** A daemon that has been silent for longer than this is taken for dead: three heartbeats. */
export const aliveWithinMs = 30_000;
/** How often a daemon asks for work that is due. */
export const tickEveryMs = 15_000;

/** Work that the whole set of daemons does once in `everyMs`. */
export type Schedule = {
  readonly name: string;
  readonly everyMs: number;
  /** Longer than `run` takes: when it is over, `run`'s signal fires and another daemon may begin. */
  readonly leaseMs: number;
  /** Does it; `signal` asks to stop soon. What throws is tried again at the next tick. */
  readonly run: (signal: AbortSignal) => Promise<void>;
};

export type SchedulesDependencies = {
  schedules: Pick<SchedulesRepository, "claim" | "finish" | "release">;
  daemons: Pick<DaemonsRepository, "beat" | "leave">;
  clock: Clock;
  log: Log;
};

export type Schedules = ReturnType<typeof createSchedules>;

/**
 * Runs schedules in this daemon, each when its turn in the whole set falls to it, and says that the daemon is alive.
 * No daemon is special: a row in Postgres says who holds what. `id` must be this daemon's alone.
 */
export function createSchedules(
  { schedules, daemons, clock, log }: SchedulesDependencies,
  { id, list, tickMs = tickEveryMs }: { id: string; list: readonly Schedule[]; tickMs?: number },
  { stopTaking }: { stopTaking: AbortSignal },
) {
  const running = new Map<string, Promise<void>>();
  const every = (everyMs: number, work: () => Promise<void>, trouble: string) =>
    repeat({ clock, stop: stopTaking, everyMs }, work, (error) => log.warn(`${trouble}: ${messageOf(error)}`, context));
  const beats = every(heartbeatEveryMs, () => daemons.beat(id), "Heartbeat put off");
  const ticks = every(tickMs, async () => tick(), "Schedules put off");

  function tick(): void {
    for (const schedule of list) {
      if (running.has(schedule.name)) continue;
      const turn = take(schedule)
        .catch((error) => log.warn(`Schedule ${schedule.name} put off: ${messageOf(error)}`, context))
        .finally(() => running.delete(schedule.name));
      running.set(schedule.name, turn);
    }
  }

  async function take(schedule: Schedule): Promise<void> {
    const { name, everyMs, leaseMs } = schedule;
    if (stopTaking.aborted || !(await schedules.claim(name, everyMs, leaseMs, id))) return;
    const over = new AbortController();
    const cancel = clock.after(leaseMs, () => over.abort());
    let done = false;
    try {
      const signal = AbortSignal.any([stopTaking, over.signal]);
      await schedule.run(signal);
      done = !signal.aborted;
    } finally {
      cancel();
      // What was stopped or has failed is anybody's at once. Where even that cannot be said, the lease runs out.
      await (done ? schedules.finish(name, id) : schedules.release(name, id)).catch((error) =>
        log.warn(`Schedule ${name} left to its lease: ${messageOf(error)}`, context),
      );
    }
  }

  return {
    /** Says that the daemon is alive, and asks for work for the first time. */
    start(): void {
      beats.start();
      ticks.start();
    },
    /** After `stopTaking`: waits for what runs, whose signal has fired, and takes the daemon off the list. */
    async settle(): Promise<void> {
      await Promise.all([beats.settle(), ticks.settle()]);
      await Promise.all(running.values());
      await daemons
        .leave(id)
        .catch((error) => log.debug(`Daemon left on the list: ${messageOf(error)}`, context, { id }));
    },
  };
}

const context = "Schedules";
