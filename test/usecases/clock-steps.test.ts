/** Row 34 of the fault matrix: somebody sets the machine's clock while a person is leased. What counts is Postgres's time. */
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { createBudget } from "../../src/budget/budget.ts";
import { openProfileCache } from "../../src/cache/profile-cache.ts";
import {
  type AccountId,
  conversationIdOf,
  type ParticipantId,
  parseAccountId,
  parseParticipantId,
} from "../../src/domain/ids.ts";
import { profileMaxAgeMsDefault } from "../../src/domain/profile.ts";
import { createCircuit } from "../../src/graph/circuit.ts";
import { leaseMs } from "../../src/repository/lookups.ts";
import { createEnrich, type EnrichDependencies } from "../../src/usecases/enrich.ts";
import { parseWebhook } from "../../src/webhook/parse-webhook.ts";
import { profileOf } from "../cache/profiles.ts";
import { createRecordingLog, openTestRepositories, systemClock } from "../support/test-repositories.ts";
import { account, delivery, inbound } from "../support/webhook-bodies.ts";

const accountId = parseAccountId(account) as AccountId;
const person = parseParticipantId("111") as ParticipantId;
const id = conversationIdOf(accountId, person);
const live = { lane: "live", force: false, signal: new AbortController().signal } as const;
const hourMs = 3_600_000;
const steps = [hourMs, -hourMs, 24 * hourMs, -24 * hourMs];

describe("a lease", async () => {
  const db = await openTestRepositories();
  afterAll(() => db[Symbol.asyncDispose]());

  /** A process with a clock of its own that can be set; `answered` holds Graph's answer back. */
  const openProcess = async (answered: Promise<void> = Promise.resolve()) => {
    const set = { byMs: 0, asked: 0 };
    const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + set.byMs };
    const { log } = createRecordingLog();
    const graph: EnrichDependencies["graph"] = {
      fetchUsername: async () => ({ kind: "unknown" }),
      async fetchProfiles(_access, ids) {
        set.asked += 1;
        await answered;
        const profiles = ids.map((one) => ({ ...profileOf(one), fetchedAtMs: systemClock.nowMs() }));
        const answers = new Map(
          profiles.map((profile) => [profile.participantId, { kind: "found", profile } as const]),
        );
        return { answers, usage: null, pictureRefused: [], callsMade: ids.length };
      },
    };
    const enrich = createEnrich({
      ...{ lookups: db.lookups, accounts: db.accounts, graph, clock, log, profileMaxAgeMs: profileMaxAgeMsDefault },
      cache: await openProfileCache({ url: null, timeoutMs: 100, entriesMax: 10, clock, log }),
      budget: createBudget({ ceilingPerWindow: null, clock }),
      circuit: createCircuit({ clock, log }),
    });
    return { enrich: async () => (await enrich([id], live)).get(id), set };
  };
  const readRow = async () => (await db.rows("conversations", "id"))[0] ?? {};

  beforeEach(async () => {
    await db.empty();
    await db.accounts.saveAccount({
      ...{ id: accountId, ownId: "shop", login: "instagram", pageId: null, appScopedId: null, username: null },
      ...{ token: "IGAAtoken", tokenExpiresAtMs: null },
    });
    await db.events.saveEvents(
      parseWebhook(delivery([inbound("111", "m1", 1_762_000_000_000)]), Date.now()).events,
      5_000,
    );
  });

  test.each(steps)("is neither lost nor stolen where a clock is set by %i ms meanwhile", async (byMs) => {
    const answered = Promise.withResolvers<void>();
    const holder = await openProcess(answered.promise);
    const looking = holder.enrich();
    while (holder.set.asked === 0) await Bun.sleep(2);
    const leftMs = new Date(String((await readRow()).lease_until)).getTime() - Date.now();
    expect(leftMs).toBeWithin(leaseMs / 2, leaseMs + 1_000);
    for (const [own, others] of [
      [byMs, 0],
      [0, byMs],
      [byMs, byMs],
    ] as const) {
      holder.set.byMs = own;
      const other = await openProcess();
      other.set.byMs = others;
      expect([await other.enrich(), other.set.asked]).toEqual([{ kind: "skipped", why: "held" }, 0]);
    }
    answered.resolve();
    expect(await looking).toMatchObject({ kind: "found" });
    expect(await readRow()).toMatchObject({ profile_status: "complete", lease_until: null });
  });

  test.each(steps)("that ran out is anybody's, also where their clock is off by %i ms", async (byMs) => {
    const dead = await openProcess(new Promise(() => {}));
    dead.set.byMs = byMs;
    void dead.enrich();
    while (dead.set.asked === 0) await Bun.sleep(2);
    await db.database.query("update conversations set lease_until = now() - interval '1 ms'", [], "let it run out");
    const other = await openProcess();
    other.set.byMs = -byMs;
    expect(await other.enrich()).toMatchObject({ kind: "found" });
    expect(await readRow()).toMatchObject({ profile_status: "complete", lease_until: null });
  });
});
