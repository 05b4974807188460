/**
 * Named places where the fault harness may break a build of its own. `bun run build` defines the switch as false, and
 * the bundler then leaves every trace of this out; from source it does nothing unless a test arms it.
 */
declare const FAULT_POINTS: boolean | undefined;

/** Where something may be made to happen. */
export const faultPoints = ["commit", "committed", "spooled", "drained", "claimed", "answered", "saved"] as const;
export type FaultPoint = (typeof faultPoints)[number];

/** What happens there: the process dies, the call throws, the event loop stands still. */
type Fault = { readonly run: () => void; left: number };
const armed = new Map<FaultPoint, Fault>();

/**
 * Arms faults from a text such as `committed=kill@7,answered=throw@3`: at the seventh passing of `committed` die, at the
 * third of `answered` throw. `stall` blocks the event loop for 2 s. Only a build with fault points calls this.
 */
export function armFaultPoints(text: string, acts: { readonly kill: () => void; readonly stall: () => void }): void {
  for (const part of text.split(",")) {
    const [, point, act, count] = /^([a-z]+)=(kill|throw|stall)@(\d+)$/.exec(part) ?? [];
    const known = faultPoints.find((name) => name === point);
    if (known === undefined || act === undefined) throw new Error(`Cannot arm '${part}': no such fault point`);
    const fail = () => {
      throw new Error(`Injected at ${known}`);
    };
    const run = act === "kill" ? acts.kill : act === "stall" ? acts.stall : fail;
    armed.set(known, { run, left: Number(count) });
  }
}

/** Passes a place. Nothing happens, unless this is the harness's build and the place is armed and due: then once. */
export function passFaultPoint(point: FaultPoint): void {
  if (typeof FAULT_POINTS === "undefined" || !FAULT_POINTS) return;
  const fault = armed.get(point);
  if (fault === undefined) return;
  fault.left -= 1;
  if (fault.left === 0) fault.run();
}
