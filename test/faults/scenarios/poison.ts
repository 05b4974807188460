/** Row 39: a thousand updates in one delivery, one of which Postgres refuses and one of which is no update at all. */
import { createChance, hash } from "../chance.ts";
import { buildBody, type PlanEvent } from "../event-plan.ts";
import { openLane } from "../request-lane.ts";
import { openRig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { buildRequest, requestMsDefault } from "../sender.ts";

const updates = 1_000;
const poisonText = "poison that Postgres refuses";

export const poison: Scenario = {
  name: "poison",
  fault:
    "1,000 updates in one delivery, one refused by Postgres, one unreadable: all others stored, those two set aside, 200",
  rows: [39],
  cycles: { short: 3, long: 100 },
  timeoutMs: 60_000,
  async run({ cycles, seed, signal }) {
    const chance = createChance(hash(seed, 26));
    await using rig = await openRig({ seed });
    const { daemon, plan, ledger } = rig;
    await daemon.start();
    // A refusal that no check of the product's own can foresee.
    await rig.sql.unsafe(`
      create function refuse_poison() returns trigger language plpgsql as $$
        begin raise exception 'refused' using errcode = '22023'; end $$;
      create trigger refuse_poison before insert on messages for each row
        when (new.text like '${poisonText}%') execute function refuse_poison();`);
    const broken: string[] = [];
    let upcoming = 0;
    let slowestMs = 0;
    let done = 0;
    using lane = openLane(daemon.port);
    for (; done < cycles && !signal.aborted; done += 1) {
      const deliveries: number[] = [];
      const events: PlanEvent[] = [];
      while (events.length < updates - 2) {
        // The last may be large: then it is a few more than a thousand.
        deliveries.push(upcoming);
        events.push(...plan.eventsOf(upcoming));
        upcoming += 1;
      }
      const request = buildRequest(mixIn(buildBody(events), done, chance.next()), {
        port: daemon.port,
        secret: rig.appSecret,
      });
      const ticks = deliveries.map(ledger.sent);
      const startMs = performance.now();
      const answer = await lane.send(request, requestMsDefault);
      slowestMs = Math.max(slowestMs, performance.now() - startMs);
      for (const tick of ticks) ledger.answered(tick, answer.status);
      if (answer.status !== 200) broken.push(`Delivery ${done} got ${answer.status} (${answer.how}), not 200`);
    }
    const check = await rig.check({ setAside: 2 * done });
    return rig.result({ cycles: done, check, notes: { "slowest answer, ms": Math.round(slowestMs) }, broken });
  },
};

/** Puts the two bad items at some place of the first entry. */
function mixIn(body: Buffer, serial: number, place: number): Buffer {
  const delivery = JSON.parse(body.toString("utf8")) as { entry: { id: string; messaging: unknown[] }[] };
  const [first] = delivery.entry;
  if (first === undefined) throw new Error("Cannot poison a delivery without an entry");
  const bad = {
    sender: { id: "6900000000000001" },
    recipient: { id: first.id },
    timestamp: Date.now(),
    message: { mid: `poison-${serial}`, text: `${poisonText} ${serial}` },
  };
  const at = Math.floor(place * first.messaging.length);
  first.messaging.splice(at, 0, bad, `not an update ${serial}`);
  return Buffer.from(JSON.stringify(delivery), "utf8");
}
