/** Row 18: the tables change under prepared statements, and the server forgets one (26000), as a pooler makes it. */
import { createFlip } from "../flip-statement.ts";
import { percentile } from "../percentile.ts";
import { openRig } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { finish, startLoad } from "../under-load.ts";

const batchMax = 10;
const pauseMs = 120;

/** What a migration of a later release may do while this one runs. Each leaves room for the same rows. */
const changes = [
  "alter table messages add column later integer",
  "alter table messages alter column text type varchar",
  "drop index messages_conversation",
  "create index messages_conversation on messages (conversation_id, sent_at desc, mid desc)",
  "alter table messages alter column text type text",
  "alter table messages drop column later",
  "alter table conversations alter column status type varchar",
  "alter table conversations alter column status type text",
  "alter table events set (fillfactor = 70)",
  "analyze events, messages, conversations",
];

export const postgresStalePlans: Scenario = {
  name: "postgres-stale-plans",
  fault: "tables altered and indexes made anew under prepared statements, and statements that the server has forgotten",
  rows: [18],
  cycles: { short: 1, long: 10 },
  timeoutMs: 60_000,
  async run({ cycles, seed, signal }) {
    await using rig = await openRig({ seed, batchMax, proxy: true });
    await rig.daemon.start();
    const load = startLoad(rig, { lanes: 8, perSecond: 150 });
    await Bun.sleep(pauseMs);
    const flip = createFlip();
    rig.proxies.postgres.setTap(flip.tap);
    let done = 0;
    for (; done < cycles && !signal.aborted; done += 1) {
      for (const change of changes) {
        await rig.sql.unsafe(change);
        flip.arm();
        await Bun.sleep(pauseMs);
      }
    }
    const refused = rig.ledger.statuses().get(503) ?? 0;
    return await finish(rig, load, {
      cycles: done,
      notes: {
        "changes of tables": done * changes.length,
        "statements forgotten": flip.count(),
        "time to a 200, 99 of 100 within ms": Math.round(
          percentile(rig.ledger.ackTimesWithin(0, performance.now()), 0.99),
        ),
      },
      broken: [
        ...(flip.count() > 0 ? [] : ["No statement was forgotten: nothing was tried"]),
        ...(refused === 0 ? [] : [`${refused} deliveries were refused, and one more try would have stored them`]),
      ],
    });
  },
};
