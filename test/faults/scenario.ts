/**
 * What a fault scenario is. One file a scenario in scenarios/, listed in scenario-list.ts:
 *
 *   export const redisDown: Scenario = {
 *     name: "redis-down",                       // what --only takes; the file's name
 *     fault: "Redis killed and started under load",   // the README's sentence
 *     rows: [19],                                // of the fault matrix
 *     cycles: { short: 3, long: 50 },            // short: part of the gate, seconds
 *     timeoutMs: 60_000,                         // of the short form
 *     async run({ cycles, seed, signal, say }) {
 *       await using rig = await openRig({ seed, redis: true });
 *       await rig.daemon.start();
 *       const load = rig.sender.start({ lanes: 8, next: rig.order.next });
 *       for (let cycle = 0; cycle < cycles && !signal.aborted; cycle += 1) { …break, mend… }
 *       load.stopTaking();
 *       await load.acknowledged(30_000);
 *       const check = await rig.check();         // waits for the spool, then compares every table with the model
 *       return rig.result({ cycles, check, notes: { "worst pending, ms": 12 }, broken: [] });
 *     },
 *   };
 */
export type ScenarioContext = {
  /** How often the fault is injected. */
  readonly cycles: number;
  readonly long: boolean;
  readonly seed: number;
  /** Fires where the run is interrupted: end soon. */
  readonly signal: AbortSignal;
  /** Progress for people. */
  readonly say: (text: string) => void;
};

export type ScenarioResult = {
  readonly cycles: number;
  /** Distinct events that were acknowledged. */
  readonly acknowledged: number;
  readonly lost: number;
  readonly doubled: number;
  /** What was measured, with its unit in the name. */
  readonly notes: Readonly<Record<string, number | string>>;
  /** Broken laws as sentences; empty: all held. */
  readonly broken: readonly string[];
};

export type Scenario = {
  readonly name: string;
  readonly fault: string;
  readonly rows: readonly number[];
  readonly cycles: { readonly short: number; readonly long: number };
  /** Limit of the short form in the gate, in ms. */
  readonly timeoutMs: number;
  /**
   * Most of its time is waiting, for a pause of Graph's or a lease's end, and no law of it is a time that another process
   * would lengthen: the gate runs it beside its like. Both cores are idle for four fifths of what these take.
   */
  readonly waits?: true;
  readonly run: (context: ScenarioContext) => Promise<ScenarioResult>;
};
