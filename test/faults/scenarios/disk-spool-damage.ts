/** The spool's files are cut and altered while the daemon is down: the rest is drained, and what cannot be read is kept. */
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "../../support/bounded-wait.ts";
import { type Chance, createChance, hash } from "../chance.ts";
import { countMissing } from "../check-tables.ts";
import { openRig, type Rig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { finish, startLoad } from "../under-load.ts";

const batchMax = 4;
const spooledMin = 60; // Deliveries on disk before it is damaged: some before the place, some behind it.
const waitMsMax = 20_000;
const headBytes = 8; // Of a spool file; then come the records.
const tornBytes = 40; // A record's header and some of what it announces.
const bodyStart = '{"object":"instagram"';
const homeLength = 32; // Characters of the name of a process's folder.
const damagesMin = 2; // The record and the file. What was torn was never acknowledged, and is no damage.

export const diskSpoolDamage: Scenario = {
  name: "disk-spool-damage",
  fault:
    "the spool with a flipped byte, a torn end and an unreadable file, as a SIGKILLed daemon finds it at its next start",
  rows: [],
  cycles: { short: 1, long: 20 },
  timeoutMs: 60_000,
  async run({ cycles, seed, signal }) {
    const chance = createChance(hash(seed, 51));
    await using rig = await openRig({ seed, batchMax });
    await rig.daemon.start();
    const folder = join(rig.folder, rig.daemon.name, "spool");
    const broken: string[] = [];
    let done = 0;
    for (; done < cycles && !signal.aborted; done += 1) {
      await rig.postgres.stop("immediate");
      const known = rig.ledger.acknowledgedCount();
      const load = startLoad(rig, { lanes: 8, perSecond: 200 });
      await waitUntil(() => rig.ledger.acknowledgedCount() - known >= spooledMin, waitMsMax, "Cannot fill the spool");
      load.stopTaking();
      await load.acknowledged(waitMsMax);
      await rig.daemon.kill();
      const altered = damage(rig, folder, chance);

      await rig.postgres.start();
      await rig.reconnect();
      await rig.daemon.start();
      await rig.settle();
      const output = rig.daemon.output();
      const said = output.slice(output.lastIndexOf("--- start"));
      const told = (await rig.readHealth())?.checks.find(({ name }) => name === "spool")?.values?.damaged ?? 0;
      const others = [...rig.ledger.acknowledgedDeliveries()].filter((delivery) => delivery !== altered.delivery);
      const missing = await countMissing(rig.sql, rig.plan, others);
      const kept = listFiles(join(folder, "damaged")).some((path) => readFileSync(path).includes(altered.evidence));
      broken.push(
        ...(missing === 0 ? [] : [`${missing} messages beside the altered delivery are lost`]),
        ...(kept ? [] : ["The altered record is not kept in damaged/"]),
        ...(told >= damagesMin ? [] : [`The health check tells of ${told} damaged places, not ${damagesMin}`]),
        ...["Spool record damaged", "cut at its last whole record", "Spool file unreadable"]
          .filter((sentence) => !said.includes(sentence))
          .map((sentence) => `The start did not say '${sentence}'`),
      );
      // What the disk has altered can only be sent again; then everything must be there, and once.
      await rig.sender.send(altered.delivery);
    }
    const load = startLoad(rig, { lanes: 8, perSecond: 200 });
    return await finish(rig, load, {
      cycles: done,
      starts: 1 + done,
      broken,
      notes: { "deliveries altered on disk": done },
    });
  },
};

type Altered = { readonly delivery: number; readonly evidence: string };

/** Damages the largest spool file in two ways and puts a third beside it; answers the delivery that cannot be read now. */
function damage(rig: Rig, folder: string, chance: Chance): Altered {
  const [path] = listFiles(folder)
    .filter((name) => name.endsWith(".spool"))
    .toSorted((a, b) => statSync(b).size - statSync(a).size);
  if (path === undefined) throw new Error("Cannot damage the spool: it has no file");
  const bytes = readFileSync(path);
  const bodies: number[] = [];
  for (let at = bytes.indexOf(bodyStart); at !== -1; at = bytes.indexOf(bodyStart, at + 1)) bodies.push(at);
  // Neither the first nor the last: something must be drained from both sides.
  const place = bodies[chance.between(1, bodies.length - 2)] ?? 0;
  const evidence = /"timestamp":\d+/.exec(bytes.toString("latin1", place))?.[0] ?? "";
  const flipped = place + chance.between(2, bodyStart.length - 1);
  bytes[flipped] = (bytes[flipped] ?? 0) ^ (1 << chance.below(8));
  writeFileSync(path, bytes);
  appendFileSync(path, bytes.subarray(headBytes, headBytes + tornBytes));
  const stranger = join(folder, "f".repeat(homeLength));
  mkdirSync(stranger, { recursive: true, mode: 0o700 });
  writeFileSync(join(stranger, "000000000001.spool"), "a name like ours, and nothing else");
  const { delivery } = rig.plan.placeOf(Number(evidence.split(":")[1]) - rig.plan.startMs);
  return { delivery, evidence };
}

function listFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
