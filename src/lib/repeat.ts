import type { Clock } from "./clock.ts";

/**
 * Does `work` at `start()` and `everyMs` after each end, until `stop` fires. What it throws goes to `onError`, and the
 * next turn comes all the same. `settle()`, after `stop`: waits for what runs.
 */
export function repeat(
  { clock, stop, everyMs }: { clock: Pick<Clock, "after">; stop: AbortSignal; everyMs: number },
  work: () => Promise<void>,
  onError: (error: unknown) => void,
) {
  let cancel = () => {};
  let current = Promise.resolve();
  const turn = (): void => {
    if (stop.aborted) return;
    current = work()
      .catch(onError)
      .then(() => {
        if (!stop.aborted) cancel = clock.after(everyMs, turn);
      });
  };
  return {
    start: turn,
    async settle(): Promise<void> {
      cancel();
      await current;
    },
  };
}
