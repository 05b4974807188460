/** Rows 19, 20, 21: Redis is gone, stands still, or is slow. */

import { type RedisFault, redisLoad, runRedisFaults } from "../redis-faults.ts";
import { openRig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";

const slowMs = 100; // Each way: 200 ms on every command, twice its limit.

const faults: readonly RedisFault[] = [
  {
    name: "killed",
    breakIt: (rig) => rig.redis.stop("immediate"),
    mendIt: (rig) => rig.redis.start(),
    isMissed: true,
  },
  {
    name: "frozen",
    breakIt: (rig) => rig.redis.signal("SIGSTOP"),
    mendIt: (rig) => rig.redis.signal("SIGCONT"),
    isMissed: true,
  },
  {
    name: "slow",
    breakIt: (rig) => rig.proxies.redis.setMode({ kind: "latency", ms: slowMs }),
    mendIt: (rig) => rig.proxies.redis.setMode({ kind: "pass" }),
    isMissed: true,
  },
];

export const redisOutages: Scenario = {
  name: "redis-outages",
  fault: "Redis killed, then stopped (SIGSTOP), then 200 ms slower, under load with lookups",
  rows: [19, 20, 21],
  cycles: { short: 1, long: 10 },
  timeoutMs: 90_000,
  waits: true,
  async run(context) {
    const { batchMax, people } = redisLoad;
    await using rig = await openRig({ seed: context.seed, batchMax, redis: true, sandbox: { people }, proxy: true });
    return await runRedisFaults(rig, context, faults);
  },
};
