import { describe, expect, test } from "bun:test";
import { createProgressRate } from "../../src/cli/progress-rate.ts";
import {
  type ProgressView,
  renderProgress,
  renderProgressSentence,
  type ViewStyle,
} from "../../src/cli/progress-view.ts";

const view: ProgressView = {
  accountName: "shop",
  phase: "profiles",
  names: { calls: 25, listed: 1_250, named: 1_240, imported: 0 },
  profilesFollow: true,
  done: 1_234,
  total: 10_000,
  ratePerSecond: 38.24,
  etaMs: 229_000,
  outcomes: { no_consent: 34, complete: 1_100, no_picture: 100 },
  pausedForMs: null,
  stopping: false,
};
const names: ProgressView = { ...view, phase: "names", done: 1_250, outcomes: {} };
const plain: ViewStyle = { columns: 80, unicode: true, colors: false };

describe("renderProgress()", () => {
  test("shows name, bar, numbers, rate, time to the end and the outcomes, most frequent first", () => {
    expect(renderProgress(view, plain)).toEqual([
      "shop profiles ████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 1,234/10,000 12%",
      "38/s · ETA 3 min 49 s · 1,100 complete · 100 no picture · 34 no consent",
    ]);
  });

  test("leaves out what does not fit into 40 columns", () => {
    expect(renderProgress(view, { ...plain, columns: 40 })).toEqual([
      "shop profiles ░░░░░░░░ 1,234/10,000 12%",
      "38/s · ETA 3 min 49 s · 1,100 complete",
    ]);
  });

  test("is plain ASCII without a UTF-8 locale, whatever the account is called", () => {
    const lines = renderProgress({ ...view, accountName: "café\u001b[2J" }, { ...plain, columns: 60, unicode: false });
    expect(lines).toEqual([
      "caf??[2J profiles ##---------------------- 1,234/10,000 12%",
      "38/s, ETA 3 min 49 s, 1,100 complete, 100 no picture",
    ]);
  });

  test("shows the names' phase: conversations listed, usernames, calls, and when the profiles' turn comes", () => {
    expect(renderProgress(names, plain)).toEqual([
      "shop names █████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 1,250/10,000 12%",
      "38/s · profiles in 3 min 49 s · 1,240 usernames · 25 calls",
    ]);
    expect(renderProgress({ ...names, profilesFollow: false }, { ...plain, columns: 40 })).toEqual([
      "shop names █░░░░░░░░░░ 1,250/10,000 12%",
      "38/s · ETA 3 min 49 s · 1,240 usernames",
    ]);
    const imported = { calls: 1, listed: 50, named: 1, imported: 3 };
    expect(renderProgressSentence({ ...names, done: 50, total: null, etaMs: null, names: imported })).toBe(
      "shop: names 50 listed, 38/s, 1 username, 3 imported, 1 call",
    );
  });

  test("moves a piece of the bar to and fro with the calls where nobody knows the end", () => {
    const at = (calls: number) =>
      renderProgress({ ...names, total: null, names: { ...names.names, calls } }, { ...plain, columns: 40 })[0];
    expect([0, 1, 7, 12, 13, 24].map(at)).toEqual([
      "shop names ███░░░░░░░░░░░░ 1,250 listed",
      "shop names ░███░░░░░░░░░░░ 1,250 listed",
      "shop names ░░░░░░░███░░░░░ 1,250 listed",
      "shop names ░░░░░░░░░░░░███ 1,250 listed",
      "shop names ░░░░░░░░░░░███░ 1,250 listed",
      "shop names ███░░░░░░░░░░░░ 1,250 listed",
    ]);
  });

  test("counts down while Instagram's limit is waited for", () => {
    const [, details] = renderProgress({ ...view, pausedForMs: 843_000 }, plain);
    expect(details).toBe("waiting for Instagram: 14 min 3 s · ETA 3 min 49 s · 1,100 complete");
  });

  test("says that it stops instead of how long it would have taken", () => {
    const [, details] = renderProgress({ ...view, stopping: true }, plain);
    expect(details).toStartWith("finishing the batch in hand · 1,100 complete");
  });

  test("colours lines without making them wider", () => {
    const coloured = renderProgress(view, { ...plain, colors: true });
    expect(coloured.join()).toContain("\u001b[32m");
    expect(coloured.map((line) => Bun.stripANSI(line))).toEqual(renderProgress(view, plain));
  });

  test("never fills a line, at any width, with any numbers", () => {
    for (let columns = 1; columns <= 130; columns++) {
      for (const total of [0, 1, 999, 1_000_000]) {
        for (const unicode of [true, false]) {
          const state = {
            ...view,
            accountName: "日本語の店".repeat(3),
            total,
            done: Math.floor(total / 3),
            pausedForMs: 9e6,
          };
          const lines = renderProgress(state, { columns, unicode, colors: false });
          expect(lines.length).toBeLessThanOrEqual(2);
          const listing = { ...state, phase: "names", total: total === 0 ? null : total } as const;
          lines.push(...renderProgress(listing, { columns, unicode, colors: false }));
          expect(lines.length).toBeLessThanOrEqual(4);
          for (const line of lines) expect(Bun.stringWidth(line)).toBeLessThan(Math.max(16, columns));
        }
      }
    }
  });

  test("reaches 100% only with the last person, and nobody is everybody", () => {
    expect(renderProgress({ ...view, done: 9_999 }, plain)[0]).toEndWith("9,999/10,000 99%");
    expect(renderProgress({ ...view, done: 0, total: 0 }, plain)[0]).toEndWith("0/0 100%");
  });
});

test("renderProgressSentence() says the same in one line for a log", () => {
  expect(renderProgressSentence(view)).toBe(
    "shop: profiles 1,234/10,000 12%, 38/s, ETA 3 min 49 s, 1,100 complete, 100 no picture, 34 no consent",
  );
});

describe("createProgressRate()", () => {
  test("knows nothing at first, then the rate of the last seconds", () => {
    const rate = createProgressRate(0);
    expect(rate.read(100, 100)).toEqual({ ratePerSecond: null, etaMs: null, pauseLeftMs: 0 });
    for (let second = 1; second <= 30; second++)
      rate.note(second * 1_000, { done: second < 20 ? 0 : (second - 19) * 50, pausedForMs: null });
    const { ratePerSecond, etaMs } = rate.read(30_000, 1_050);
    expect(ratePerSecond).toBeCloseTo(50, -1);
    expect(etaMs).toBeGreaterThan(8_000);
    expect(etaMs).toBeLessThan(14_000);
  });

  test("after a pause goes by the average, and adds what is left of the pause", () => {
    const rate = createProgressRate(0);
    rate.note(10_000, { done: 100, pausedForMs: 5_000 });
    expect(rate.read(12_000, 200)).toMatchObject({ pauseLeftMs: 3_000, etaMs: 12_000 + 3_000 });
  });

  test("goes by Instagram's limit where that is known and slower than the work, its pauses included", () => {
    const rate = createProgressRate(0);
    rate.note(10_000, { done: 100, pausedForMs: null });
    const hour = (people: number) => (people / 200) * 3_600_000;
    expect(rate.read(10_000, 1_100, hour)).toMatchObject({ ratePerSecond: 10, etaMs: 5 * 3_600_000 });
    expect(rate.read(10_000, 1_100, () => 1_000).etaMs).toBe(100_000);
    expect(rate.read(10_000, 100, hour).etaMs).toBeNull();
    expect(rate.read(10_000, null, hour).etaMs).toBeNull();
  });

  test("with a known limit counts the pauses once: the work goes by the time that was worked", () => {
    const rate = createProgressRate(0);
    rate.note(10_000, { done: 100, pausedForMs: 90_000 });
    rate.note(100_000, { done: 100, pausedForMs: null });
    rate.note(110_000, { done: 200, pausedForMs: null });
    expect(rate.read(110_000, 300, () => 0).etaMs).toBe(10_000);
    expect(rate.read(110_000, 300).etaMs).toBe(55_000);
  });

  test("keeps few samples however often it is told", () => {
    const rate = createProgressRate(0);
    for (let ms = 0; ms < 60_000; ms += 1) rate.note(ms, { done: ms, pausedForMs: null });
    expect(rate.read(60_000, 120_000).ratePerSecond).toBeCloseTo(1_000, -2);
  });
});
