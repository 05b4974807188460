import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { openTestRedis, type TestRedis } from "../support/test-services.ts";
import { type Proof, proveInMemory, proveInRedis, rates, shapes, trouble } from "./proof-plans.ts";

setDefaultTimeout(300_000); // Thousands of steps on a Redis that others use too.

/** Requests of a backfill that a limit paces, of those that would be if each were full: with a limit of 3,600 that falls, half as many again. */
const requestsShareMax = 1.6;

function expectProof({ refusedAnswers, refusedAgain, sentBeforeNamed, usage, plan }: Proof): void {
  const shrinks = plan.limits.filter(({ limit }, at) => limit < (plan.limits[at - 1]?.limit ?? 0));
  // Where the limit stands or grows not one call is over it. Where it falls, nobody can know before one is refused: once, with what
  // was under way at that moment, and no call goes out any more when the first refusal has been heard.
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

  // A twentieth is live's, wanted or not: the rest is all that a backfill may have, and it has it.
  for (const rate of rates)
    test(`is used by a backfill alone but for live's twentieth, at ${rate} calls a second`, async () => {
      const proof = await proveInMemory(rate, "constant", { alone: true });
      expectProof(proof);
      expect(proof.usage).toBeLessThanOrEqual(0.955);
    });

  // Fifty calls are one request of a page account: as many requests as fill, but for what is left at a window's end.
  for (const rate of rates)
    for (const shape of shapes)
      test(`is used in whole requests by a backfill alone, ${shape} at ${rate} calls a second`, async () => {
        const perRequest = 50;
        const proof = await proveInMemory(rate, shape, { alone: true, perRequest });
        expectProof(proof);
        const calls = proof.requests.reduce((sum, granted) => sum + granted, 0);
        const requests = proof.requests.reduce((sum, granted) => sum + Math.ceil(granted / perRequest), 0);
        expect(calls).toBeGreaterThan(10_000);
        expect(requests).toBeLessThanOrEqual(requestsShareMax * (calls / perRequest));
      });

  // The other nine are the bench's: every call is a step on a real Redis.
  for (const [rate, shape] of [
    [1, "constant"],
    [300, "growing"],
    [5_000, "shrinking"],
  ] as const)
    test(`is kept and used by two processes on Redis through restarts and steps of its clock, ${shape} at ${rate} calls a second`, async () => {
      expectProof(await proveInRedis(redis.url, rate, shape, trouble));
    });
});
