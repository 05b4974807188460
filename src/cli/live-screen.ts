import type { Clock } from "../lib/clock.ts";
import type { Output } from "./io.ts";
import type { ViewStyle } from "./progress-view.ts";
import { colorsOf, unicodeOf } from "./terminal-style.ts";
import { widthOf } from "./text-values.ts";

/** At most ten redraws a second: the eye sees no more, and a slow line (ssh) is not flooded. */
export const redrawEveryMs = 100;
/** Text waiting to be put above the lines beyond this many characters is written at once. */
const pendingCharactersMax = 65_536;

const hideCursor = "\u001b[?25l";
const showCursor = "\u001b[?25h";
const clearBelow = "\u001b[J";

export type LiveScreen = Disposable & {
  /** Puts the lines up afresh, at once or with the next redraw. */
  readonly redraw: () => void;
  /** Writes whole lines of text above the live ones, with the next redraw. */
  readonly writeAbove: (text: string) => void;
};

export type LiveScreenOptions = {
  readonly output: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Pick<Clock, "monotonicMs" | "after">;
  /** Fires when the process leaves at once: the terminal is restored before it is gone. */
  readonly abort: AbortSignal;
};

/** Keeps the lines of `render` at the bottom of a terminal until its scope ends; then they vanish and the cursor is back. */
export function openLiveScreen(
  { output, env, clock, abort }: LiveScreenOptions,
  render: (style: ViewStyle) => readonly string[],
): LiveScreen {
  const unicode = unicodeOf(env);
  const colors = colorsOf(env, output);
  let drawn: readonly string[] = [];
  let pending = "";
  let drawnAtMs = Number.NEGATIVE_INFINITY;
  let cancel: (() => void) | null = null;
  let open = true;

  /** Moves to the first row of what stands there. A terminal that became narrower has broken the lines into more rows. */
  const erase = () => {
    if (drawn.length === 0) return "";
    const columns = Math.max(1, output.columns());
    const rows = drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / columns)), 0);
    return `\r${rows > 1 ? `\u001b[${rows - 1}A` : ""}${clearBelow}`;
  };
  const takePending = () => {
    const text = pending === "" || pending.endsWith("\n") ? pending : `${pending}\n`;
    pending = "";
    return text;
  };
  const draw = () => {
    cancel?.();
    cancel = null;
    drawnAtMs = clock.monotonicMs();
    const lines = render({ columns: output.columns(), unicode, colors });
    output.write(`${hideCursor}${erase()}${takePending()}${lines.join("\n")}`);
    drawn = lines;
  };
  const redraw = () => {
    if (!open || cancel !== null) return;
    const dueInMs = drawnAtMs + redrawEveryMs - clock.monotonicMs();
    if (dueInMs <= 0) draw();
    else cancel = clock.after(dueInMs, draw);
  };
  const close = (last: string) => {
    if (!open) return;
    open = false;
    cancel?.();
    stopResize();
    abort.removeEventListener("abort", leave);
    output.write(`${last}${takePending()}${showCursor}`);
  };
  const leave = () => close(drawn.length === 0 ? "" : "\n"); // where it stood stays readable
  const stopResize = output.onResize(redraw);
  abort.addEventListener("abort", leave);
  redraw();

  return {
    redraw,
    writeAbove(text) {
      if (!open) return output.write(text);
      pending += text;
      if (pending.length <= pendingCharactersMax) return redraw();
      output.write(`${erase()}${takePending()}`);
      drawn = [];
    },
    [Symbol.dispose]: () => close(erase()),
  };
}
