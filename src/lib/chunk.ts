import { assert } from "./assert.ts";

/** Cuts `items` into lists of at most `size`, in order. `chunk([], n)` is `[]`. */
export function chunk<T>(items: readonly T[], size: number): T[][] {
  assert(Number.isInteger(size) && size > 0, `chunk size must be a positive whole number, got ${size}`);
  const chunks: T[][] = [];
  for (let start = 0; start < items.length; start += size) chunks.push(items.slice(start, start + size));
  return chunks;
}
