/** A backfill as NDJSON on standard output: `start`, then `progress`, `pause` and `person`, then `end`. */

import { parseConversationId } from "../domain/ids.ts";
import type { Run } from "../domain/run.ts";
import type { BackfillProgress, BackfillReport } from "../usecases/backfill.ts";
import { type BackfillDisplay, createView, renderStopping, type Shown } from "./backfill-display.ts";
import type { ExitCode, Io } from "./io.ts";

/** Progress at most this often; the last state is told before the end whatever the time. */
export const eventEveryMs = 1_000;
/** A pause is told anew where it got longer by more than this: a countdown is no news. */
const pauseNewsMs = 1_000;
/** Version of the lines that `backfill --json` prints. */
export const backfillLineVersion = 1;

/** Tells `progress`, `pause` and `person`. */
export function openEventDisplay(io: Pick<Io, "stdout" | "stderr" | "env" | "clock">, run: Shown): BackfillDisplay {
  const view = createView(run, io.clock);
  const { runId } = run;
  let toldAtMs = Number.NEGATIVE_INFINITY;
  let untold: BackfillProgress | null = null;
  let pauseEndsAtMs = 0;
  let people = "";
  /** Prints whom a step is done with, all at once: a write each costs more than to look them up. */
  const flush = () => {
    if (people !== "") io.stdout.write(people);
    people = "";
  };
  const tell = ({ phase, done, total, successful, errors, outcomes, names }: BackfillProgress) => {
    toldAtMs = io.clock.monotonicMs();
    untold = null;
    const { ratePerSecond, etaMs } = view.read();
    const counted = { done, total, successful, errors, outcomes, names };
    printEvent(io, "progress", { runId, phase, ...counted, ratePerSecond, etaMs });
  };
  return {
    progress(progress) {
      flush();
      view.note(progress);
      const nowMs = io.clock.monotonicMs();
      const { phase, pausedForMs } = progress;
      // Progress without a pause in the middle of one that was told does not begin it anew.
      if (pausedForMs !== null && nowMs + pausedForMs > pauseEndsAtMs + pauseNewsMs) {
        pauseEndsAtMs = nowMs + pausedForMs;
        printEvent(io, "pause", { runId, phase, pausedForMs: Math.round(pausedForMs) });
      }
      untold = progress;
      if (nowMs - toldAtMs >= eventEveryMs) tell(progress);
    },
    person({ id, outcome, username, name }) {
      const participantId = parseConversationId(id)?.participantId ?? null;
      people += renderEvent("person", { runId, conversationId: id, participantId, outcome, username, name });
    },
    stopping: () => io.stderr.write(renderStopping(io.env)),
    [Symbol.dispose]() {
      flush();
      if (untold !== null) tell(untold);
    },
  };
}

type StartOf = Pick<Run, "phase" | "total" | "names"> & {
  /** null: there is nothing to do. */
  readonly runId: string | null;
  readonly accountId: string;
  readonly batchSize: number;
  /** An earlier owner has begun it. */
  readonly resumed: boolean;
  /** Somebody else works on it. */
  readonly watching: boolean;
};

/** Tells `start`. */
export function printStart(io: Pick<Io, "stdout">, start: StartOf): void {
  const { runId, accountId, phase, total, names, batchSize, resumed, watching } = start;
  printEvent(io, "start", { runId, accountId, phase, total, names, batchSize, resumed, watching });
}

/** Tells `start` of a run that somebody else works on. */
export function printWatching(io: Pick<Io, "stdout">, run: Run, accountId: string): void {
  const { id: runId, phase, total, names, options, done } = run;
  const resumed = done > 0 || names.listed > 0;
  printStart(io, { runId, accountId, phase, total, names, batchSize: options.batchSize, resumed, watching: true });
}

type EndOf = Omit<BackfillReport, "runId"> & {
  readonly runId: string | null;
  readonly accountId: string;
  readonly exitCode: ExitCode;
};

/** Tells `end`. `exitCode` is the backfill's own, whatever the process that watched it exits with. */
export function printEnd(io: Pick<Io, "stdout">, end: EndOf): void {
  const { runId, accountId, state, done, total, successful, errors, outcomes, names } = end;
  const { durationMs, interrupted, blockedReason, exitCode } = end;
  const counted = { done, total, successful, errors, outcomes, names };
  printEvent(io, "end", { runId, accountId, state, ...counted, durationMs, interrupted, blockedReason, exitCode });
}

/** Prints one NDJSON line on standard output, in one piece. */
export function printEvent(io: Pick<Io, "stdout">, event: string, fields: Readonly<Record<string, unknown>>): void {
  io.stdout.write(renderEvent(event, fields));
}

const renderEvent = (event: string, fields: Readonly<Record<string, unknown>>) =>
  `${JSON.stringify({ v: backfillLineVersion, event, ...fields })}\n`;
