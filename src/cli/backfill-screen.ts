/** The display of a run that this process works on, or that it watches; the same for both. */
import type { readConfig } from "../config.ts";
import type { Account } from "../domain/account.ts";
import type { Run } from "../domain/run.ts";
import type { Runtime } from "../runtime.ts";
import { type BackfillProgress, type BackfillReport, backfill } from "../usecases/backfill.ts";
import { followRun } from "../usecases/follow-run.ts";
import {
  type BackfillDisplay,
  openEventDisplay,
  openLineDisplay,
  openLiveDisplay,
  type Shown,
} from "./backfill-display.ts";
import { withoutPeople } from "./backfill-log.ts";
import type { Io } from "./io.ts";
import { openCommandLog } from "./log-output.ts";

/** A live bar, a line every few seconds, or NDJSON. */
export type Mode = "live" | "lines" | "events";
export type Logs = ReturnType<typeof createLogs>;

/** How `io` can show progress. */
export function modeOf(io: Pick<Io, "stderr" | "env">, json: boolean): Mode {
  if (json) return "events";
  return io.stderr.isTty && io.env.TERM !== "dumb" ? "live" : "lines";
}

/** The run's log; while a bar is shown its lines go above the bar. */
export function createLogs(io: Io, config: ReturnType<typeof readConfig>, mode: Mode) {
  let writeAbove: ((text: string) => void) | null = null;
  const output = openCommandLog(config, io, (text) => (writeAbove ?? io.stderr.write)(text));
  const asked = (io.env.SOCIAL_SYNC_LOG_LEVEL ?? "").trim() !== "";
  return {
    output,
    log: mode === "live" && !asked ? withoutPeople(output.log) : output.log,
    connect(to: ((text: string) => void) | null) {
      output.flush();
      writeAbove = to;
    },
  };
}

/**
 * People after whom their garbage is collected: some ten milliseconds each time, and a run of any length stays below
 * 128 MB. Left to itself the engine lets it grow to the double. For a process of its own only: a daemon answers meanwhile.
 */
const sweepEveryPeople = 2_500;

type Screen = { readonly logs: Logs; readonly mode: Mode };

/** Works on the run with its display; the first signal stops it after what is in hand. */
export async function workOn(
  io: Io,
  runtime: Pick<Runtime, "accounts" | "candidates" | "runs" | "enrich" | "listNames" | "clock" | "log">,
  { run, account, total }: { run: Run; account: Account; total: number },
  { logs, mode }: Screen,
): Promise<BackfillReport> {
  const shown = { runId: run.id, accountName: account.ownId, total: Math.max(total, run.done), done: run.done };
  using display = openDisplay(io, shown, { logs, mode });
  using _stop = onStop(io.stopTaking, display.stopping);
  let sweptAt = 0;
  const onProgress = (progress: BackfillProgress) => {
    display.progress(progress);
    const people = progress.done + progress.names.listed;
    if (people - sweptAt < sweepEveryPeople) return;
    sweptAt = people;
    Bun.gc(true);
  };
  return await backfill(runtime, { run, account }, { signal: io.stopTaking, onProgress });
}

/** Watches a run by its row with the same display; a signal ends the watching, not the run. */
export async function watchRun(
  io: Io,
  { runs, clock }: Pick<Runtime, "runs" | "clock">,
  { run, accountName, untilFree }: { run: Run; accountName: string; untilFree: boolean },
  screen: Screen,
): Promise<Run | null> {
  const { id, done } = run;
  using display = openDisplay(io, { runId: id, accountName, total: run.total ?? done, done }, screen);
  const onProgress = (now: Run) => display.progress({ ...now, total: Math.max(now.total ?? 0, now.done) });
  return await followRun({ runs, clock }, { id, untilFree }, { signal: io.stopTaking, onProgress });
}

function onStop(signal: AbortSignal, run: () => void): Disposable {
  if (signal.aborted) run();
  else signal.addEventListener("abort", run, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener("abort", run) };
}

function openDisplay(io: Io, run: Shown, { logs, mode }: Screen): BackfillDisplay {
  if (mode === "events") return openEventDisplay(io, run);
  if (mode === "lines") return openLineDisplay(io, run, logs.log);
  return openLiveDisplay(io, run, logs.connect);
}
