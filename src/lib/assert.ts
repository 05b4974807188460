/** Throws where `condition` is false: a bug of ours, never bad input or a failing peer. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`Bug: ${message}`);
}
