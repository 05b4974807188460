/**
 * Rows 2 and 16: the commit is done and its reply never arrives: the daemon dies right then, the connection is cut, or
 * the reply is swallowed. Instagram sends again, and nothing counts twice.
 */

import { waitUntil } from "../../support/bounded-wait.ts";
import { createChance, hash } from "../chance.ts";
import { countMissing } from "../check-tables.ts";
import { midPrefix } from "../event-plan.ts";
import type { ProxyTap } from "../fault-proxy.ts";
import { openRig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";

/** `ReadyForQuery`: the server says it only after the commit is flushed. */
const readyForQuery = Buffer.from([0x5a, 0, 0, 0, 5]);
const lanes = 4;
const tapMsMax = 15_000;
const settleMs = { min: 20, max: 150 };
const acknowledgeMsMax = 30_000;
/** At least this share of the cycles must really have hit committed and unanswered messages. */
const hitShareMin = 0.5;
const spareCycles = 12; // For ways that have met too few messages: a commit may hold none, and a busy machine is late to look.
const waysToBreak = ["kill", "reset", "swallow"] as const;

export const killBetweenCommitAndAnswer: Scenario = {
  name: "kill-between-commit-and-answer",
  fault: "Commit done, its reply lost: SIGKILL right then, connection cut, reply swallowed",
  rows: [2, 16],
  cycles: { short: 6, long: 200 },
  timeoutMs: 60_000,
  async run({ cycles, seed, signal, say }) {
    const chance = createChance(hash(seed, 22));
    await using rig = await openRig({ seed, proxy: true, batchMax: 20 });
    const { daemon, ledger, plan, order } = rig;
    await daemon.start();
    const load = rig.sender.start({ lanes, next: order.next });
    const hits = { kill: 0, reset: 0, swallow: 0 };
    let done = 0;
    const hitsMin = Math.floor((hitShareMin * cycles) / waysToBreak.length);
    const isMissed = (way: keyof typeof hits) => hits[way] < hitsMin;
    for (; done < cycles + spareCycles && !signal.aborted; done += 1) {
      const way = done < cycles ? waysToBreak[done % waysToBreak.length] : waysToBreak.find(isMissed);
      if (way === undefined) break;
      await Bun.sleep(chance.between(settleMs.min, settleMs.max));
      let seen = false;
      const tap: ProxyTap = (direction, bytes, link) => {
        if (direction === "to_server") {
          if (bytes.includes(midPrefix)) link.notes.set("save", true);
          return "forward";
        }
        if (seen || link.notes.get("save") !== true || !bytes.includes(readyForQuery)) return "forward";
        seen = true;
        if (way === "kill") {
          daemon.expectEnd();
          daemon.signal("SIGKILL");
          return "drop";
        }
        return way === "reset" ? "reset" : "drop";
      };
      rig.proxies.postgres.setTap(tap);
      await waitUntil(() => seen, tapMsMax, "Cannot see a commit go by: none came");
      // What is stored now and was not answered is what this scenario is about.
      const open = ledger.unacknowledged();
      const messages = open
        .flatMap(plan.eventsOf)
        .filter(({ kind }) => kind === "message" || kind === "postback").length;
      if ((await countMissing(rig.sql, plan, open)) < messages) hits[way] += 1;
      rig.proxies.postgres.setTap(null);
      if (way === "kill") {
        await daemon.exited();
        await daemon.start();
      }
      if (done % 50 === 49) say(`${done + 1} cycles, ${order.events()} events`);
    }
    load.stopTaking();
    await load.acknowledged(acknowledgeMsMax);
    const check = await rig.check();
    const broken = waysToBreak
      .filter(isMissed)
      .map((way) => `The harness hit nothing: ${way} found stored and unanswered messages ${hits[way]} times only`);
    return rig.result({
      cycles: done,
      check,
      notes: {
        "stored and unanswered at a kill": hits.kill,
        "at a cut": hits.reset,
        "at a swallowed reply": hits.swallow,
        "worst pending, ms": Math.round(ledger.worst().pendingMs),
      },
      broken: ledger.worst().over === 0 ? broken : [...broken, `${ledger.worst().over} requests were pending over 3 s`],
    });
  },
};
