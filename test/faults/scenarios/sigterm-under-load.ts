/** Row 3: SIGTERM in the middle of commits. What was accepted is answered in full, and the end comes in time. */
import { createChance, hash } from "../chance.ts";
import { openRig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";

const lanes = 16;
const people = 2_000;
const graphMs = 300;
const lifeMs = { min: 80, max: 400 };
const endMsMax = 5_000;
const acknowledgeMsMax = 30_000;
const examplesMax = 5;

export const sigtermUnderLoad: Scenario = {
  name: "sigterm-under-load",
  fault: "SIGTERM under load: accepted requests get their whole answer, the process ends within 5 s with exit code 0",
  rows: [3],
  cycles: { short: 6, long: 200 },
  timeoutMs: 60_000,
  async run({ cycles, seed, signal, say }) {
    const chance = createChance(hash(seed, 23));
    // Lookups are under way too: they must not hold up the end.
    await using rig = await openRig({ seed, redis: true, sandbox: { people, latencyMs: graphMs } });
    const { daemon, ledger, order } = rig;
    await daemon.start();
    const broken: string[] = [];
    const ends: number[] = [];
    let answeredAfter = 0;
    let closedAfter = 0;
    let signalMs = Number.POSITIVE_INFINITY;
    const load = rig.sender.start({
      lanes,
      next: order.next,
      onAnswer: ({ how, startMs, writtenMs, status, delivery }) => {
        const before = writtenMs !== null && writtenMs < signalMs;
        // The server may close a kept-alive connection just as a new request comes in: HTTP's own race, and no accepted request.
        if (how === "cut" && !before) closedAfter += 1;
        else if (how === "cut" || how === "torn" || how === "late") {
          const when = Math.round(performance.now() - signalMs);
          if (broken.length < examplesMax)
            broken.push(
              `Delivery ${delivery}, sent ${Math.round(signalMs - startMs)} ms before SIGTERM, was ${how} ${when} ms after it`,
            );
        } else if (how === "whole" && status === 200 && performance.now() > signalMs) answeredAfter += 1;
      },
    });
    let done = 0;
    for (; done < cycles && !signal.aborted; done += 1) {
      await Bun.sleep(chance.between(lifeMs.min, lifeMs.max));
      signalMs = performance.now();
      const { code, ms } = await daemon.stop();
      ends.push(ms);
      if (code !== 0) broken.push(`Exit code ${code} after SIGTERM, not 0: ${daemon.output().slice(-500)}`);
      if (ms > endMsMax) broken.push(`The end took ${Math.round(ms)} ms`);
      // What the kernel still tells the lanes belongs to this end.
      await Bun.sleep(20);
      signalMs = Number.POSITIVE_INFINITY;
      await daemon.start();
      if (done % 50 === 49) say(`${done + 1} cycles, ${order.events()} events`);
    }
    load.stopTaking();
    await load.acknowledged(acknowledgeMsMax);
    const check = await rig.check();
    return rig.result({
      cycles: done,
      check,
      notes: {
        "slowest end, ms": Math.round(Math.max(...ends)),
        "answered 200 after SIGTERM": answeredAfter,
        "kept-alive connections closed under a later request": closedAfter,
        "worst pending, ms": Math.round(ledger.worst().pendingMs),
      },
      broken,
    });
  },
};
