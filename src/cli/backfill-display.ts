/** Three ways to tell how a backfill goes: a live bar, a line every few seconds, or NDJSON. */
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { BackfillProgress } from "../usecases/backfill.ts";
import type { Io } from "./io.ts";
import { openLiveScreen } from "./live-screen.ts";
import { createProgressRate } from "./progress-rate.ts";
import { type ProgressView, renderProgress, renderProgressSentence } from "./progress-view.ts";

/** Without a terminal a line this often: enough to see that it lives, little enough to read. */
export const lineEveryMs = 5_000;
/** NDJSON progress at most this often; the end is always told. */
export const eventEveryMs = 1_000;
/** The rate and the countdown of the bar go on between two batches. */
const tickMs = 250;
/** A pause is told anew where it got longer by more than this: a countdown is no news. */
const pauseNewsMs = 1_000;
/** Version of the lines that `backfill --json` prints. */
export const backfillLineVersion = 1;

export type BackfillDisplay = Disposable & {
  readonly progress: (progress: BackfillProgress) => void;
  /** The first Ctrl-C has come. */
  readonly stopping: () => void;
};

/** What is shown. `done`: how many an earlier owner of the run has finished; they are no part of the rate. */
export type Shown = {
  readonly runId: string;
  readonly accountName: string;
  readonly total: number;
  readonly done: number;
};

/** A bar at the bottom of the terminal. `connect` is handed the way for log lines to appear above it, then null. */
export function openLiveDisplay(
  io: Pick<Io, "stderr" | "env" | "clock" | "abort">,
  run: Shown,
  connect: (writeAbove: ((text: string) => void) | null) => void,
): BackfillDisplay {
  const view = createView(run, io.clock);
  const screen = openLiveScreen({ ...io, output: io.stderr }, (style) => renderProgress(view.read(), style));
  connect(screen.writeAbove);
  const stopTicks = every(io.clock, tickMs, screen.redraw);
  return {
    progress(progress) {
      view.note(progress);
      screen.redraw();
    },
    stopping() {
      view.stop();
      screen.writeAbove(stoppingSentence);
    },
    [Symbol.dispose]() {
      stopTicks();
      connect(null);
      screen[Symbol.dispose]();
    },
  };
}

/** A log line every five seconds. */
export function openLineDisplay(io: Pick<Io, "stderr" | "clock">, run: Shown, log: Pick<Log, "log">): BackfillDisplay {
  const view = createView(run, io.clock);
  const stopTicks = every(io.clock, lineEveryMs, () => {
    const { done, total } = view.read();
    log.log(renderProgressSentence(view.read()), "Backfill", { job: run.runId, done, total });
  });
  return {
    progress: view.note,
    stopping: () => io.stderr.write(stoppingSentence),
    [Symbol.dispose]: stopTicks,
  };
}

/** NDJSON on standard output: `start`, `progress`, `pause`; `printEnd()` of the command adds `end`. */
export function openEventDisplay(io: Pick<Io, "stdout" | "stderr" | "clock">, run: Shown): BackfillDisplay {
  const view = createView(run, io.clock);
  let toldAtMs = Number.NEGATIVE_INFINITY;
  let pauseEndsAtMs = 0;
  return {
    progress(progress) {
      view.note(progress);
      const nowMs = io.clock.monotonicMs();
      const { runId } = run;
      if (progress.pausedForMs === null) pauseEndsAtMs = 0;
      else if (nowMs + progress.pausedForMs > pauseEndsAtMs + pauseNewsMs) {
        pauseEndsAtMs = nowMs + progress.pausedForMs;
        printEvent(io, "pause", { runId, pausedForMs: Math.round(progress.pausedForMs) });
      }
      if (nowMs - toldAtMs < eventEveryMs) return;
      toldAtMs = nowMs;
      const { phase, done, total, successful, errors, outcomes } = progress;
      const { ratePerSecond, etaMs } = view.read();
      printEvent(io, "progress", { runId, phase, done, total, successful, errors, outcomes, ratePerSecond, etaMs });
    },
    stopping: () => io.stderr.write(stoppingSentence),
    [Symbol.dispose]() {},
  };
}

/** Prints one NDJSON line on standard output. */
export function printEvent(io: Pick<Io, "stdout">, event: string, fields: Readonly<Record<string, unknown>>): void {
  io.stdout.write(`${JSON.stringify({ v: backfillLineVersion, event, ...fields })}\n`);
}

const stoppingSentence = "Finishing the batch in hand… (Ctrl-C again leaves at once)\n";

/** What a display knows: the latest progress and how fast it came. */
function createView({ accountName, total, done }: Shown, clock: Clock) {
  const rate = createProgressRate(clock.monotonicMs(), done);
  let latest: Pick<BackfillProgress, "done" | "total" | "outcomes" | "pausedForMs"> = {
    done,
    total,
    outcomes: {},
    pausedForMs: null,
  };
  let stopping = false;
  return {
    note(progress: BackfillProgress): void {
      latest = progress;
      rate.note(clock.monotonicMs(), progress);
    },
    stop(): void {
      stopping = true;
    },
    read(): ProgressView {
      const { ratePerSecond, etaMs, pauseLeftMs } = rate.read(clock.monotonicMs(), latest.total);
      const pausedForMs = latest.pausedForMs === null ? null : pauseLeftMs;
      const { done, outcomes } = latest;
      return { accountName, done, total: latest.total, ratePerSecond, etaMs, outcomes, pausedForMs, stopping };
    },
  };
}

/** Calls `run` every `ms` until the returned function is called. */
function every(clock: Pick<Clock, "after">, ms: number, run: () => void): () => void {
  let cancel = clock.after(ms, tick);
  function tick() {
    cancel = clock.after(ms, tick);
    run();
  }
  return () => cancel();
}
