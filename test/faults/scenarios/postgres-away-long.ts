/** Row 9: Postgres is away for so long that the spool gets full; meanwhile the daemon dies and starts; then it comes back. */
import { waitUntil } from "../../support/bounded-wait.ts";
import { percentile } from "../percentile.ts";
import { openRig, type Rig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import type { Answer } from "../sender.ts";
import { finish, judgeTimes, longest, readMegabytes, startLoad } from "../under-load.ts";

/** `spoolMb` is filled in about half of `awayMs`; a delivery takes some 2.5 kB of it. */
const forms = {
  short: { awayMs: 4_500, perSecond: 250, spoolMb: 1 },
  long: { awayMs: 600_000, perSecond: 150, spoolMb: 96 },
} as const;
const batchMax = 10;
const lanes = 16;
const liveMs = 2_000; // Live posts beside the drain, at least.
/** Live posts beside the drain, 99 of 100: those who wrote before wait for the rows of two of its commits at most. */
const liveP99MsMax = 500;
const drainedMsMax = { short: 20_000, long: 180_000 } as const;
/** Order is told by the commits' times; what was acknowledged this close together may have shared a flush. */
const sameMomentMs = 250;
const refusedMsMax = 20; // The row's own, for the middle one: single answers also wait for the machine's two cores.
const refusedMin = 50;
const acknowledgedMsMax = 1_000; // As after a short absence (row 8), though the daemon has yet to check the schema.
/** The daemon dies after this share of the time: its successor finds a spool, and fills it. */
const killedAfter = 1 / 3;
/** From its start, with Postgres away, to its first 200. */
const startedMsMax = 1_000;
/** Above the memory in peace: what waits is on disk, not in memory. */
const grownMegabytesMax = 96;

type Seen = Answer & { readonly delivery: number; readonly startMs: number; readonly endMs: number };

export const postgresAwayLong: Scenario = {
  name: "postgres-away-long",
  fault:
    "Postgres away for 10 minutes (gate: 5 s) at a steady rate, until the spool is full; a SIGKILL of the daemon and its start meanwhile",
  rows: [9],
  cycles: { short: 1, long: 1 },
  timeoutMs: 90_000,
  async run({ seed, long, say }) {
    const { awayMs, perSecond, spoolMb } = long ? forms.long : forms.short;
    await using rig = await openRig({ seed, batchMax, env: { SOCIAL_SYNC_SPOOL_MB_MAX: String(spoolMb) } });
    await rig.daemon.start();
    const warm = startLoad(rig, { lanes, perSecond });
    await Bun.sleep(1_000);
    warm.stopTaking();
    await warm.acknowledged(10_000);
    const peace = readMegabytes(rig.daemon.pid);

    const brokenAtMs = Date.now();
    await rig.postgres.stop("immediate");
    const away: Seen[] = [];
    // What is refused stays refused here: sent again and again it would be another test, of overload.
    const during = startLoad(rig, {
      lanes,
      perSecond,
      sendAgain: false,
      onAnswer: (answer) => away.push({ ...answer, endMs: performance.now() }),
    });
    await Bun.sleep(awayMs * killedAfter);
    await rig.daemon.kill();
    const startMs = performance.now();
    await rig.daemon.start();
    await Bun.sleep(awayMs * (1 - killedAfter));
    await during.stop();
    const startedMs = rig.ledger.firstAckAfter(startMs);
    const full = readMegabytes(rig.daemon.pid);
    const refused = away.filter(({ status }) => status === 503);
    const refusedMs = refused.map(({ startMs, endMs }) => endMs - startMs);
    const spooled = away.filter(({ status }) => status === 200);
    say(`${spooled.length} spooled, ${refused.length} refused, ${full.now} MB`);

    const backAtMs = performance.now();
    await rig.postgres.start();
    await rig.reconnect();
    const acceptsMs = performance.now();
    const live = startLoad(rig, { lanes, perSecond });
    await waitUntil(
      async () => performance.now() - acceptsMs > liveMs && (await countWaiting(rig)) === 0,
      long ? drainedMsMax.long : drainedMsMax.short,
      "Cannot see the spool drained",
      100,
    );
    const drainedMs = performance.now() - acceptsMs;
    const firstMs = rig.ledger.firstAckAfter(acceptsMs);
    const liveTimes = rig.ledger.ackTimesWithin(acceptsMs, performance.now());
    const outOfOrder = await countOutOfOrder(rig, spooled, brokenAtMs);
    return await finish(rig, live, {
      cycles: 1,
      starts: 2,
      notes: {
        "spooled and acknowledged while away": spooled.length,
        "refused while full": refused.length,
        "time to a 503, median ms": Math.round(percentile(refusedMs, 0.5) * 10) / 10,
        "time to a 503, 99 of 100 within ms": Math.round(percentile(refusedMs, 0.99)),
        "memory in peace and with a full spool, MB": `${peace.now}, ${full.now}`,
        "first 200 of a daemon that started meanwhile, ms": longest([startedMs]),
        "first 200 after it accepts, ms": longest([firstMs]),
        "from the return to an empty spool, ms": Math.round(drainedMs),
        "Postgres's own recovery, ms": Math.round(acceptsMs - backAtMs),
        "time to a 200 beside the drain, 99 of 100 within ms": Math.round(percentile(liveTimes, 0.99)),
      },
      broken: [
        ...(refused.length >= refusedMin
          ? []
          : [`Only ${refused.length} were refused: the spool was not full, nothing was tried`]),
        ...(percentile(refusedMs, 0.5) <= refusedMsMax
          ? []
          : [`A 503 took ${Math.round(percentile(refusedMs, 0.5))} ms in the middle`]),
        ...refused
          .filter(({ retryAfter }) => retryAfter === null)
          .slice(0, 1)
          .map(() => "A 503 came without Retry-After"),
        ...(full.now - peace.now <= grownMegabytesMax ? [] : [`Memory grew from ${peace.now} to ${full.now} MB`]),
        ...judgeTimes("The first 200 of a daemon that started with Postgres away", [startedMs], startedMsMax),
        ...judgeTimes("The first 200 after Postgres accepts", [firstMs], acknowledgedMsMax),
        ...(!long || percentile(liveTimes, 0.99) <= liveP99MsMax
          ? []
          : [`The drain held up live posts: 99 of 100 took ${Math.round(percentile(liveTimes, 0.99))} ms`]),
        ...(outOfOrder === 0 ? [] : [`${outOfOrder} deliveries were drained before older ones`]),
      ],
    });
  },
};

async function countWaiting(rig: Rig): Promise<number | null> {
  return (await rig.readHealth())?.checks.find(({ name }) => name === "spool")?.values?.records ?? null;
}

/** Of what was spooled, the deliveries that were committed before others that had been acknowledged well before them. */
async function countOutOfOrder(rig: Rig, spooled: readonly Seen[], sinceMs: number): Promise<number> {
  const rows = await rig.sql<{ at: string; ms: number }[]>`
    select round(extract(epoch from occurred_at) * 1000)::text as at, (extract(epoch from received_at) * 1000)::float8 as ms
    from events where received_at > to_timestamp(${sinceMs}::float8 / 1000)`;
  const storedMs = new Map<number, number>();
  for (const { at, ms } of rows) storedMs.set(rig.plan.placeOf(Number(at) - rig.plan.startMs).delivery, ms);
  let wrong = 0;
  let latest = 0;
  const first = new Set<number>();
  const passed: { endMs: number; storedMs: number }[] = [];
  let behind = 0;
  for (const { delivery, endMs } of spooled.toSorted((a, b) => a.endMs - b.endMs)) {
    const own = storedMs.get(delivery);
    if (own === undefined || first.has(delivery)) continue;
    first.add(delivery);
    passed.push({ endMs, storedMs: own });
    for (let old = passed[behind]; old !== undefined && endMs - old.endMs > sameMomentMs; old = passed[behind]) {
      latest = Math.max(latest, old.storedMs);
      behind += 1;
    }
    if (own < latest) wrong += 1;
  }
  return wrong;
}
