/** How much of an allowance is spent, as the headers of an answer told it (meta-platform.md §5.2, §5.3). */
export type Usage = {
  /** Per cent of the allowance, the highest of all that were named; may pass 100. */
  readonly percent: number;
  /** How long until calls are served again. null: not told. */
  readonly regainMs: number | null;
};

/** The worse of two readings, so that one call's good news never hides another's bad news. */
export function worseUsage(one: Usage | null, other: Usage | null): Usage | null {
  if (one === null || other === null) return one ?? other;
  const regainMs = Math.max(one.regainMs ?? 0, other.regainMs ?? 0);
  return { percent: Math.max(one.percent, other.percent), regainMs: regainMs > 0 ? regainMs : null };
}
