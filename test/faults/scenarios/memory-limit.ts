/** Row 5: the daemon gets no more memory under a load of large deliveries: it may die of it, and loses nothing. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DaemonProcess } from "../daemon-process.ts";
import { openRig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { createSender } from "../sender.ts";
import { finish, startLoad } from "../under-load.ts";

const batchMax = 20;
/** Requests at once with deliveries as large as the daemon takes: JSON may end with as much white space as it likes. */
const largeLanes = 32;
const padBytes = 3_900_000;
/** And beside them the usual ones. */
const usual = { lanes: 8, perSecond: 100 };
const usualMs = 1_000; // For themselves, before it gets narrow.
/** MB of data (`prlimit --data`), tried from below until the program starts: a runtime reserves much at once. */
const limitsMb = [300, 320, 340, 370, 400, 450, 500, 600];
const limitedMs = 4_000;
const startMsMax = 10_000;
/** How the runtime says that there is no memory; the end that it then comes to was asked for. */
const outOfMemory = /memory allocation|out of memory|panic|abort|SIGABRT|SIGTRAP|SIGILL|SIGSEGV/i;

export const memoryLimit: Scenario = {
  name: "memory-limit",
  fault: "memory limited (prlimit --data) under deliveries of 4 MB until the daemon dies of it, then started again",
  rows: [5],
  cycles: { short: 1, long: 10 },
  timeoutMs: 90_000,
  async run({ cycles, seed, signal, say }) {
    const folder = mkdtempSync(join(tmpdir(), "social-sync-limit-"));
    const limit = join(folder, "limit");
    const setLimit = (megabytes: number | null) =>
      writeFileSync(limit, megabytes === null ? "unlimited" : String(megabytes * 1024 * 1024));
    try {
      const wrap = ["/bin/sh", "-c", `exec prlimit --data="$(cat ${limit})" "$@"`, "sh"];
      await using rig = await openRig({ seed, batchMax, wrap });
      const { daemon, ledger, plan, order } = rig;
      const pad = Buffer.alloc(padBytes, " ");
      const bodyOf = (delivery: number) => Buffer.concat([plan.buildBody(delivery), pad]);
      const large = createSender({ ports: [daemon.port], secret: rig.appSecret, ledger, bodyOf });
      let deaths = 0;
      let done = 0;
      let megabytes: number | null = null;
      for (; done < cycles && !signal.aborted; done += 1) {
        megabytes = await startLimited(daemon, megabytes === null ? limitsMb : [megabytes], setLimit);
        const loads = [startLoad(rig, usual)];
        await Bun.sleep(usualMs);
        loads.push(large.start({ lanes: largeLanes, next: order.next }));
        for (const endMs = performance.now() + limitedMs; daemon.isRunning() && performance.now() < endMs; )
          await Bun.sleep(50);
        if (!daemon.isRunning()) deaths += 1;
        await Promise.all(loads.map((load) => load.stop()));
        if (daemon.isRunning()) await daemon.kill();
      }
      setLimit(null);
      await daemon.start();
      say(`${deaths} deaths with ${megabytes} MB`);
      const result = await finish(rig, startLoad(rig, usual), {
        cycles: done,
        starts: daemon.starts(),
        isStarved: true,
        notes: { "died of it": deaths, "limit, MB": megabytes ?? 0 },
      });
      return {
        ...result,
        broken: result.broken.filter((law) => !(law.startsWith(daemon.name) && outOfMemory.test(law))),
      };
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

/** Starts it with the smallest of `limits` that lets it listen; answers which. Its end is nobody's fault from then on. */
async function startLimited(
  daemon: DaemonProcess,
  limits: readonly number[],
  setLimit: (megabytes: number) => void,
): Promise<number> {
  for (const megabytes of limits) {
    setLimit(megabytes);
    await daemon.spawn();
    daemon.expectEnd();
    const listens = await daemon.ready(startMsMax).then(
      () => true,
      () => false,
    );
    if (listens) return megabytes;
  }
  throw new Error(`Cannot limit the memory: the daemon does not start with ${limits.at(-1)} MB`);
}
