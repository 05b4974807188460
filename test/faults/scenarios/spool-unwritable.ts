/** Nothing can be kept in the spool: its folder is removed, replaced or read-only, while Postgres is away too. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "../../support/bounded-wait.ts";
import { compiledBinary } from "../../support/compiled-binary.ts";
import { openRig, type Rig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { openSmallDisk, run } from "../small-disk.ts";
import { finish, judgeTimes, longest, startLoad } from "../under-load.ts";

const batchMax = 10;
const perSecond = 150;
const phaseMs = 700;
const againMsMax = 2_000; // From the repair to the next 200.
const endMsMax = 20_000;
const diskMegabytes = 8;
const folderUnusableCode = 5; // "storage unavailable", by the README.
const sentencesMax = 3; // A sentence and its hint; not a stack.

export const spoolUnwritable: Scenario = {
  name: "spool-unwritable",
  fault: "the spool's folder removed, or replaced by a file, while Postgres is away; a start with a read-only one",
  rows: [],
  cycles: { short: 1, long: 10 },
  timeoutMs: 60_000,
  async run({ cycles, seed, signal }) {
    await using disk = openSmallDisk("unwritable", diskMegabytes);
    const folder = join(disk.path, "spool");
    await using rig = await openRig({ seed, batchMax, env: { SOCIAL_SYNC_SPOOL_DIR: folder } });
    const broken = await tryToStart(rig, disk.path);
    await rig.daemon.start();
    const load = startLoad(rig, { lanes: 8, perSecond });
    const again: (number | null)[] = [];
    const refused = () => rig.ledger.statuses().get(503) ?? 0;
    let done = 0;
    for (; done < cycles && !signal.aborted; done += 1) {
      await Bun.sleep(phaseMs);
      await rig.postgres.stop("immediate");
      await Bun.sleep(phaseMs);

      // Somebody tidies up. What was acknowledged is in a file without a name now.
      rmSync(folder, { recursive: true });
      const removedMs = performance.now();
      await Bun.sleep(phaseMs);
      again.push(rig.ledger.firstAckAfter(removedMs));

      // And now something else stands in its place.
      rmSync(folder, { recursive: true });
      writeFileSync(folder, "no folder");
      const before = refused();
      await Bun.sleep(phaseMs);
      if (refused() === before) broken.push("Nothing was refused with a file in the folder's place: nothing was tried");
      rmSync(folder);
      const mendedMs = performance.now();
      const isBack = () => rig.ledger.firstAckAfter(mendedMs) !== null;
      await waitUntil(isBack, againMsMax, "Cannot see a 200 after the repair").catch(() => {});
      again.push(rig.ledger.firstAckAfter(mendedMs));

      await rig.postgres.start();
      await rig.reconnect();
    }
    return await finish(rig, load, {
      cycles: done,
      notes: { "from the removal or the repair to the next 200, worst ms": longest(again) },
      broken: [...broken, ...judgeTimes("The next 200 after the removal or the repair", again, againMsMax)],
    });
  },
};

/** A start with a spool that cannot be written must end at once, and say why. */
async function tryToStart(rig: Rig, parent: string): Promise<string[]> {
  const file = join(parent, "file");
  writeFileSync(file, "no folder");
  const readOnly = join(parent, "read-only");
  mkdirSync(readOnly);
  // Modes do not bind root: a mount that takes no writes does.
  const said = run(["mount", "--bind", readOnly, readOnly]) ?? run(["mount", "-o", "remount,bind,ro", readOnly]);
  if (said !== null) throw new Error(`Cannot make a folder read-only: ${said}. Run the fault harness as root.`);
  try {
    const broken: string[] = [];
    for (const folder of [join(file, "spool"), file, readOnly]) {
      const child = Bun.spawn([await compiledBinary(), "serve", "--port", "0"], {
        cwd: rig.folder,
        env: {
          PATH: process.env.PATH ?? "/usr/bin:/bin",
          ...rig.env,
          SOCIAL_SYNC_DATA_DIR: join(rig.folder, "never-started"),
          SOCIAL_SYNC_SPOOL_DIR: folder,
        },
        stdin: "ignore",
        stdout: "ignore",
        stderr: "pipe",
        timeout: endMsMax,
        killSignal: "SIGKILL",
      });
      const words = (await new Response(child.stderr).text()).trim();
      const code = await child.exited;
      const isSentence = /Cannot use the spool \S+/.test(words) && words.split("\n").length <= sentencesMax;
      if (code !== folderUnusableCode || !isSentence)
        broken.push(`A start with the spool ${folder} ended with ${code} and said: ${words.slice(0, 500)}`);
    }
    return broken;
  } finally {
    run(["umount", readOnly]);
  }
}
