/**
 * Row 38: an event comes again weeks after retention removed its raw row. The tables that are made from events still
 * know it, so nothing changes but that the raw row is there again.
 */
import type { Sql } from "postgres";
import { createChance, hash } from "../chance.ts";
import { checkTables } from "../check-tables.ts";
import { createEventPlan, createSendOrder } from "../event-plan.ts";
import { createLedger } from "../ledger.ts";
import { openRig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { createSender } from "../sender.ts";

const daysBack = 35; // Longer than raw events are kept.
const deliveriesPerCycle = 100;
const lanes = 16;
const acknowledgeMsMax = 60_000;

export const replayAfterRetention: Scenario = {
  name: "replay-after-retention",
  fault: "Every event sent again after retention removed its raw row",
  rows: [38],
  cycles: { short: 2, long: 50 },
  timeoutMs: 60_000,
  async run({ cycles, seed, signal }) {
    const chance = createChance(hash(seed, 38));
    await using rig = await openRig({ seed });
    const { daemon, sql } = rig;
    await daemon.start();
    const startMs = Date.now() - daysBack * 86_400_000;
    const plan = createEventPlan({ seed, startMs, accounts: rig.plan.accounts });
    const ledger = createLedger();
    const sender = createSender({ ports: [daemon.port], secret: rig.appSecret, ledger, bodyOf: plan.buildBody });
    const order = createSendOrder(plan, { count: cycles * deliveriesPerCycle });
    const first = sender.start({ lanes, next: order.next });
    await first.acknowledged(acknowledgeMsMax);
    await rig.settle();

    const broken: string[] = [];
    const before = await digestTables(sql);
    let removed = 0;
    let done = 0;
    for (; done < cycles && !signal.aborted; done += 1) {
      // All of them at first, then some: neighbours of a removed event may be there still.
      const share = done === 0 ? 1_000 : chance.below(1_000);
      removed += (await sql`delete from events where abs(hashtext(event_key || ${done}::text)) % 1000 < ${share}`)
        .count;
      const all = Array.from({ length: cycles * deliveriesPerCycle }, (_, at) => at);
      if (done % 2 === 0) all.reverse();
      const again = sender.start({ lanes, next: () => all.pop() ?? null });
      await again.acknowledged(acknowledgeMsMax);
      await rig.settle();
      const after = await digestTables(sql);
      for (const [table, digest] of Object.entries(after))
        if (digest !== before[table]) broken.push(`Cycle ${done}: ${table} changed by events that came again`);
    }
    const check = await checkTables({ sql, plan, ledger });
    return rig.result({ cycles: done, check, notes: { "raw events removed and sent again": removed }, broken });
  },
};

/** One digest a table that is made from events, without the columns of the lookups' clockwork. */
async function digestTables(sql: Sql): Promise<Record<string, string>> {
  const [row] = await sql<Record<string, string>[]>`
    select
      (select md5(string_agg(concat_ws('|', id, last_message_at, last_inbound_at, unread_count, self, created_at), ',' order by id))
        from conversations) as conversations,
      (select md5(string_agg(m::text, ',' order by account_id, mid)) from messages m) as messages,
      (select md5(string_agg(r::text, ',' order by account_id, mid, sender_id)) from reactions r) as reactions,
      (select md5(string_agg(r::text, ',' order by account_id, participant_id)) from read_receipts r) as read_receipts`;
  return row ?? {};
}
