import { describe, expect, test } from "bun:test";
import { type LogOutputOptions, openLogOutput } from "../../src/cli/log-output.ts";
import { createManualClock } from "./manual-clock.ts";

function open(options: Partial<LogOutputOptions> = {}) {
  const { clock, advance } = createManualClock();
  const writes: string[] = [];
  const write = (text: string) => writes.push(text);
  const output = openLogOutput({ level: "log", format: "json", colors: false, write, clock, ...options });
  return { ...output, writes, advance };
}

describe("openLogOutput()", () => {
  test("writes JSON lines with level, message, context and time first", () => {
    const { log, writes, flush } = open();
    log.log("Message processed", "WebhookMessageHandler", { kind: "message" });
    flush();
    expect(writes).toEqual([
      '{"level":"log","message":"Message processed","context":"WebhookMessageHandler","time":"1970-01-01T00:00:00.000Z","kind":"message"}\n',
    ]);
  });

  test("writes once a tick, and thousands of lines in few writes", () => {
    const { log, writes, advance } = open();
    for (let n = 0; n < 5_000; n++) log.warn("Same line", "Test");
    const before = writes.length;
    advance(0);
    expect(writes.join("").split("\n")).toHaveLength(5_001);
    expect(before).toBeLessThan(20);
    expect(writes.length).toBe(before + 1);
  });

  test("leaves out what the level hides", () => {
    const { log, writes, flush } = open({ level: "warn" });
    log.debug("no", "Test");
    log.log("no", "Test");
    log.warn("yes", "Test");
    log.error("yes", "Test");
    flush();
    expect(writes.join("").match(/"message":"yes"/g)).toHaveLength(2);
    expect(writes.join("")).not.toContain('"no"');
  });

  test("a field can neither replace the four names nor break the line", () => {
    const ring: Record<string, unknown> = {};
    ring.self = ring;
    const { log, writes, flush } = open();
    log.log("first", "Test", { level: "x", big: 10n ** 20n, error: new Error("why"), text: "a\nb" });
    log.log("second", "Test", { ring });
    flush();
    const [first = "", second = ""] = writes.join("").split("\n");
    expect(JSON.parse(first)).toMatchObject({
      level: "log",
      level_: "x",
      big: "1".padEnd(21, "0"),
      error: "Error: why",
    });
    expect(JSON.parse(second)).toMatchObject({ message: "second" });
  });

  test("JSON lines show no control and nothing that turns the direction, and mean the same", () => {
    const { log, writes, flush } = open();
    const hostile = "Jane\u009b2J \u202egnp.exe\u2066\u200f\u2028\u{e0041} 👩‍👧 지우 Müller";
    log.log(hostile, "Test", { name: hostile, list: [hostile] });
    flush();
    expect(writes.join("").trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}\u2028]/u);
    expect(JSON.parse(writes.join(""))).toMatchObject({ message: hostile, name: hostile, list: [hostile] });
    expect(writes.join("")).toContain("지우 Müller");
  });

  test("pretty lines repeat, hold their values, and let no escape sequence through", () => {
    const { log, writes, flush } = open({ format: "pretty" });
    for (let n = 0; n < 3; n++) log.log("Again \u001b[2J", "Test", { id: 5, none: null, list: [1] });
    flush();
    const lines = writes.join("").trimEnd().split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d log {3}Again \?\[2J Test id=5 list=\[1\]$/);
  });

  test("pretty lines are coloured where colours are on", () => {
    const { log, writes, flush } = open({ format: "pretty", colors: true });
    log.warn("Careful", "Test");
    flush();
    expect(writes.join("")).toContain("\u001b[33mwarn ");
  });
});
