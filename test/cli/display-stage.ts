/**
 * Plays a moment of a backfill on the terminal it is started in, with the program's own display and a clock that stands
 * still, and stays there until it is interrupted. `bun display-stage.ts <stage> <file made when the screen stands>`.
 */
import { writeFileSync } from "node:fs";
import { openLiveDisplay, type Shown } from "../../src/cli/backfill-display.ts";
import { finalSentence, printReport } from "../../src/cli/backfill-report.ts";
import type { Output } from "../../src/cli/io.ts";
import type { BackfillProgress, BackfillReport } from "../../src/usecases/backfill.ts";
import { createManualClock } from "./manual-clock.ts";

const [stage = "", readyFile = ""] = process.argv.slice(2);
const { clock, advance } = createManualClock();
const abort = new AbortController();
const wrap = (stream: NodeJS.WriteStream): Output => ({
  write: (text) => void stream.write(text),
  drained: async () => {},
  isTty: stream.isTTY,
  columns: () => stream.columns,
  onResize(listener) {
    stream.on("resize", listener);
    return () => stream.off("resize", listener);
  },
});
const io = { stdout: wrap(process.stdout), stderr: wrap(process.stderr), env: process.env, clock, abort: abort.signal };

/** 50 conversations a call, a call each 600 ms; then 40 people a second. */
const names = (calls: number, imported = 0) => ({ calls, listed: calls * 50, named: calls * 49, imported });
const run: Shown = {
  ...{ runId: "20261122-222331-k7qd", accountName: "shop", phase: "names", total: 10_000, done: 0, names: names(0) },
  ...{ inbox: stage === "names-import" ? null : 12_000, profilesFollow: stage !== "names-only" },
  limitMs: stage === "profiles-limit" ? (people) => (people / 200) * 3_600_000 : () => null,
};
const blank = { total: 10_000, successful: 0, errors: 0, outcomes: {}, done: 0, pausedForMs: null };
const listed = (calls: number, pausedForMs: number | null = null): BackfillProgress => ({
  ...{ ...blank, phase: "names", names: names(calls, stage === "names-import" ? calls * 2 : 0), pausedForMs },
});
const looked = (done: number, pausedForMs: number | null = null): BackfillProgress => {
  const errors = Math.floor(done / 10);
  const outcomes = { complete: done - errors - 12, no_picture: 12, no_consent: errors - 3, gone: 3 };
  return {
    ...{
      ...blank,
      phase: "profiles",
      names: names(240),
      done,
      successful: done - errors,
      errors,
      outcomes,
      pausedForMs,
    },
  };
};

process.stdout.write("\u001b[2J\u001b[H");
const display = openLiveDisplay(io, run, () => {});
process.on("SIGINT", () => {
  display[Symbol.dispose]();
  process.exit(3);
});
for (let calls = 1; calls <= 25; calls++) {
  advance(600);
  display.progress(listed(calls));
}
if (stage === "names-pause") display.progress(listed(25, 843_000));
if (stage === "names-stopping") display.stopping();
if (/^(?:profiles|end)/.test(stage))
  for (let second = 0; second <= 30; second++) {
    display.progress(looked(200 + second * 40));
    advance(1_000);
  }
if (stage === "profiles-pause") display.progress(looked(1_400, 843_000));
if (stage === "profiles-stopping") display.stopping();
advance(1_000);
if (stage.startsWith("end")) {
  const { done, successful, errors, outcomes } = looked(stage === "end-stopped" ? 1_400 : 10_000);
  const interrupted = stage === "end-stopped";
  const report: BackfillReport = {
    ...{ runId: run.runId, state: interrupted ? "interrupted" : "completed", names: names(240, 3), total: 10_000 },
    ...{ done, successful, errors, outcomes, blockedReason: null, interrupted, durationMs: 254_321 },
  };
  display[Symbol.dispose]();
  printReport(io, report, { ownId: "shop", asEvents: false, goOn: "social-sync backfill --account-id shop" });
  if (!interrupted) io.stderr.write(`${finalSentence(report)}\n`);
}
await new Promise<void>((resolve) => process.stderr.write("", () => resolve()));
writeFileSync(readyFile, "");
setInterval(() => {}, 60_000);
