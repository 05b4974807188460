const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** Columns that `text` takes in a terminal. */
export function widthOf(text: string): number {
  return Bun.stringWidth(text);
}

/** `text` without what would move a terminal's cursor or turn its direction. */
export function plainText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu, (sign) => (sign === "\n" ? " " : "?"));
}

/** Cuts `text` to at most `columns`, with `mark` where something is missing. */
export function cutText(text: string, columns: number, mark: string): string {
  if (widthOf(text) <= columns) return text;
  let cut = "";
  for (const sign of text) {
    if (widthOf(cut + sign) > columns - widthOf(mark)) break;
    cut += sign;
  }
  return columns < widthOf(mark) ? "" : cut + mark;
}

/** `1,234` */
export function renderCount(count: number): string {
  return count.toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `1 call`, `2,500 calls`, `3 people` */
export function renderMany(count: number, noun: string, plural = `${noun}s`): string {
  return `${renderCount(count)} ${count === 1 ? noun : plural}`;
}

/** A duration in its two largest units: `45 s`, `3 min 5 s`, `2 h 10 min`, `9 d`. */
export function renderDuration(ms: number): string {
  const seconds = Math.ceil(ms / secondMs);
  if (seconds < 60) return `${seconds} s`;
  const wholeMs = seconds * secondMs;
  if (wholeMs < hourMs) return two(wholeMs, minuteMs, "min", secondMs, "s");
  if (wholeMs < 2 * dayMs) return two(wholeMs, hourMs, "h", minuteMs, "min");
  return `${Math.floor(wholeMs / dayMs)} d`;
}

function two(ms: number, largeMs: number, large: string, smallMs: number, small: string): string {
  const rest = Math.floor((ms % largeMs) / smallMs);
  return `${Math.floor(ms / largeMs)} ${large}${rest === 0 ? "" : ` ${rest} ${small}`}`;
}
