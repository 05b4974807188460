/**
 * Rows 4 and 7: a daemon stands still in the middle of lookups. For two seconds: nobody takes its people away. For
 * longer than its leases: another daemon takes over, and what the sleeper saves when it wakes is refused.
 */
import { waitUntil } from "../../support/bounded-wait.ts";
import { createChance, hash } from "../chance.ts";
import { countLeased, countPending, endLeases } from "../lookups-under-way.ts";
import type { Rig } from "../rig.ts";
import { openRig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";

const people = 20; // Two accounts of so many: within one window of lookups, so one lookup of a page account each.
const graphMs = 1_200; // Long enough to stop the daemon before the answers are in.
const standStillMs = 2_000;
const leaseMsMax = 60_000; // Spec §12: a dead daemon's work is taken over within a minute.
const stepMsMax = 20_000;
const wakeMs = 1_500; // From SIGCONT until every answer that waited in the sleeper has been saved, or refused.

type Row = {
  id: string;
  profile_status: string;
  reason_code: string | null;
  lease_token: string | null;
  checked: string | null;
  lease: string | null;
};

export const sigstop: Scenario = {
  name: "sigstop",
  fault: "SIGSTOP within lookups, a second daemon takes over, SIGCONT: the stale write is refused",
  rows: [4, 7],
  cycles: { short: 1, long: 10 },
  timeoutMs: 60_000,
  waits: true,
  async run({ cycles, long, seed, signal, say }) {
    const broken: string[] = [];
    const totals = { acknowledged: 0, lost: 0, doubled: 0, refused: 0, takeOverMs: 0 };
    let done = 0;
    for (; done < cycles && !signal.aborted; done += 1) {
      // A rig a cycle: everybody must be unknown, or there is no lookup to stop in.
      await using rig = await openRig({
        seed: hash(seed, done),
        redis: true,
        sandbox: { people, latencyMs: graphMs },
        batchMax: 40,
      });
      const chance = createChance(hash(seed, done, 24));
      const { daemon } = rig;
      await daemon.start();
      await sendSome(rig, 12);
      await waitUntil(async () => (await countLeased(rig)) > 0, stepMsMax, "Cannot see a lookup under way: no lease");

      // Row 7: a second without the event loop is no death.
      const other = await rig.addDaemon("other");
      await other.start();
      daemon.signal("SIGSTOP");
      const held = await listRows(rig);
      await Bun.sleep(standStillMs);
      const stolen = (await listRows(rig)).filter(({ id, lease_token }) => {
        const before = held.find((row) => row.id === id);
        return before?.lease !== null && before !== undefined && before.lease_token !== lease_token;
      });
      if (stolen.length > 0) broken.push(`${stolen.length} leases were taken from a daemon that stood still for 2 s`);
      await other.kill();

      // Row 4: now its leases run out while it stands still.
      const stoppedMs = performance.now();
      const leased = (await listRows(rig)).filter(({ lease }) => lease !== null);
      if (leased.length === 0) broken.push("The harness hit nothing: no lookup was under way");
      // What Instagram says changes meanwhile: the sleeper's answer is not only late, it is wrong by now.
      const changed = leased.filter(() => chance.next() < 0.5).map(({ id }) => id);
      for (const id of changed) rig.sandbox.setTrouble(id.split("_")[1] ?? "", "gone");
      if (!long) await endLeases(rig);
      await other.start();
      await waitUntil(
        async () => (await countPending(rig)) === 0,
        leaseMsMax,
        "Cannot see the other take over: people are still pending",
      );
      totals.takeOverMs = Math.max(totals.takeOverMs, performance.now() - stoppedMs);
      const before = await listRows(rig);
      for (const id of changed)
        if (before.find((row) => row.id === id)?.profile_status !== "not_found")
          broken.push(`${id} was not looked up again by the other daemon`);

      daemon.signal("SIGCONT");
      await waitUntil(
        async () => (await rig.readHealth())?.ready === true,
        stepMsMax,
        "Cannot wake the daemon: it is not ready",
      );
      await Bun.sleep(wakeMs);
      const stalls = await readStalls(daemon.url);
      if (stalls < 1) broken.push("The daemon that stood still does not tell of it in its metrics");
      const after = await listRows(rig);
      const written = after.filter(
        (row) => JSON.stringify(row) !== JSON.stringify(before.find(({ id }) => id === row.id)),
      );
      if (written.length > 0)
        broken.push(`${written.length} stale writes went through, of ${JSON.stringify(written[0])}`);
      totals.refused += leased.length;
      const check = await rig.check();
      const { broken: laws, ...rest } = rig.result({ cycles: 1, check });
      totals.acknowledged += rest.acknowledged;
      totals.lost += rest.lost;
      totals.doubled += rest.doubled;
      broken.push(...laws);
      say(`cycle ${done + 1}: ${leased.length} lookups were under way`);
    }
    const { acknowledged, lost, doubled } = totals;
    const notes = {
      "stale answers refused": totals.refused,
      [long ? "slowest take-over, ms" : "take-over once the leases ran out, ms"]: Math.round(totals.takeOverMs),
    };
    return { cycles: done, acknowledged, lost, doubled, notes, broken };
  },
};

async function sendSome(rig: Rig, count: number): Promise<void> {
  let left = count;
  const next = () => {
    left -= 1;
    return left < 0 ? null : rig.order.next();
  };
  await rig.sender.start({ lanes: 4, next }).acknowledged(stepMsMax);
}

/** How often the event loop stood still, by the daemon's own count. */
async function readStalls(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`, { headers: { Connection: "close" } })).text();
  return Number(/^social_sync_event_loop_stalls_total (\d+)/m.exec(text)?.[1] ?? 0);
}

const listRows = (rig: Rig) => rig.sql<Row[]>`
  select id, profile_status, reason_code, lease_token::text as lease_token, checked_at::text as checked,
    case when lease_until >= now() then lease_until::text end as lease from conversations order by id`;
