import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Lane, LedgerTaken, Settlement } from "../../src/budget/ledger.ts";
import { books, type OpenedLedger, type OpenLedger } from "./ledgers.ts";

setDefaultTimeout(60_000);

const hourMs = 3_600_000;
const quarterMs = hourMs / 4;
const hour = { windowMs: hourMs, ceiling: null };
let ids = 0;

type Ended = Partial<Pick<Settlement, "callsMade" | "usage" | "throttle">>;

/** A caller of one account: takes, and says how it ended. */
function createCaller({ ledger }: OpenedLedger, pool = "shop") {
  const take = async (
    calls = 1,
    lane: Lane = "live",
    spacingMs = 0,
    { perRequest = 1, firstCalls = 1 } = {},
  ): Promise<LedgerTaken & { end: (how?: Ended) => Promise<number | null> }> => {
    ids += 1;
    const id = `id${ids}`;
    const taken = await ledger.take({ pool, lane, calls, id, share: 1, spacingMs, perRequest, firstCalls });
    const end = (how: Ended = {}) =>
      ledger.settle({ pool, id, lane, callsMade: taken.granted, usage: null, throttle: null, ...how });
    return { ...taken, end };
  };
  return {
    take,
    granted: async (calls = 1, lane: Lane = "live") => (await take(calls, lane)).granted,
    /** The first call of all, answered without usage: nothing is known of the allowance then but the ceiling. */
    prove: async () => (await take()).end(),
    throttle: async (scope: "app" | "account", resumeInMs: number | null = null) =>
      (await (await take()).end({ throttle: { scope, resumeInMs } })) ?? 0,
  };
}

function describeBook(name: string, open: OpenLedger): void {
  describe(`take() ${name}`, () => {
    test("lets the first call of all go alone, and after an answer without usage any number", async () => {
      await using opened = await open(hour);
      const { take, granted } = createCaller(opened);
      const first = await take(50);
      expect([first.granted, await granted()]).toEqual([1, 0]);
      await first.end();
      expect(await granted(100_000, "backfill")).toBe(100_000);
    });

    test("lets a whole request be the first where its caller knows of room, and no other one beside it", async () => {
      await using opened = await open(hour);
      const { take } = createCaller(opened);
      const batches = { perRequest: 50, firstCalls: 50 };
      const first = await take(120, "backfill", 0, batches);
      expect([first.granted, (await take(50, "backfill", 0, batches)).granted]).toEqual([50, 0]);
      await using tight = await open({ ...hour, ceiling: 20 });
      expect((await createCaller(tight).take(50, "backfill", 0, batches)).granted).toBeLessThanOrEqual(20);
    });

    test("fills whole requests with what may go, and lets the last ones go as they are", async () => {
      await using opened = await open({ ...hour, ceiling: 2_000 });
      const { take, prove } = createCaller(opened);
      await prove();
      const batch = async (calls: number) => await take(calls, "backfill", 0, { perRequest: 50 });
      expect((await batch(400)).granted).toBe(150); // of the tenth that may go at once
      const paced = await batch(400);
      expect(paced.granted).toBe(0);
      opened.clock.advance(paced.resumeInMs - 1);
      expect((await batch(400)).granted).toBe(0);
      opened.clock.advance(1);
      expect((await batch(400)).granted).toBe(50);
      opened.clock.advance(paced.resumeInMs);
      expect((await batch(7)).granted).toBe(7);
    });

    test("paces by whole requests where a window holds two, gives what is left behind them, and goes by few where none fits", async () => {
      const grantsOf = async (ceiling: number) => {
        await using opened = await open({ ...hour, ceiling });
        const { take, prove } = createCaller(opened);
        await prove();
        const grants: number[] = [];
        for (const endMs = opened.clock.monotonicMs() + hourMs; opened.clock.monotonicMs() < endMs; ) {
          const taken = await take(200, "backfill", 0, { perRequest: 50 });
          if (taken.granted > 0) grants.push(taken.granted);
          await taken.end();
          opened.clock.advance(taken.resumeInMs);
        }
        return grants;
      };
      expect(await grantsOf(200)).toEqual([50, 50, 50, 40]);
      const few = await grantsOf(60);
      expect(few.length).toBeGreaterThan(10);
      expect(few.reduce((sum, calls) => sum + calls, 0)).toBeGreaterThan(50);
    });

    test("lets one more go where the first call of all is not answered: its caller may have died", async () => {
      await using opened = await open(hour);
      const { granted } = createCaller(opened);
      await granted();
      opened.clock.advance(1_999);
      expect(await granted()).toBe(0);
      opened.clock.advance(1);
      expect([await granted(50), await granted(50)]).toEqual([1, 0]);
    });

    test("grants what is left, and says when the next call goes", async () => {
      await using opened = await open({ ...hour, ceiling: 60 });
      const { take, granted, prove } = createCaller(opened);
      await prove();
      await (await take(49)).end();
      const { granted: left, resumeInMs, end } = await take(50);
      expect(left).toBe(10);
      await end();
      opened.clock.advance(resumeInMs - 2);
      expect(await granted()).toBe(0);
      opened.clock.advance(2);
      expect(await granted()).toBe(1);
    });

    test("never overshoots for callers that come at the same moment", async () => {
      await using opened = await open({ ...hour, ceiling: 100 });
      const { granted, prove } = createCaller(opened);
      await prove();
      const all = await Promise.all(Array.from({ length: 64 }, () => granted(3)));
      expect(all.reduce((sum, count) => sum + count, 1)).toBe(100);
    });

    test("keeps a twentieth for live that refresh and backfill cannot touch, and spreads theirs over the window", async () => {
      await using opened = await open({ ...hour, ceiling: 1000 });
      const { granted, prove } = createCaller(opened);
      await prove();
      const atOnce = await granted(1000, "backfill");
      expect(atOnce).toBeGreaterThanOrEqual(94);
      expect(atOnce).toBeLessThanOrEqual(96);
      let [made, most] = [atOnce, 0];
      for (let half = 0; half < 119; half += 1) {
        opened.clock.advance(30_000);
        const now = await granted(1000, "backfill");
        [made, most] = [made + now, Math.max(most, now)];
      }
      expect(made).toBe(950);
      expect(most).toBeLessThanOrEqual(19); // a fiftieth
      expect(await granted(1000)).toBe(49);
    });

    test("keeps more for live where live has used more", async () => {
      await using opened = await open({ ...hour, ceiling: 1000 });
      const { granted, prove } = createCaller(opened);
      await prove();
      expect(await granted(399)).toBe(399);
      for (let half = 0; half < 119; half += 1) {
        opened.clock.advance(30_000);
        await granted(1000, "backfill");
      }
      // Live may have its 400 once more, and as many again as chance brings.
      const { used } = await opened.ledger.snapshot("shop");
      expect(used).toBeLessThanOrEqual(960);
      expect(used).toBeGreaterThanOrEqual(950);
    });

    test("lets refresh go before backfill where both wait", async () => {
      await using opened = await open({ ...hour, ceiling: 1000 });
      const { take, granted, prove } = createCaller(opened);
      await prove();
      await granted(1000, "backfill");
      const { resumeInMs } = await take(5, "refresh");
      opened.clock.advance(resumeInMs);
      expect([await granted(5, "backfill"), await granted(5, "refresh")]).toEqual([0, 5]);
    });

    test("waits for a higher lane two seconds beyond what that was told, not for ever: its caller may have died", async () => {
      await using opened = await open(hour);
      const { take, granted } = createCaller(opened);
      const first = await take(50);
      await first.end({ usage: { percent: 0, regainMs: null } });
      opened.clock.advance(first.resumeInMs + 1_999);
      expect(await granted(1, "refresh")).toBe(0);
      opened.clock.advance(1);
      expect(await granted(1, "refresh")).toBe(1);
    });

    test("has nobody wait for more than a moment while usage is low and the allowance known from below only", async () => {
      await using opened = await open(hour);
      const { take } = createCaller(opened);
      await (await take()).end({ usage: { percent: 0, regainMs: null } });
      const [live, refresh] = [await take(150), await take(150, "refresh")];
      expect([live.granted, refresh.granted]).toEqual([98, 0]);
      expect(live.resumeInMs).toBeLessThanOrEqual(100);
      expect(refresh.resumeInMs).toBeLessThanOrEqual(2_100); // live's turn first
      await live.end({ usage: { percent: 0, regainMs: null } });
      opened.clock.advance(100);
      expect((await take(52)).granted).toBe(52);
      expect((await take(150, "refresh")).granted).toBe(150);
    });

    test("moves every lane even under a ceiling of one, and counts each account for itself", async () => {
      await using opened = await open({ ...hour, ceiling: 1 });
      const [shop, cafe] = [createCaller(opened), createCaller(opened, "cafe")];
      expect([await shop.granted(1, "backfill"), await shop.granted(), await cafe.granted()]).toEqual([1, 0, 1]);
    });

    test("counts a call until a window after its answer, whenever it was granted", async () => {
      await using opened = await open({ ...hour, ceiling: 1 });
      const { take, granted } = createCaller(opened);
      const first = await take();
      opened.clock.advance(30_000);
      await first.end();
      opened.clock.advance(hourMs - 1);
      expect(await granted()).toBe(0);
      opened.clock.advance(2);
      expect(await granted()).toBe(1);
    });

    test("lets calls that must stand apart go one by one, over all who share the book", async () => {
      await using opened = await open(hour);
      const { take, prove } = createCaller(opened);
      await prove();
      const times: number[] = [];
      while (times.length < 5) {
        const [one, other] = [await take(4, "live", 600), await take(4, "live", 600)];
        expect([one.granted, other.granted]).toEqual([1, 0]);
        times.push(opened.clock.monotonicMs());
        opened.clock.advance(other.resumeInMs - 1);
        expect((await take(1, "live", 600)).granted).toBe(0);
        opened.clock.advance(1);
      }
      expect(times.map((atMs) => atMs - (times[0] ?? 0))).toEqual([0, 600, 1200, 1800, 2400]);
    });

    test("counts what nobody reported on as made", async () => {
      await using opened = await open({ ...hour, ceiling: 2 });
      const { granted } = createCaller(opened);
      expect(await granted()).toBe(1);
      opened.clock.advance(60_000);
      expect((await opened.ledger.snapshot("shop")).used).toBe(1);
      opened.clock.advance(hourMs - 1);
      expect((await opened.ledger.snapshot("shop")).used).toBe(1);
      opened.clock.advance(2);
      expect((await opened.ledger.snapshot("shop")).used).toBe(0);
    });
  });

  describe(`settle() ${name}`, () => {
    test("stops for a quarter of the window, then lets one probe through", async () => {
      await using opened = await open(hour);
      const { take, granted, throttle } = createCaller(opened);
      const resumeInMs = await throttle("account");
      expect(resumeInMs).toBeGreaterThanOrEqual(quarterMs);
      expect(resumeInMs).toBeLessThanOrEqual(quarterMs * 1.1 + 1);
      expect(await take()).toMatchObject({ granted: 0, resumeInMs });
      opened.clock.advance(resumeInMs - 1);
      expect(await granted()).toBe(0);
      opened.clock.advance(1);
      const probe = await take(50, "backfill");
      expect([probe.granted, probe.resumeInMs > 0, await granted()]).toEqual([1, true, 0]);
      await probe.end({ usage: { percent: 1, regainMs: null } });
      expect(await granted(3)).toBe(3);
    });

    test("never comes back before the time that Instagram named", async () => {
      await using opened = await open({ windowMs: 5000, ceiling: null });
      expect(await createCaller(opened).throttle("account", 17 * 60_000)).toBeGreaterThanOrEqual(17 * 60_000);
      const cafe = createCaller(opened, "cafe");
      await (await cafe.take()).end({ usage: { percent: 0, regainMs: hourMs } });
      expect((await cafe.take()).resumeInMs).toBeGreaterThanOrEqual(hourMs);
    });

    test("doubles up to two windows while probes are throttled, and starts anew after a success", async () => {
      await using opened = await open(hour);
      const { take, throttle } = createCaller(opened);
      const pauses: number[] = [];
      for (let round = 0; round < 6; round += 1) {
        pauses.push(await throttle("account"));
        opened.clock.advance(pauses.at(-1) ?? 0);
      }
      expect(pauses.map((pauseMs) => Math.floor(pauseMs / quarterMs))).toEqual([1, 2, 4, 8, 8, 8]);
      await (await take()).end({ usage: { percent: 12, regainMs: null } });
      opened.clock.advance(hourMs);
      expect(await throttle("account")).toBeLessThan(2 * quarterMs);
    });

    test("counts throttled answers that come together as one", async () => {
      await using opened = await open(hour);
      const { take, prove, throttle } = createCaller(opened);
      await prove();
      const flying = await Promise.all(Array.from({ length: 16 }, () => take()));
      const throttled = { throttle: { scope: "account", resumeInMs: null } } as const;
      for (const one of flying) await one.end(throttled);
      const { resumeInMs } = await take();
      expect(resumeInMs).toBeLessThanOrEqual(quarterMs * 1.1 + 1);
      opened.clock.advance(resumeInMs);
      expect(await throttle("account")).toBeLessThan(3 * quarterMs);
    });

    test("of an app's code stops every account, and one probe serves all", async () => {
      await using opened = await open(hour);
      const [shop, cafe] = [createCaller(opened), createCaller(opened, "cafe")];
      await shop.prove();
      await cafe.prove();
      opened.clock.advance((await shop.throttle("app")) - 1);
      expect([await shop.granted(), await cafe.granted()]).toEqual([0, 0]);
      opened.clock.advance(1);
      const probe = await cafe.take();
      expect([probe.granted, await shop.granted()]).toEqual([1, 0]);
      await probe.end();
      expect(await shop.granted()).toBe(1);
    });

    test("of an account's code leaves the others alone", async () => {
      await using opened = await open(hour);
      await createCaller(opened).throttle("account");
      expect(await createCaller(opened, "cafe").granted()).toBe(1);
    });

    test("hands an unused probe on at once, and a lost one after its time", async () => {
      await using opened = await open({ ...hour, ceiling: 100 });
      const { take, granted, throttle } = createCaller(opened);
      opened.clock.advance(await throttle("account"));
      await (await take()).end({ callsMade: 0 });
      expect([await granted(), await granted()]).toEqual([1, 0]);
      opened.clock.advance(hourMs / 20);
      expect(await granted()).toBe(1);
    });

    test("stops at 100 % though nothing was refused, and not before", async () => {
      await using opened = await open(hour);
      const { take, granted, prove } = createCaller(opened);
      await prove();
      const [most, last] = [await take(99), await take()];
      await most.end({ usage: { percent: 99, regainMs: null } });
      expect((await opened.ledger.snapshot("shop")).accountStopMs).toBe(0);
      await last.end({ usage: { percent: 100, regainMs: null } });
      expect(await granted()).toBe(0);
      expect((await opened.ledger.snapshot("shop")).accountStopMs).toBeGreaterThanOrEqual(quarterMs);
    });

    test("of an answer that was under way when the pool stopped opens nothing", async () => {
      await using opened = await open(hour);
      const { take, granted, prove, throttle } = createCaller(opened);
      await prove();
      const late = await take();
      await throttle("account");
      await late.end({ usage: { percent: 5, regainMs: null } });
      expect(await granted()).toBe(0);
    });

    test("finds the allowance from percentages alone, to within a hundredth, and never above it", async () => {
      for (const allowance of [200, 5_000, 73_111]) {
        await using opened = await open(hour);
        const { take } = createCaller(opened);
        let made = 0;
        for (let round = 0; round < 4000; round += 1) {
          const { granted, end } = await take(Math.ceil(allowance / 400));
          if (granted === 0) break;
          made += granted;
          await end({ usage: { percent: Math.floor((made * 100) / allowance), regainMs: null } });
        }
        expect(made).toBeGreaterThanOrEqual(0.98 * allowance);
        expect(made).toBeLessThan(allowance);
      }
    });

    test("takes what had been used for the allowance after a throttle that told no usage, for five windows", async () => {
      await using opened = await open(hour);
      const { take, granted, prove, throttle } = createCaller(opened);
      await prove();
      await (await take(99)).end();
      opened.clock.advance(await throttle("account"));
      await (await take()).end();
      expect((await opened.ledger.snapshot("shop")).learned).toBe(98);
      opened.clock.advance(hourMs + 1);
      expect(await granted(500)).toBe(97);
      opened.clock.advance(4 * hourMs);
      expect(await granted(500)).toBe(500);
    });

    test("counts calls handed back, and calls on top", async () => {
      await using opened = await open({ ...hour, ceiling: 10 });
      const { take, granted, prove } = createCaller(opened);
      await prove();
      await (await take(9)).end({ callsMade: 5 });
      expect((await opened.ledger.snapshot("shop")).used).toBe(6);
      await (await take(1)).end({ callsMade: 3 });
      expect(await granted(10)).toBe(1);
    });
  });

  test(`remember() ${name} adds calls of the past and stops, and keeps what is known better`, async () => {
    await using opened = await open({ ...hour, ceiling: 10 });
    const memory = { pool: "shop", learned: Number.POSITIVE_INFINITY, percent: 7, accountStopMs: 5000, appStopMs: 0 };
    const entries = [{ ageMs: hourMs - 60_000, calls: 6, shared: 6 }];
    await opened.ledger.remember({ ...memory, entries, owed: [{ ageMs: 10, calls: 1, shared: 0 }] });
    expect(await opened.ledger.snapshot("shop")).toEqual({
      used: 7,
      percent: 7,
      learned: Number.POSITIVE_INFINITY,
      accountStopMs: 5000,
      appStopMs: 0,
    });
    expect(await opened.ledger.readLog("shop")).toEqual([...entries, { ageMs: 10, calls: 1, shared: 0 }]);
    opened.clock.advance(60_001);
    expect((await opened.ledger.snapshot("shop")).used).toBe(1);
  });
}

for (const [name, open] of books) describeBook(name, open);
