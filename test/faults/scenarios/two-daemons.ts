/**
 * Several daemons on one Postgres and Redis: one dies by SIGKILL under load, within lookups and
 * with acknowledged messages in the spool they share. The other finishes its work within a minute. Schedules run once in the set.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "../../support/bounded-wait.ts";
import { createChance, hash } from "../chance.ts";
import { countMissing } from "../check-tables.ts";
import { countLeased, countPending, endLeases } from "../lookups-under-way.ts";
import { openRig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { readTurns, recordTurns } from "../schedule-turns.ts";
import { createSender } from "../sender.ts";

const people = 2_000;
const graphMs = 300;
const lanes = 8;
const perSecond = 60; // Deliveries: some hundred new people a second, so that lookups are always under way.
const lifeMs = { min: 600, max: 1_500 };
const outageMs = 700; // Long enough that posts turn to the spool.
const takeOverMsMax = 60_000; // Spec §12.
const acknowledgeMsMax = 60_000;

export const twoDaemons: Scenario = {
  name: "two-daemons",
  fault:
    "Two daemons on one Postgres and Redis, SIGKILL of one under load: the other finishes its lookups and its spool",
  rows: [1],
  cycles: { short: 1, long: 20 },
  timeoutMs: 150_000,
  waits: true,
  async run({ cycles, long, seed, signal, say }) {
    const chance = createChance(hash(seed, 25));
    await using rig = await openRig({ seed, redis: true, sandbox: { people, latencyMs: graphMs }, batchMax: 40 });
    const spool = join(rig.folder, "shared-spool");
    mkdirSync(spool);
    const shared = { SOCIAL_SYNC_SPOOL_DIR: spool };
    const pair = [await rig.addDaemon("first", shared), await rig.addDaemon("second", shared)] as const;
    await pair[0].start();
    await recordTurns(rig);
    await pair[1].start();
    const sender = createSender({
      ports: pair.map(({ port }) => port),
      secret: rig.appSecret,
      ledger: rig.ledger,
      bodyOf: rig.plan.buildBody,
    });
    const broken: string[] = [];
    const seen = { slowestMs: 0, lookups: 0, spooled: 0 };
    let done = 0;
    for (; done < cycles && !signal.aborted; done += 1) {
      const [dying, other] = done % 4 < 2 ? pair : [pair[1], pair[0]];
      const load = sender.start({ lanes, perSecond, next: rig.order.next });
      await Bun.sleep(chance.between(lifeMs.min, lifeMs.max));
      seen.lookups += await countLeased(rig);
      // In the long form every second death is one with Postgres there: then the most lookups are under way.
      const outage = !long || done % 2 === 1;
      if (outage) {
        await rig.postgres.stop("immediate");
        await Bun.sleep(outageMs);
      }
      await dying.kill();
      const diedMs = performance.now();
      if (outage) {
        const before = [...rig.ledger.acknowledgedDeliveries()];
        await rig.postgres.start();
        await rig.reconnect();
        seen.spooled += await countMissing(rig.sql, rig.plan, before);
      }
      load.stopTaking();
      await load.acknowledged(acknowledgeMsMax);
      // The short form does not sit out the dead one's leases: it ends them, and the rest must go by itself.
      if (!long) await endLeases(rig);
      const deliveries = [...rig.ledger.acknowledgedDeliveries()];
      const finished = async () =>
        (await countPending(rig)) === 0 && (await countMissing(rig.sql, rig.plan, deliveries)) === 0;
      const message = "The other daemon has not finished the dead one's work";
      await waitUntil(finished, takeOverMsMax, message, 100).catch(async () => {
        const missing = await countMissing(rig.sql, rig.plan, deliveries);
        broken.push(
          `${message} within a minute: ${await countPending(rig)} people pending, ${missing} messages not stored`,
        );
      });
      seen.slowestMs = Math.max(seen.slowestMs, performance.now() - diedMs);
      if (!other.isRunning()) broken.push("The other daemon ended too");
      await dying.start();
      say(`cycle ${done + 1}: finished ${Math.round(seen.slowestMs)} ms after the death at worst`);
    }
    const { turns, owners, tooSoon } = await readTurns(rig);
    if (turns === 0) broken.push("No sweep was seen: nothing was tried");
    if (tooSoon > 0) broken.push(`${tooSoon} of ${turns} sweeps came before their time: they ran twice in the set`);
    if (long && owners < 2) broken.push("One daemon alone did all sweeps: nothing was tried");
    const check = await rig.check();
    const notes = {
      "sweeps in the set": turns,
      "sweeps before their time": tooSoon,
      "lookups under way at the deaths": seen.lookups,
      "acknowledged messages that only the spool held": seen.spooled,
      "slowest take-over, ms": Math.round(seen.slowestMs),
    };
    return rig.result({ cycles: done, check, notes, broken });
  },
};
