import type { Clock } from "../lib/clock.ts";

export type Door = ReturnType<typeof createDoor>;

/**
 * Whether deliveries are taken at all. Open at first; `onTurn` is told of each turn. While it is shut they are refused
 * by others, unread and out of our sight, so the time is all that can be told of them.
 */
export function createDoor(onTurn: (shut: boolean) => void, clock: Pick<Clock, "monotonicMs">) {
  let shutSinceMs: number | null = null;
  let pastMs = 0;
  const sinceMs = (nowMs: number): number => (shutSinceMs === null ? 0 : nowMs - shutSinceMs);
  return {
    isShut: (): boolean => shutSinceMs !== null,
    /** How long it has been shut so far, in all. */
    shutMs: (): number => pastMs + sinceMs(clock.monotonicMs()),
    set(shut: boolean): void {
      if (shut === (shutSinceMs !== null)) return;
      const nowMs = clock.monotonicMs();
      pastMs += sinceMs(nowMs);
      shutSinceMs = shut ? nowMs : null;
      onTurn(shut);
    },
  };
}
