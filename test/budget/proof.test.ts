import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { openTestRedis, type TestRedis } from "../support/test-services.ts";
import { type Proof, proveInMemory, proveInRedis, rates, shapes } from "./proof-plans.ts";

setDefaultTimeout(300_000); // Thousands of steps on a Redis that others use too.

function expectProof({ refusedAnswers, refusedAgain, sentBeforeNamed, usage, plan }: Proof): void {
  const shrinks = plan.limits.filter(({ limit }, at) => limit < (plan.limits[at - 1]?.limit ?? 0));
  // Where the limit stands or grows not one call is over it; where it falls, those that were under way at that moment.
  for (const atMs of refusedAnswers) {
    const since = shrinks.map((shrink) => atMs - shrink.atMs).filter((ms) => ms >= 0);
    expect(Math.min(...since)).toBeLessThan(plan.windowMs);
  }
  expect({ refusedAgain, sentBeforeNamed }).toEqual({ refusedAgain: 0, sentBeforeNamed: 0 });
  expect(usage).toBeGreaterThanOrEqual(0.95);
  expect(usage).toBeLessThanOrEqual(1.01);
}

describe("the sandbox's sliding window", () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await openTestRedis();
  });
  afterAll(() => redis[Symbol.asyncDispose]());

  for (const rate of rates)
    for (const shape of shapes)
      test(`is kept and used by one process, ${shape} at ${rate} calls a second`, async () => {
        expectProof(await proveInMemory(rate, shape));
      });

  // The other rates are the bench's: each of a million calls is a step on a real Redis.
  for (const shape of shapes)
    test(`is kept and used by two processes on Redis through restarts and steps of its clock, ${shape} limit`, async () => {
      const options = { restartsAtWindows: [1.4, 1.9, 3.3], stepsAtWindows: [0.7, 1.6, 3.1] };
      expectProof(await proveInRedis(redis.url, 1, shape, options));
    });
});
