import { expect, setDefaultTimeout, test } from "bun:test";
import { type LedgerRequest, lanes, type Settlement } from "../../src/budget/ledger.ts";
import { books, type OpenedLedger } from "./ledgers.ts";

setDefaultTimeout(60_000);

/** One story, told by its seed alone: grants, answers of every kind, silences. */
async function tell({ ledger, clock }: OpenedLedger, windowMs: number): Promise<unknown[]> {
  const told: unknown[] = [];
  const flying: { request: LedgerRequest; granted: number }[] = [];
  const pick = (max: number) => Math.floor(clock.random() * max);
  for (let step = 0; step < 400; step += 1) {
    clock.advance(pick(8) === 0 ? pick(windowMs / 2) : pick(windowMs / 50));
    const pool = `account${pick(2)}`;
    if (pick(3) > 0) {
      const spacingMs = pool === "account1" && step > 200 ? 40 : 0;
      const part = { share: 1 + pick(2), spacingMs };
      const whole = { perRequest: 1 + pick(2) * pick(9), firstCalls: 1 + pick(2) * pick(9) };
      const request = { pool, lane: lanes[pick(3)] ?? "live", calls: 1 + pick(12), id: `${step}`, ...part, ...whole };
      const taken = await ledger.take(request);
      told.push(taken);
      if (taken.granted > 0) flying.push({ request, granted: taken.granted });
    } else if (flying.length > 0) {
      const [ended] = flying.splice(pick(flying.length), 1);
      if (ended === undefined) continue;
      const { granted, request } = ended;
      const kind = pick(12);
      const settlement: Settlement = {
        ...request,
        callsMade: kind === 0 ? 0 : kind === 1 ? granted + 2 : granted,
        usage:
          kind === 2 ? null : { percent: pick(kind === 3 ? 130 : 99), regainMs: kind === 4 ? pick(windowMs) : null },
        throttle: kind > 9 ? { scope: kind === 10 ? "app" : "account", resumeInMs: pick(2) * pick(windowMs) } : null,
      };
      told.push({ pauseMs: await ledger.settle(settlement) }, await ledger.snapshot(pool));
    }
    if (step % 50 === 0) told.push(await ledger.readLog(pool));
  }
  return told;
}

/** Times by the server's clock are 40 bits before the point: what is left behind it may round a whole ms up in one book and not in the other. */
const roundingMs = 1;

function expectAlike(one: unknown, other: unknown, path: string): void {
  if (typeof one === "object" && one !== null && typeof other === "object" && other !== null) {
    expect([path, Object.keys(other).sort()]).toEqual([path, Object.keys(one).sort()]);
    const others = new Map<string, unknown>(Object.entries(other));
    for (const [key, value] of Object.entries(one)) expectAlike(value, others.get(key), `${path}.${key}`);
  } else if (path.endsWith("Ms") && typeof one === "number" && typeof other === "number") {
    expect([path, Math.abs(one - other) <= roundingMs, one, other]).toEqual([path, true, one, other]);
  } else expect([path, other]).toEqual([path, one]);
}

for (const ceiling of [null, 40]) {
  for (let seed = 1; seed <= 4; seed += 1) {
    test(`both books tell the same story, ceiling ${ceiling}, seed ${seed}`, async () => {
      const stories: unknown[][] = [];
      for (const [, open] of books) {
        await using opened = await open({ windowMs: 10_000, ceiling }, { seed });
        stories.push(await tell(opened, 10_000));
      }
      const [memory = [], redis = []] = stories;
      for (const [at, one] of memory.entries()) expectAlike(one, redis[at], `${at}`);
    });
  }
}
