import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { Difference } from "../repository/difference.ts";
import type { ReplayReport } from "../usecases/replay.ts";
import type { Outcome, ReplayTally } from "../usecases/replay-tally.ts";
import type { Io } from "./io.ts";
import {
  differenceJson,
  differencesShownMax,
  renderDifference,
  renderReplay,
  renderReplayEnd,
  replayLineVersion,
} from "./replay-text.ts";
import { renderCount } from "./text-values.ts";

/** A sign of life on standard error this often. */
export const lifeEveryMs = 5_000;

export type ReplayDisplay = {
  readonly difference: (difference: Difference, outcome: Outcome) => void;
  readonly progress: (tally: ReplayTally) => void;
  readonly end: (report: ReplayReport, exitCode: number) => void;
};

/** Differences for people: the first hundred, then how many more, then a table. */
export function openReplayLines(io: Pick<Io, "stdout" | "stderr" | "clock">, log: Log, dryRun: boolean): ReplayDisplay {
  let count = 0;
  return {
    difference(difference, outcome) {
      count += 1;
      if (count <= differencesShownMax) io.stdout.write(renderDifference(difference, outcome));
    },
    progress: tellLife(io.clock, log),
    end(report) {
      const more = count - differencesShownMax;
      if (more > 0) io.stdout.write(`and ${renderCount(more)} more (--json prints them all)\n`);
      io.stdout.write(renderReplay(report, dryRun));
      io.stderr.write(renderReplayEnd(report, dryRun));
    },
  };
}

/** Every difference as a line of NDJSON, and an end. */
export function openReplayEvents(
  io: Pick<Io, "stdout" | "stderr" | "clock">,
  log: Log,
  dryRun: boolean,
): ReplayDisplay {
  const print = (value: unknown) => io.stdout.write(`${JSON.stringify(value)}\n`);
  return {
    difference: (difference, outcome) => print(differenceJson(difference, outcome)),
    progress: tellLife(io.clock, log),
    end(report, exitCode) {
      print({ v: replayLineVersion, type: "end", dryRun, ...report, exitCode });
      io.stderr.write(renderReplayEnd(report, dryRun));
    },
  };
}

function tellLife(clock: Pick<Clock, "monotonicMs">, log: Log): (tally: ReplayTally) => void {
  let toldAtMs = clock.monotonicMs();
  return ({ events, tables }) => {
    const nowMs = clock.monotonicMs();
    if (nowMs - toldAtMs < lifeEveryMs) return;
    toldAtMs = nowMs;
    log.log(
      `Replayed ${renderCount(events)} events, compared ${renderCount(tables.messages.checked)} messages and ${renderCount(tables.conversations.checked)} conversations`,
      "Replay",
    );
  };
}
