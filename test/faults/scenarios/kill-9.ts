/** Rows 1, 2, 16, 36, 37: the daemon dies at any moment, again and again, under load with repeats and disorder. */
import { createChance, hash } from "../chance.ts";
import { countMissing } from "../check-tables.ts";
import { openRig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";

/** Distinct events of one cycle at least: 1,000 cycles are a million. */
const eventsPerCycle = 1_050;
const lanes = 8;
/** When it dies, after it listens. */
const killMs = { min: 50, max: 1_500 };
/** Of the cycles, those where it dies while it starts. */
const earlyShare = 0.1;
const earlyMsMax = 120; // A start takes about 60 ms.
const acknowledgeMsMax = 60_000;
/** Every second life Postgres is so far away, each way: a daemon that answers before it commits dies in between. */
const farMs = 8;
const cyclesPerWord = 50;

export const kill9: Scenario = {
  name: "kill-9",
  fault: "SIGKILL at random moments under load, 5 % of the deliveries sent again, 5 % out of order",
  rows: [1, 36, 37],
  cycles: { short: 8, long: 1_000 },
  timeoutMs: 90_000,
  async run({ cycles, seed, signal, say }) {
    const chance = createChance(hash(seed, 21));
    await using rig = await openRig({ seed, redis: true, proxy: true });
    const { daemon, ledger, plan, order } = rig;
    await daemon.start();
    let allowed = 0;
    let checked = 0;
    let missing = 0;
    let done = 0;
    const load = rig.sender.start({
      lanes,
      // Each cycle brings its own share; what a death cut off is sent again beside it.
      next: () => (done < cycles || order.events() < cycles * eventsPerCycle ? order.next() : null),
      pace: () => order.events() < allowed,
    });
    const killedMs = performance.now();
    for (; done < cycles && !signal.aborted; ) {
      const lifeMs = chance.between(killMs.min, killMs.max);
      const early = chance.next() < earlyShare;
      const bornMs = performance.now();
      const before = order.events();
      await rig.proxies.postgres.setMode(done % 2 === 1 ? { kind: "latency", ms: farMs } : { kind: "pass" });
      // A steady stream, so that the moment of death falls at any point of a commit.
      while (performance.now() - bornMs < lifeMs) {
        const share = (performance.now() - bornMs) / lifeMs;
        allowed = Math.max(allowed, before + Math.ceil(eventsPerCycle * share) + 1);
        await Bun.sleep(2);
      }
      await daemon.kill();
      await rig.proxies.postgres.setMode({ kind: "pass" });
      if (early) {
        await daemon.spawn();
        await Bun.sleep(chance.below(earlyMsMax));
        await daemon.kill();
      }
      await daemon.start();
      done += 1;
      // What was acknowledged before this death is there; a little at a time, the whole at the end.
      const recent: number[] = [];
      for (; checked < order.upcoming(); checked += 1) if (ledger.isAcknowledged(checked)) recent.push(checked);
      if ((await countMissing(rig.sql, plan, recent)) > 0) {
        await rig.settle(); // On a slow machine some were spooled.
        missing += await countMissing(rig.sql, plan, recent);
      }
      if (done % cyclesPerWord === 0)
        say(
          `${done} kills, ${order.events()} events, ${missing} missing, ${Math.round((performance.now() - killedMs) / 1000)} s`,
        );
    }
    allowed = Number.POSITIVE_INFINITY;
    if (order.events() >= cycles * eventsPerCycle || signal.aborted) load.stopTaking();
    await load.acknowledged(acknowledgeMsMax);
    const check = await rig.check();
    const statuses = ledger.statuses();
    return rig.result({
      cycles: done,
      check,
      notes: {
        "distinct events": check.stored,
        "requests cut or refused": statuses.get(0) ?? 0,
        "requests answered 503": statuses.get(503) ?? 0,
        "worst pending, ms": Math.round(ledger.worst().pendingMs),
      },
      broken: missing === 0 ? [] : [`${missing} acknowledged messages were missing right after a restart`],
    });
  },
};
