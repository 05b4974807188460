/**
 * Rows 2, 6 and 7: a build of the product with its fault points in, armed at one of them: the process dies there, the
 * call throws there, the event loop stands still there. The release has none of it.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitUntil } from "../../support/bounded-wait.ts";
import { compiledBinary } from "../../support/compiled-binary.ts";
import { createChance, hash } from "../chance.ts";
import type { DaemonProcess } from "../daemon-process.ts";
import { openRig, type Rig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { createSender } from "../sender.ts";
import { readMetric } from "./hostile-kit.ts";

export const faultPointsVariable = "SOCIAL_SYNC_FAULT_POINTS";
const root = join(import.meta.dir, "../../..");
const lanes = 8;
const deliveriesPerCycle = 30;
const passingsMax = 6; // At which passing of the place it happens.
const endMsMax = 30_000;
/** Of /metrics, as a pattern. */
const refusedFigure = 'social_sync_webhook_deliveries_total\\{receipt="unavailable"\\}';
const people = 400;
const graphMs = 150; // So that lookups are under way when it happens.

/** `refuses`: it lives, and answers 503 where it happens. */
type Wanted = "lives" | "dies" | "stalls" | "refuses";

/** `#` stands for a passing by chance. What is spooled must be sent there first: a commit that throws does so. */
const faults: readonly { readonly arm: string; readonly outcome: Wanted }[] = [
  // The stalls first: then whoever is asked for twice was taken from somebody.
  { arm: "commit=stall@#", outcome: "stalls" },
  { arm: "commit=throw@2,drained=stall@1", outcome: "stalls" },
  { arm: "commit=throw@#", outcome: "lives" },
  { arm: "commit=kill@#", outcome: "dies" },
  { arm: "committed=throw@#", outcome: "lives" },
  { arm: "committed=kill@#", outcome: "dies" },
  { arm: "commit=throw@#,spooled=throw@1", outcome: "refuses" },
  { arm: "commit=throw@#,spooled=throw@3", outcome: "refuses" },
  { arm: "commit=throw@#,spooled=kill@3", outcome: "dies" },
  { arm: "commit=throw@#,drained=throw@1", outcome: "lives" },
  { arm: "commit=throw@#,drained=kill@1", outcome: "dies" },
];

export const faultPoints: Scenario = {
  name: "fault-points",
  fault: "Death, a throw or 2 s of standstill at named places of the code, between commit and 200 for one",
  rows: [2, 6, 7],
  cycles: { short: faults.length, long: 20 * faults.length },
  timeoutMs: 120_000,
  async run({ cycles, seed, signal, say }) {
    const chance = createChance(hash(seed, 67));
    const broken: string[] = [];
    using build = await buildWithFaultPoints();
    for (const trace of [faultPointsVariable, "Injected at"]) {
      if (readFileSync(await compiledBinary()).includes(trace)) broken.push(`The release binary contains '${trace}'`);
      if (!readFileSync(build.path).includes(trace)) broken.push(`The search for '${trace}' finds nothing where it is`);
    }

    await using rig = await openRig({
      seed,
      binary: build.path,
      sandbox: { people, latencyMs: graphMs },
      batchMax: 20,
    });
    const told = { deaths: 0, stalls: 0, refused: 0, stolen: 0 };
    const complaints: string[] = [];
    await rig.daemon.start(); // Unarmed beside the armed one all the time: who would steal a lease.
    const data = join(rig.folder, "armed");
    let done = 0;
    for (; done < cycles && !signal.aborted; done += 1) {
      const { arm: pattern, outcome: wanted } = faults[done % faults.length] ?? { arm: "", outcome: "lives" };
      const arm = pattern.replace("#", String(chance.between(2, passingsMax)));
      const armed = await rig.addDaemon(`armed-${done}`, { SOCIAL_SYNC_DATA_DIR: data, [faultPointsVariable]: arm });
      const outcome = await runArmed(rig, armed, wanted);
      told.refused += outcome.refused;
      if (wanted === "refuses" && outcome.refused === 0) broken.push(`${arm}: no delivery got 503`);
      if (!outcome.died && outcome.counted !== outcome.refused)
        broken.push(`${arm}: ${outcome.refused} deliveries got 503, the metrics count ${outcome.counted}`);
      if (wanted === "stalls") {
        told.stalls += outcome.stalls;
        if (outcome.stalls === 0) broken.push(`${arm}: the stall was not counted`);
        if (done < faults.length) told.stolen += countAskedTwice(rig);
      }
      if (outcome.died !== (wanted === "dies"))
        broken.push(`${arm}: the process ${outcome.died ? "died" : "lived on"}`);
      if (outcome.died) {
        told.deaths += 1;
        // The next start, unarmed, on the same folder: what the dead one had acknowledged is its to bring in.
        const heir = await rig.addDaemon(`heir-${done}`, { SOCIAL_SYNC_DATA_DIR: data });
        await heir.start();
        await sendAgain(rig, heir);
        await rig.settle();
        await heir.stop();
        complaints.push(...heir.complaints());
      }
      if (outcome.open > 0 && !outcome.died) broken.push(`${arm}: ${outcome.open} deliveries were never acknowledged`);
      // What was injected is in the log, and shall be.
      complaints.push(...armed.complaints().filter((text) => !text.includes("Injected at")));
      say(`${arm}: ${JSON.stringify(outcome)}`);
    }
    if (told.stolen > 0) broken.push(`${told.stolen} people were asked for twice: their lease was stolen in a stall`);
    const check = await rig.check();
    return {
      cycles: done,
      acknowledged: check.acknowledged,
      lost: check.lost,
      doubled: check.doubled,
      notes: {
        deaths: told.deaths,
        "stalls counted": told.stalls,
        "leases stolen": told.stolen,
        "requests answered 503": told.refused,
      },
      broken: [...check.broken, ...broken, ...complaints, ...rig.daemon.complaints()],
    };
  },
};

type Outcome = {
  readonly died: boolean;
  readonly stalls: number;
  /** Answers of 503. */
  readonly refused: number;
  /** The same by the daemon's own count, where it lives to tell. */
  readonly counted: number;
  /** Deliveries that were taken and not acknowledged. */
  readonly open: number;
};

/** One life of an armed daemon under load: until it dies, or everything is acknowledged and drained. */
async function runArmed(rig: Rig, armed: DaemonProcess, wanted: Wanted): Promise<Outcome> {
  let left = deliveriesPerCycle;
  let refused = 0;
  await armed.start();
  if (wanted === "dies") armed.expectEnd();
  const sender = createSender({
    ports: [armed.port],
    secret: rig.appSecret,
    ledger: rig.ledger,
    bodyOf: rig.plan.buildBody,
  });
  let isReached = wanted === "lives";
  const load = sender.start({
    lanes,
    // Until the fault has come: on a busy machine commits are fewer and larger, and its place is passed late.
    next: () => (left-- > 0 || (!isReached && armed.isRunning()) ? rig.order.next() : null),
    perSecond: 400, // So that commits are many and small, and the place is passed often.
    onAnswer: ({ status }) => {
      if (status === 503) refused += 1;
    },
  });
  if (wanted === "dies") await armed.exited(endMsMax).catch(() => {});
  // A stall is seen by the first tick after it.
  const isStalled = async () => (await countStalls(armed).catch(() => 0)) > 0;
  if (wanted === "stalls") await waitUntil(isStalled, endMsMax, "No stall", 100).catch(() => {});
  if (wanted === "refuses") await waitUntil(() => refused > 0, endMsMax, "No refusal").catch(() => {});
  isReached = true;
  const isDone = () => !armed.isRunning() || (left <= 0 && load.open() === 0);
  await waitUntil(isDone, endMsMax, "The load has not ended").catch(() => {});
  const open = load.open();
  await load.stop();
  if (!armed.isRunning()) return { died: true, stalls: 0, refused, counted: 0, open };
  await rig.settle();
  const stalls = await countStalls(armed);
  const counted = await readMetric(armed.url, refusedFigure);
  if (armed.isRunning()) await armed.stop();
  return { died: false, stalls, refused, counted, open };
}

const countStalls = (armed: DaemonProcess) => readMetric(armed.url, "social_sync_event_loop_stalls_total");

/** What a death left unacknowledged goes to whoever is there now, until all of it is. */
async function sendAgain(rig: Rig, heir: DaemonProcess): Promise<void> {
  const open = rig.ledger.unacknowledged();
  const { ledger, plan, appSecret: secret } = rig;
  const sender = createSender({ ports: [heir.port], secret, ledger, bodyOf: plan.buildBody });
  await sender.start({ lanes, next: () => open.pop() ?? null }).acknowledged(endMsMax);
}

/** People whose profile was asked for more than once. */
function countAskedTwice({ sandbox }: Rig): number {
  const asked = new Map<string, number>();
  for (const { personIds, accountId } of sandbox.calls.list())
    for (const id of personIds) asked.set(`${accountId} ${id}`, (asked.get(`${accountId} ${id}`) ?? 0) + 1);
  return [...asked.values()].filter((times) => times > 1).length;
}

/** The product as `bun run build` makes it, but with its fault points. Goes with the scenario. */
export async function buildWithFaultPoints(): Promise<Disposable & { readonly path: string }> {
  const folder = mkdtempSync(join(tmpdir(), "social-sync-fault-points-"));
  const path = join(folder, "social-sync");
  const scripts = (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: { build: string } })
    .scripts;
  const words = scripts.build
    .replace(/--outfile \S+/, `--outfile ${path}`)
    .replace("FAULT_POINTS=false", "FAULT_POINTS=true")
    .split(" ")
    .slice(1);
  const child = Bun.spawn([process.execPath, ...words], { cwd: root, stdout: "pipe", stderr: "pipe" });
  const said = (await new Response(child.stdout).text()) + (await new Response(child.stderr).text());
  if ((await child.exited) !== 0) throw new Error(`Cannot build with fault points:\n${said}`);
  return { path, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}
