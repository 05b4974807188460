/** Three ways to tell how a backfill goes: a live bar, a line every few seconds, or NDJSON (`backfill-events.ts`). */
import type { NamesTotals, RunPhase } from "../domain/run.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { BackfillProgress, PersonDone } from "../usecases/backfill.ts";
import type { Io } from "./io.ts";
import { openLiveScreen } from "./live-screen.ts";
import { createProgressRate } from "./progress-rate.ts";
import { type ProgressView, renderProgress, renderProgressSentence } from "./progress-view.ts";
import { unicodeOf } from "./terminal-style.ts";

/** Without a terminal a line this often: enough to see that it lives, little enough to read. */
export const lineEveryMs = 5_000;
/** The rate and the countdown of the bar go on between two batches. */
const tickMs = 250;

export type BackfillDisplay = Disposable & {
  readonly progress: (progress: BackfillProgress) => void;
  readonly person: (person: PersonDone) => void;
  /** The first Ctrl-C has come. */
  readonly stopping: () => void;
};

/** What is shown. `done`, `names`: what an earlier owner of the run has finished; that is no part of the rate. */
export type Shown = {
  readonly runId: string;
  readonly accountName: string;
  readonly phase: RunPhase;
  readonly total: number;
  readonly done: number;
  readonly names: NamesTotals;
  /** Conversations that its inbox will list, as far as anybody knows before; null: nobody does. */
  readonly inbox: number | null;
  /** After the names come the profiles. */
  readonly profilesFollow: boolean;
  /** How long Instagram's limit makes the profiles of so many people last, in ms; null: no limit is known. */
  readonly limitMs: (people: number) => number | null;
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
    person() {},
    stopping() {
      view.stop();
      screen.writeAbove(renderStopping(io.env));
    },
    [Symbol.dispose]() {
      stopTicks();
      connect(null);
      screen[Symbol.dispose]();
    },
  };
}

/** A log line every five seconds. */
export function openLineDisplay(
  io: Pick<Io, "stderr" | "env" | "clock">,
  run: Shown,
  log: Pick<Log, "log">,
): BackfillDisplay {
  const view = createView(run, io.clock);
  const stopTicks = every(io.clock, lineEveryMs, () => {
    const { phase, done, total } = view.read();
    log.log(renderProgressSentence(view.read()), "Backfill", { job: run.runId, phase, done, total });
  });
  return {
    progress: view.note,
    person() {},
    stopping: () => io.stderr.write(renderStopping(io.env)),
    [Symbol.dispose]: stopTicks,
  };
}

/** The first Ctrl-C is answered, in letters that the terminal has. */
export function renderStopping(env: Io["env"]): string {
  return `Finishing the batch in hand${unicodeOf(env) ? "…" : "..."} (Ctrl-C again leaves at once)\n`;
}

/** What a display knows: the latest progress and how fast it came. */
export function createView(run: Shown, clock: Clock) {
  const { accountName, profilesFollow, inbox } = run;
  type Seen = Pick<BackfillProgress, "phase" | "names" | "done" | "total" | "outcomes" | "pausedForMs">;
  let latest: Seen = { ...run, outcomes: {}, pausedForMs: null };
  let rate = createProgressRate(clock.monotonicMs(), countOf(latest));
  let stopping = false;
  return {
    note(progress: BackfillProgress): void {
      const nowMs = clock.monotonicMs();
      // Each phase counts something else. A list that starts anew takes its count back.
      const anew = progress.phase !== latest.phase || countOf(progress) < countOf(latest);
      if (anew) rate = createProgressRate(nowMs, countOf(progress));
      latest = progress;
      rate.note(nowMs, { done: countOf(progress), pausedForMs: progress.pausedForMs });
    },
    stop(): void {
      stopping = true;
    },
    read(): ProgressView {
      const { phase, names, outcomes } = latest;
      const done = countOf(latest);
      const known = phase === "profiles" ? latest.total : inbox;
      const total = known === null || known < done ? null : known;
      const limitMs = phase === "profiles" ? run.limitMs : () => null;
      const { ratePerSecond, etaMs, pauseLeftMs } = rate.read(clock.monotonicMs(), total, limitMs);
      const pausedForMs = latest.pausedForMs === null ? null : pauseLeftMs;
      const speed = { ratePerSecond, etaMs, pausedForMs, stopping };
      return { accountName, phase, done, total, names, outcomes, profilesFollow, ...speed };
    },
  };
}

const countOf = ({ phase, done, names }: Pick<BackfillProgress, "phase" | "done" | "names">): number =>
  phase === "names" ? names.listed : done;

/** Calls `run` every `ms` until the returned function is called. */
function every(clock: Pick<Clock, "after">, ms: number, run: () => void): () => void {
  let cancel = clock.after(ms, tick);
  function tick() {
    cancel = clock.after(ms, tick);
    run();
  }
  return () => cancel();
}
