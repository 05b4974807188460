/** How many calls of Instagram's people cost, counted at the other side: real Postgres, the sandbox, virtual time. */
import { heapStats } from "bun:jsc";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { awaySpreadMs } from "../../src/domain/lookup-outcome.ts";
import { consentAgainMs } from "../../src/domain/lookup-rules.ts";
import { probeEveryMs } from "../../src/graph/circuit.ts";
import type { SandboxTrouble } from "../../src/sandbox/trouble.ts";
import { pauseStepMs } from "../../src/usecases/dispatch.ts";
import { openTestRedis } from "../support/test-services.ts";
import { openVirtualInbox, type VirtualInbox } from "../support/virtual-inbox.ts";

setDefaultTimeout(180_000); // Ten thousands of messages through a Postgres that flushes each commit, on a busy machine.

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

function personOf({ accounts }: VirtualInbox, account: number, at: number) {
  const found = accounts[account];
  const person = found?.people[at];
  if (found === undefined || person === undefined) throw new Error("The world has no such person");
  return { accountId: found.instagramId, personId: person.id };
}

const statusesOf = async ({ db }: VirtualInbox) =>
  (await db.rows("conversations", "id")).map((row) => `${row.profile_status} ${row.reason_code}`);

describe("10,000 messages of one new person at once", () => {
  test.each([0, 1])("are one call, in two daemons that share a database (account %i)", async (account) => {
    await using inbox = await openVirtualInbox({ people: 3, daemons: 2 });
    const person = personOf(inbox, account, 0);
    const some = Array.from({ length: 100 }, () => person);
    await Promise.all(Array.from({ length: 100 }, (_, n) => inbox.receive(some, n % 2)));
    expect(await statusesOf(inbox)).toEqual([expect.stringMatching(/^(complete|no_picture) null$/)]);
    await inbox.pass(60_000); // sweeps find nothing either
    const [row] = await inbox.db.rows("conversations", "id");
    expect({ messages: row?.unread_count, calls: inbox.profileCalls() }).toEqual({ messages: 10_000, calls: 1 });
  });
});

describe("a permanent answer", () => {
  /** Calls about one person who writes so many messages in each of the 112 quarters of 28 days. */
  async function countCalls(trouble: SandboxTrouble, perQuarter: number) {
    await using inbox = await openVirtualInbox({ people: 3, daemons: 2, sweepEveryMs: 3 * hourMs });
    const person = personOf(inbox, 0, 0);
    inbox.sandboxes[0]?.setTrouble(person.personId, trouble);
    const some = Array.from({ length: perQuarter }, () => person);
    for (let quarter = 0; quarter < 28 * 4; quarter++) {
      await inbox.receive(some, quarter % 2);
      await inbox.pass(dayMs / 4);
    }
    const [row] = await inbox.db.rows("conversations", "id");
    expect(row?.unread_count).toBe(28 * 4 * perQuarter);
    return inbox.profileCalls();
  }

  // What decides is the row's `next_attempt_at`: while it lies ahead a message asks for nobody (save-events.sql), so the number of
  // messages does not matter. Shown by 112 and 20,160 of them costing as many calls; a million would only take longer.
  test.each([
    ["gone", 1],
    ["invalid_id", 1],
    ["missing", 2], // asked once more after minutes: it has been seen under throttling
  ] as const)("%s: is asked for once in its 30 days, over 20,160 messages as over 112", async (trouble, calls) => {
    const few = await countCalls(trouble, 1);
    const many = await countCalls(trouble, 180);
    expect({ few, many }).toEqual({ few: calls, many: calls });
  });
});

describe("a refusal for lack of consent", () => {
  // Their next message asks again (spec §4), but `consentAgainMs` after the answer at the earliest.
  test("of somebody who writes 20,000 messages in two hours is asked about every five minutes at most", async () => {
    await using inbox = await openVirtualInbox({ people: 3, daemons: 2, sweepEveryMs: 60_000 });
    const person = personOf(inbox, 0, 0);
    inbox.sandboxes[0]?.setTrouble(person.personId, "no_consent");
    const [slices, some] = [240, Array.from({ length: 84 }, () => person)];
    for (let slice = 0; slice < slices; slice++) {
      await inbox.receive(some, slice % 2);
      await inbox.pass((2 * hourMs) / slices);
    }
    const [row] = await inbox.db.rows("conversations", "id");
    expect(row?.unread_count).toBe(slices * some.length);
    expect(inbox.profileCalls()).toBeGreaterThan(20); // each time they still write
    expect(inbox.profileCalls()).toBeLessThanOrEqual(1 + (2 * hourMs) / consentAgainMs);
    const calls = inbox.profileCalls();
    await inbox.pass(12 * hourMs);
    expect(inbox.profileCalls()).toBeLessThanOrEqual(calls + 1); // for the last messages, and then no more
  });
});

describe("a day of an inbox without Redis", () => {
  /** 200 people who write at times, of whom an operator asks again for a tenth. */
  async function countCalls(redisUrl: string) {
    let seed = 7;
    const chance = () => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed / 2 ** 32;
    };
    await using inbox = await openVirtualInbox({ people: 100, daemons: 2, redisUrl, sweepEveryMs: hourMs / 6 });
    for (let step = 0; step < 23 * 6; step++) {
      const some = Array.from({ length: 8 }, () => personOf(inbox, step % 2, Math.floor(chance() * 100)));
      await inbox.receive(some, step % 2);
      const again = some[0];
      if (again !== undefined && chance() < 0.5) await inbox.request(again, (step + 1) % 2);
      await inbox.pass(hourMs / 6);
    }
    expect((await statusesOf(inbox)).every((status) => /^(complete|no_picture) null$/.test(status))).toBe(true);
    return { calls: inbox.profileCalls(), people: (await statusesOf(inbox)).length, requests: inbox.requests() };
  }

  test("costs no more calls than with it", async () => {
    await using redis = await openTestRedis();
    const withRedis = await countCalls(redis.url);
    const without = await countCalls("redis://127.0.0.1:9");
    expect(withRedis.requests).toBeGreaterThan(50);
    expect({ ...without, calls: 0 }).toEqual({ ...withRedis, calls: 0 });
    expect(withRedis.calls).toBe(withRedis.people);
    expect(without.calls).toBeLessThanOrEqual(withRedis.calls * 1.05);
  });
});

describe("an outage of Graph", () => {
  const windowMs = 60_000;
  const allowance = 120;
  const requests = 480;
  /** In the second half, when nobody new writes: it breathes by some 0.3 MB. Whoever waits has had their turn 40 times or more by then. */
  const heapGrowthMax = 2_000_000;
  const readHeapBytes = () => {
    Bun.gc(true);
    return heapStats().heapSize;
  };

  // In the first half people write whom nobody knows, in the second nobody does: all of them wait.
  test.each([
    ["answers 500", 120],
    ["swallows everything", 40],
  ] as const)(
    "that %s for %i minutes: one probe in 30 s, memory flat, and the allowance in use within a minute of its return",
    async (how, minutes) => {
      await using inbox = await openVirtualInbox({ people: 2_000, ratePerWindow: allowance, windowMs });
      const [daemon] = inbox.daemons;
      const [box] = inbox.sandboxes;
      if (daemon === undefined || box === undefined) throw new Error("Bug: an inbox has one of each");
      let met = 0;
      const write = (people: number) => inbox.receive(Array.from({ length: people }, () => personOf(inbox, 1, met++)));
      const nowMs = () => inbox.clock.monotonicMs();
      const callsSince = (fromMs: number) =>
        box.calls.list().flatMap(({ atMs, personIds }) => (atMs < fromMs ? [] : personIds.map(() => atMs)));
      // A daemon that has been at work: it knows what Instagram allows.
      for (let turn = 0; turn < 36; turn++) {
        await write(10);
        await inbox.pass(5_000);
      }
      await inbox.pass(2 * windowMs);
      expect(daemon.dispatcher.sizes().known).toBe(0);

      const [awayAtMs, awayAtWallMs, metBefore] = [nowMs(), inbox.clock.nowMs(), met];
      const swallowedAtMs: number[] = [];
      const everybody = Array.from({ length: requests }, (_, n) => personOf(inbox, 1, metBefore + n).personId);
      if (how === "answers 500") for (const id of everybody) box.setTrouble(id, "server_error");
      else
        inbox.network.swallowed = (people) => {
          for (let n = 0; n < people; n++) swallowedAtMs.push(nowMs());
        };
      let openedAtMs = Number.POSITIVE_INFINITY;
      let halfBytes = 0;
      const sizes: ReturnType<typeof daemon.dispatcher.sizes>[] = [];
      for (let minute = 0; minute < minutes; minute++) {
        for (let n = 0; minute < minutes / 2 && n < requests / (minutes / 2); n++) await write(1);
        await inbox.pass(60_000);
        sizes.push(daemon.dispatcher.sizes());
        daemon.lines.length = 0; // The test's own: a daemon writes its lines away.
        if (minute + 1 === minutes / 2) halfBytes = readHeapBytes();
        const { failingSinceMs } = daemon.circuit.state("facebook");
        openedAtMs = Math.min(openedAtMs, awayAtMs + (failingSinceMs ?? Number.POSITIVE_INFINITY) - awayAtWallMs);
      }
      expect(readHeapBytes() - halfBytes).toBeLessThan(heapGrowthMax);
      const attempts = how === "answers 500" ? callsSince(awayAtMs) : swallowedAtMs;
      expect(met - metBefore).toBe(requests);
      expect(attempts.length).toBeLessThanOrEqual(1.1 * requests);
      expect(openedAtMs - awayAtMs).toBeLessThan(60_000);
      const probes = attempts.filter((atMs) => atMs > openedAtMs);
      for (const [at, atMs] of probes.entries())
        if (at > 0) expect(atMs - (probes[at - 1] ?? 0)).toBeGreaterThanOrEqual(probeEveryMs);
      expect(probes.length).toBeGreaterThan(((minutes * 60_000) / probeEveryMs) * 0.7); // and not many fewer
      // Whoever waits is held once, together with others, however often their turn has come.
      for (const { waiting, inFlight, known, pauses } of sizes.slice(minutes / 2)) {
        expect(waiting).toBe(0);
        expect(inFlight).toBeLessThanOrEqual(1);
        expect(known).toBeLessThanOrEqual(requests);
        expect(pauses).toBeLessThanOrEqual(2 * ((probeEveryMs + awaySpreadMs) / pauseStepMs + 1)); // two lanes
      }

      const backAtMs = nowMs();
      inbox.network.swallowed = null;
      for (const id of everybody) box.setTrouble(id, null);
      await inbox.pass(60_000);
      expect(daemon.dispatcher.sizes().known).toBeGreaterThan(0); // work still waits
      expect(callsSince(backAtMs).length).toBeGreaterThanOrEqual(0.95 * allowance);
      expect(box.calls.throttled).toBe(0);
      await inbox.pass(2 * hourMs); // who failed on three probes is asked again after an hour
      expect(new Set((await statusesOf(inbox)).map((status) => status.replace("no_picture", "complete")))).toEqual(
        new Set(["complete null"]),
      );
      expect(daemon.dispatcher.sizes()).toEqual({ waiting: 0, known: 0, pauses: 0, inFlight: 0 });
    },
  );
});
