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
  done: 1_234,
  total: 10_000,
  ratePerSecond: 38.24,
  etaMs: 229_000,
  outcomes: { no_consent: 34, complete: 1_100, no_picture: 100 },
  pausedForMs: null,
  stopping: false,
};
const plain: ViewStyle = { columns: 80, unicode: true, colors: false };

describe("renderProgress()", () => {
  test("shows name, bar, numbers, rate, time to the end and the outcomes, most frequent first", () => {
    expect(renderProgress(view, plain)).toEqual([
      "shop ████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 1,234/10,000 12%",
      "38/s · ETA 3 min 49 s · 1,100 complete · 100 no picture · 34 no consent",
    ]);
  });

  test("leaves out what does not fit into 40 columns", () => {
    expect(renderProgress(view, { ...plain, columns: 40 })).toEqual([
      "shop ██░░░░░░░░░░░░░░░ 1,234/10,000 12%",
      "38/s · ETA 3 min 49 s · 1,100 complete",
    ]);
  });

  test("is plain ASCII without a UTF-8 locale, whatever the account is called", () => {
    const lines = renderProgress({ ...view, accountName: "café\u001b[2J" }, { ...plain, columns: 60, unicode: false });
    expect(lines).toEqual([
      "caf??[2J ####----------------------------- 1,234/10,000 12%",
      "38/s, ETA 3 min 49 s, 1,100 complete, 100 no picture",
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
    "shop: 1,234/10,000 12%, 38/s, ETA 3 min 49 s, 1,100 complete, 100 no picture, 34 no consent",
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

  test("keeps few samples however often it is told", () => {
    const rate = createProgressRate(0);
    for (let ms = 0; ms < 60_000; ms += 1) rate.note(ms, { done: ms, pausedForMs: null });
    expect(rate.read(60_000, 120_000).ratePerSecond).toBeCloseTo(1_000, -2);
  });
});
