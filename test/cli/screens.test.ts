/**
 * The screens of a backfill as a terminal shows them, kept in `screens/`, one file a moment with all widths below each other.
 * `UPDATE_SCREENS=1 bun test test/cli/screens.test.ts` writes them anew: look at the difference before it is kept.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../support/program.ts";
import { demandTmux, openTmuxTerminal } from "./tmux-terminal.ts";

setDefaultTimeout(60_000);
const widths = [40, 80, 100];
const stages = [
  ...["names", "names-only", "names-import", "names-pause", "names-stopping"],
  ...["profiles", "profiles-limit", "profiles-pause", "profiles-stopping", "end", "end-stopped"],
];
const plain = { LANG: "C", LC_ALL: "C", NO_COLOR: "1" };

describe("the screen of a backfill", () => {
  beforeAll(demandTmux, 600_000);
  const folder = mkdtempSync(join(tmpdir(), "social-sync-screens-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** What a terminal of this width shows at the stage, without blank lines at its end. */
  async function capture(stage: string, columns: number, env: Record<string, string>): Promise<string> {
    const ready = join(folder, `${stage}-${columns}-${Object.keys(env).length}`);
    await using terminal = await openTmuxTerminal({ columns, rows: 24, env });
    await terminal.type(`'${process.execPath}' '${join(import.meta.dir, "display-stage.ts")}' ${stage} '${ready}'`);
    await until(() => existsSync(ready), 20_000);
    let screen = "";
    // The terminal has drawn all that it was sent once it shows the same twice.
    await until(async () => {
      const now = await terminal.read();
      const same = now === screen && now.trim() !== "";
      screen = now;
      return same;
    }, 10_000);
    expect(await terminal.cursorShown()).toBe(stage.startsWith("end"));
    await terminal.press("C-c");
    return screen.trimEnd();
  }

  const cases = [
    ...stages.map((stage) => ({ file: stage, stage, env: {} })),
    ...["names", "profiles-pause", "profiles-stopping", "end"].map((stage) => ({
      file: `${stage}-ascii`,
      stage,
      env: plain,
    })),
  ];
  test.each(cases)("$file is the one that is kept", async ({ file, stage, env }) => {
    const screens: string[] = [];
    for (const columns of widths) {
      const screen = await capture(stage, columns, env);
      for (const line of screen.split("\n")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(columns);
      if (env === plain) expect(screen).toMatch(/^[\x20-\x7e\n]+$/);
      screens.push(`-- ${columns} columns --\n${screen}\n`);
    }
    const path = join(import.meta.dir, "screens", `${file}.txt`);
    if (process.env.UPDATE_SCREENS === "1") writeFileSync(path, screens.join("\n"));
    expect(screens.join("\n")).toBe(readFileSync(path, "utf8"));
  });
});
