import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { lineEveryMs, openLineDisplay, openLiveDisplay, type Shown } from "../../src/cli/backfill-display.ts";
import { openEventDisplay, printEnd, printStart } from "../../src/cli/backfill-events.ts";
import { exitCodes, type Output } from "../../src/cli/io.ts";
import {
  type AccountId,
  conversationIdOf,
  type ParticipantId,
  parseAccountId,
  parseParticipantId,
} from "../../src/domain/ids.ts";
import type { BackfillProgress } from "../../src/usecases/backfill.ts";
import { createManualClock } from "./manual-clock.ts";
import { linesOf } from "./run-cli.ts";

const noNames = { calls: 0, listed: 0, named: 0, imported: 0 };
const run: Shown = {
  ...{ runId: "r", accountName: "shop", phase: "profiles", total: 1_000, done: 0, names: noNames },
  ...{ inbox: 2_000, profilesFollow: true, limitMs: () => null },
};
const listed = (count: number, more: Partial<BackfillProgress> = {}): BackfillProgress => ({
  ...progress(0),
  phase: "names",
  names: { calls: count / 50, listed: count, named: count, imported: 0 },
  ...more,
});
const progress = (done: number, pausedForMs: number | null = null): BackfillProgress => ({
  phase: "profiles",
  names: noNames,
  done,
  total: 1_000,
  successful: done,
  errors: 0,
  outcomes: { complete: done },
  pausedForMs,
});

function outputTo(writes: string[]): Output {
  return {
    write: (text) => writes.push(text),
    drained: async () => {},
    isTty: false,
    columns: () => 80,
    onResize: () => () => {},
  };
}

test("openLineDisplay() logs a line every five seconds and none after its end", () => {
  const { clock, advance } = createManualClock();
  const lines: string[] = [];
  const display = openLineDisplay({ stderr: outputTo([]), env: {}, clock }, run, {
    log: (message) => lines.push(message),
  });
  for (let second = 0; second < 12; second++) {
    display.progress(progress(second * 10));
    advance(1_000);
  }
  expect(lines).toEqual([
    "shop: profiles 40/1,000 4%, 8.0/s, ETA 2 min, 40 complete",
    "shop: profiles 90/1,000 9%, 9.0/s, ETA 1 min 42 s, 90 complete",
  ]);
  display[Symbol.dispose]();
  advance(3 * lineEveryMs);
  expect(lines).toHaveLength(2);
});

describe("openEventDisplay()", () => {
  test("tells progress at most once a second, and each pause once", () => {
    const { clock, advance } = createManualClock();
    const writes: string[] = [];
    const display = openEventDisplay({ stdout: outputTo(writes), stderr: outputTo([]), env: {}, clock }, run);
    for (let ms = 0; ms < 3_000; ms += 100) {
      display.progress(progress(ms / 10));
      advance(100);
    }
    for (let left = 5_000; left > 0; left -= 250) {
      display.progress(progress(300, left));
      if (left === 4_000) display.progress(progress(300)); // A step that began before the pause has ended.
      advance(250);
    }
    display.progress(progress(301));
    display.progress(progress(301, 60_000));
    const events = writes.map((line) => JSON.parse(line));
    expect(events.filter(({ event }) => event === "pause").map(({ pausedForMs }) => pausedForMs)).toEqual([
      5_000, 60_000,
    ]);
    expect(events.filter(({ event }) => event === "progress").length).toBeLessThanOrEqual(9);
    expect(events.every(({ v, runId }) => v === 1 && runId === "r")).toBe(true);
  });

  test("tells the last state before the end, and nothing twice", () => {
    const { clock, advance } = createManualClock();
    const writes: string[] = [];
    const io = { stdout: outputTo(writes), stderr: outputTo([]), env: {}, clock };
    for (const [first, last] of [
      [10, 20],
      [30, 30],
    ] as const) {
      writes.length = 0;
      const display = openEventDisplay(io, run);
      display.progress(progress(first));
      advance(10);
      if (last !== first) display.progress(progress(last));
      display[Symbol.dispose]();
      display[Symbol.dispose]();
      expect(writes.map((line) => JSON.parse(line).done)).toEqual([...new Set([first, last])]);
    }
  });

  test("tells each person on a line of their own, those of a step in one write before its progress", () => {
    const writes: string[] = [];
    const io = { stdout: outputTo(writes), stderr: outputTo([]), env: {}, clock: createManualClock().clock };
    const display = openEventDisplay(io, run);
    const id = conversationIdOf(parseAccountId("17841") as AccountId, parseParticipantId("900") as ParticipantId);
    const person = { id, outcome: "complete", username: "a\nb", name: "지우\u2028" } as const;
    const told = {
      ...{ v: 1, event: "person", runId: "r", conversationId: "17841_900", participantId: "900" },
      ...{ outcome: "complete", username: "a\nb", name: "지우\u2028" },
    };
    for (let times = 0; times < 2; times += 1) display.person(person);
    display.progress(progress(2));
    expect(writes).toHaveLength(2);
    expect(writes[0]?.endsWith("\n")).toBe(true);
    expect(linesOf(writes[0] ?? "").map((line) => JSON.parse(line))).toEqual([told, told]);
    expect(JSON.parse(writes[1] ?? "")).toMatchObject({ event: "progress", done: 2 });
    display.person(person); // what no progress follows is told at the end
    display[Symbol.dispose]();
    expect(JSON.parse(writes.at(-1) ?? "")).toEqual(told);
  });

  test("has the same fields in every line of a kind, which README lists", () => {
    const { clock } = createManualClock();
    const writes: string[] = [];
    const io = { stdout: outputTo(writes), stderr: outputTo([]), env: {}, clock };
    const { phase, total, names } = run;
    const start = { phase, total, names, accountId: "shop", batchSize: 10, resumed: false };
    printStart(io, { ...start, runId: "r", watching: false });
    const display = openEventDisplay(io, run);
    display.progress(listed(50, { pausedForMs: 9_000 }));
    const id = conversationIdOf(parseAccountId("17841") as AccountId, parseParticipantId("900") as ParticipantId);
    display.person({ id, outcome: "gone", username: null, name: null });
    display[Symbol.dispose]();
    const { done, successful, errors, outcomes } = progress(7);
    const counted = { done, total: 7, successful, errors, outcomes, names };
    const end = { state: "completed", durationMs: 5, interrupted: false, blockedReason: null } as const;
    printEnd(io, { ...counted, ...end, runId: "r", accountId: "shop", exitCode: exitCodes.done });
    const readme = readFileSync(join(import.meta.dir, "../../README.md"), "utf8");
    for (const line of writes) {
      const { v, event, runId, ...fields } = JSON.parse(line);
      expect([v, runId]).toEqual([1, "r"]);
      const [, told = ""] = new RegExp(`^\\| \`${event}\` +\\|([^|]*)\\|`, "m").exec(readme) ?? [];
      expect({ event, fields: [...told.matchAll(/`(\w+)`/g)].map(([, name]) => name) }).toEqual({
        event,
        fields: Object.keys(fields),
      });
    }
    expect(writes).toHaveLength(5);
  });
});

describe("openLiveDisplay()", () => {
  function open(of: Partial<Shown> = {}) {
    const { clock, advance } = createManualClock();
    const writes: string[] = [];
    const stderr = { ...outputTo(writes), isTty: true };
    const io = { stderr, env: { LANG: "C.UTF-8", NO_COLOR: "1" }, clock, abort: new AbortController().signal };
    const display = openLiveDisplay(io, { ...run, ...of }, () => {});
    const shown = () => (writes.at(-1) ?? "").split("\u001b[J").at(-1)?.split("\n") ?? [];
    return { display, advance, writes, shown };
  }

  test("counts what each phase counts, with a rate of its own", () => {
    const { display, advance, shown } = open({ phase: "names" });
    for (let second = 1; second <= 10; second++) {
      advance(1_000);
      display.progress(listed(second * 100));
    }
    advance(250);
    expect(shown()[0]).toMatch(/^shop names █+░+ 1,000\/2,000 50%$/);
    expect(shown()[1]).toMatch(/^9\d\/s · profiles in 1\d s · 1,000 usernames · 20 calls$/);
    for (let second = 1; second <= 10; second++) {
      display.progress(progress(second * 5));
      advance(1_000);
    }
    expect(shown()[0]).toMatch(/^shop profiles █+░+ 50\/1,000 5%$/);
    expect(shown()[1]).toMatch(/^[45]\.\d\/s · ETA 3 min/);
  });

  test("an inbox that is larger than was known has no end any more, and one that starts anew no rate below zero", () => {
    const { display, advance, shown } = open({ phase: "names", profilesFollow: false });
    display.progress(listed(2_050));
    advance(1_000);
    expect(shown()[0]).toEndWith(" 2,050 listed");
    expect(shown()[1]).not.toContain("ETA");
    display.progress(listed(50));
    advance(1_000);
    expect(shown()[0]).toEndWith(" 50/2,000 2%");
    expect(shown()[1]).not.toContain("-");
  });

  test("goes by the limit that is known for the time to the end", () => {
    const { display, advance, shown } = open({ limitMs: (people) => (people / 200) * 3_600_000 });
    for (let second = 1; second <= 10; second++) {
      display.progress(progress(second * 10));
      advance(1_000);
    }
    expect(shown()[1]).toContain(" · ETA 4 h 30 min · ");
  });

  test("redraws at most ten times a second, whatever is told how often", () => {
    const { display, advance, writes } = open();
    const before = writes.length;
    for (let ms = 0; ms < 3_000; ms++) {
      display.progress(progress(ms % 1_000));
      if (ms === 1_500) display.stopping();
      advance(1);
    }
    expect(writes.length - before).toBeLessThanOrEqual(31);
    expect(writes.join("").match(/Finishing the batch/g)).toHaveLength(1);
  });
});
