/** The sorted value in the middle, or at `share` of the way; 0 of none. */
export function percentile(values: ArrayLike<number>, share = 0.5): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
