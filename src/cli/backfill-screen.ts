/** The display of a run that this process works on, or that it watches; the same for both. */
import type { readConfig } from "../config.ts";
import type { Account } from "../domain/account.ts";
import { everybody, type Run } from "../domain/run.ts";
import type { Runtime } from "../runtime.ts";
import { type BackfillReport, backfill } from "../usecases/backfill.ts";
import { followRun } from "../usecases/follow-run.ts";
import { type BackfillDisplay, openLineDisplay, openLiveDisplay, type Shown } from "./backfill-display.ts";
import { openEventDisplay } from "./backfill-events.ts";
import { withoutPeople } from "./backfill-log.ts";
import type { Io } from "./io.ts";
import { watchLimit } from "./limit-watch.ts";
import { openCommandLog } from "./log-output.ts";
import { sweepMemory } from "./memory-sweep.ts";

/** What may wait for the reader of standard output, in characters: beyond that, some 4,000 people, no step begins. */
export const unreadMax = 1_000_000;

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

type Screen = { readonly logs: Logs; readonly mode: Mode };
type ToCount = Pick<Runtime, "candidates" | "budget" | "clock" | "config">;

/** Works on the run with its display; the first signal stops it after what is in hand. */
export async function workOn(
  io: Io,
  runtime: Pick<Runtime, "accounts" | "runs" | "enrich" | "listNames" | "log"> & ToCount,
  { run, account, total }: { run: Run; account: Account; total: number },
  screen: Screen,
): Promise<BackfillReport> {
  const inbox = await countInbox(runtime, run);
  using limit = watchLimit(runtime, { accountId: run.accountId, windowMs: runtime.config.rateWindowMs });
  const seen = { ...run, total: Math.max(total, run.done) };
  using display = openDisplay(
    io,
    buildShown(seen, { accountName: account.ownId, inbox, limitMs: limit.limitMs }),
    screen,
  );
  using _stop = onStop(io.stopTaking, display.stopping);
  using _memory = sweepMemory(io);
  const { progress: onProgress, person: onPerson } = display;
  const untilRead = (halt: AbortSignal) => io.stdout.drained(unreadMax, halt);
  return await backfill(runtime, { run, account }, { signal: io.stopTaking, onProgress, onPerson, untilRead });
}

/** Watches a run by its row with the same display; a signal ends the watching, not the run. */
export async function watchRun(
  io: Io,
  runtime: Pick<Runtime, "runs"> & ToCount,
  { run, accountName, untilFree }: { run: Run; accountName: string; untilFree: boolean },
  screen: Screen,
): Promise<Run | null> {
  const inbox = await countInbox(runtime, run);
  using limit = watchLimit(runtime, { accountId: run.accountId, windowMs: runtime.config.rateWindowMs });
  const seen = { ...run, total: run.total ?? run.done };
  using display = openDisplay(io, buildShown(seen, { accountName, inbox, limitMs: limit.limitMs }), screen);
  const onProgress = (now: Run) => display.progress({ ...now, total: Math.max(now.total ?? 0, now.done) });
  return await followRun(runtime, { id: run.id, untilFree }, { signal: io.stopTaking, onProgress });
}

/** How many conversations the account has here, for the bar of the names; null: that tells nothing of its inbox. */
async function countInbox({ candidates }: Pick<Runtime, "candidates">, run: Run): Promise<number | null> {
  if (run.phase !== "names" || run.options.importMissing) return null;
  const { total } = await candidates.countCandidates(run.accountId, everybody);
  return total === 0 ? null : total;
}

function buildShown(
  { id, phase, total, done, names, options }: Run & { total: number },
  more: Pick<Shown, "accountName" | "inbox" | "limitMs">,
): Shown {
  return { runId: id, phase, total, done, names, profilesFollow: options.profiles, ...more };
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
