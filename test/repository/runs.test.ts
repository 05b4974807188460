import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { type AccountId, type ConversationId, parseAccountId } from "../../src/domain/ids.ts";
import type { Run, RunOptions, RunPlace } from "../../src/domain/run.ts";
import { openTestRepositories } from "../support/test-repositories.ts";

const accountId = parseAccountId("17841400000000001") as AccountId;
const phases = { bulk: false, profiles: true, importMissing: false };
const options: RunOptions = { batchSize: 10, scope: "missing", limit: null, since: null, sinceMs: null, ...phases };
const here = { instance: "here:1", folder: "a-folder", folderFree: false };
const place: RunPlace = {
  phase: "profiles",
  cursor: { lastMessageAtMs: 1, id: "x" },
  namesCursor: null,
  names: { calls: 0, listed: 0, named: 0, imported: 0 },
  pausedForMs: null,
  total: 3,
};

for (const kind of ["postgres", "embedded"] as const) {
  describe(`runs on ${kind}`, async () => {
    const db = await openTestRepositories(kind);
    afterAll(() => db[Symbol.asyncDispose]());
    beforeEach(() => db.empty());

    let made = 0;
    const claim = (more: Partial<Parameters<typeof db.runs.claimRun>[0]> = {}) => {
      made += 1;
      return db.runs.claimRun({ id: `run-${made}`, accountId, owner: here, options, ...more });
    };
    const silence = (seconds: number) =>
      db.database.query(`update backfill_runs set heartbeat_at = now() - interval '${seconds} s'`, [], "let time pass");
    const fill = (count: number) =>
      db.database.query(
        `insert into conversations (account_id, participant_platform_id, last_message_at, last_inbound_at)
         select '${accountId}', n::text, now() - n * interval '1 s', now() from generate_series(1, ${count}) n`,
        [],
        "fill the conversations",
      );
    const person = (n: number) => `${accountId}_${n}` as ConversationId;

    test("claimRun() lets one of many starters through, and none where the owner lives", async () => {
      const claims = await Promise.all(Array.from({ length: 20 }, () => claim()));
      expect(claims.filter((run) => run !== null)).toHaveLength(1);
      await silence(59);
      expect(await claim()).toBeNull();
      expect(await claim({ accountId: parseAccountId("17841400000000002") as AccountId })).toMatchObject({
        state: "running",
        done: 0,
      });
    });

    test("claimRun() takes over the same run from an owner that was silent for a minute, or whose folder is free", async () => {
      const first = (await claim()) as Run;
      await silence(61);
      const second = (await claim({ owner: { ...here, instance: "there:2", folder: "another" } })) as Run;
      expect(second).toMatchObject({ id: first.id, number: first.number, owner: "there:2" });
      expect(second.fencingToken).not.toBe(first.fencingToken);
      expect(await claim({ owner: { ...here, folderFree: true } })).toBeNull();
      expect(await claim({ owner: { ...here, folder: "another", folderFree: true } })).toMatchObject({ id: first.id });
    });

    test("saveRun() does not take back where the list of names stands by now", async () => {
      const run = (await claim({ options: { ...options, bulk: true } })) as Run;
      const save = (calls: number, listed: number, namesCursor: string) =>
        db.runs.saveRun(run, { ...place, phase: "names", namesCursor, names: { ...place.names, calls, listed } });
      await db.inbox.saveListedNames({
        ...{ accountId, people: [], askedAtMs: 1, namedReasons: [], startedAtMs: 1 },
        place: { ...run, cursor: "behind page 50", names: { calls: 50, listed: 2_500, named: 0, imported: 0 } },
      });
      await save(3, 100, "behind page 2"); // a beat that waited meanwhile
      const stands = async () => {
        const { namesCursor, names } = (await db.runs.getRun(run.id)) as Run;
        return [namesCursor, names.calls, names.listed];
      };
      expect(await stands()).toEqual(["behind page 50", 50, 2_500]);
      await save(50, 100, "behind page 2");
      expect(await stands()).toEqual(["behind page 50", 50, 2_500]);
      await save(51, 0, "from the start again");
      expect(await stands()).toEqual(["from the start again", 51, 0]);
    });

    test("claimRun() leaves a free run alone that was asked for something else; a moment meant relatively stays", async () => {
      const first = (await claim({ options: { ...options, since: "7d", sinceMs: 1_000 } })) as Run;
      await silence(61);
      expect(await claim()).toBeNull();
      const again = await claim({ options: { ...options, batchSize: 50, since: "7d", sinceMs: 2_000 } });
      expect(again).toMatchObject({ id: first.id, options: { batchSize: 50, sinceMs: 1_000 } });
      await silence(61);
      const open = (await db.runs.getOpenRun(accountId, here)) as Run;
      expect(open).toMatchObject({ id: first.id, free: true });
      expect(await db.runs.closeRun(first)).toBe(false); // read before it changed hands
      expect(await db.runs.closeRun(open)).toBe(true);
      expect(await claim()).toMatchObject({ state: "running", options });
    });

    test("whoever has lost a run can write nothing more: not the run, not its people", async () => {
      await fill(3);
      const stale = (await claim()) as Run;
      const [held, other] = await db.lookups.claimLookups([person(1), person(2)], true, stale);
      await silence(61);
      const owner = (await claim()) as Run;
      const before = await db.rows("backfill_runs", "id");
      expect(await db.runs.saveRun(stale, place)).toBeNull();
      expect(await db.runs.countSkipped(stale, [{ id: person(3), why: "already_done" }])).toEqual([]);
      const end = { state: "completed", cursor: null, total: 9, blockedReason: null } as const;
      expect(await db.runs.finishRun(stale, end)).toBeNull();
      expect(await db.lookups.claimLookups([person(3)], true, stale)).toMatchObject([{ kind: "done" }]);
      if (held?.kind !== "taken" || other?.kind !== "taken") throw new Error("not taken");
      const gone = { kind: "absent", status: "not_found", reason: "gone", attempts: 1, retryInMs: null } as const;
      const save = (lookup: typeof held.lookup, run: Run) =>
        db.lookups.saveOutcomes([{ lookup, outcome: { ...gone, evidence: null } }], run);
      expect(await save(held.lookup, stale)).toEqual([]);
      expect(await db.rows("backfill_runs", "id")).toEqual(before);
      // The new owner need not wait for the leases of the old one, and counts once.
      const [taken] = await db.lookups.claimLookups([person(1)], true, owner);
      if (taken?.kind !== "taken") throw new Error("not taken");
      expect(await save(taken.lookup, owner)).toEqual([person(1)]);
      expect(await save(taken.lookup, owner)).toEqual([]);
      expect(await db.runs.countSkipped(owner, [{ id: person(1), why: "already_done" }])).toEqual([]);
      expect(await db.runs.countSkipped(owner, [{ id: person(2), why: "already_done" }])).toEqual([person(2)]);
      expect(await db.runs.saveRun(owner, place)).toEqual({ cancelRequested: false });
      expect(await db.runs.getRun(owner.id)).toMatchObject({
        ...{ total: 3, cursor: place.cursor, free: false, done: 2, errors: 1, outcomes: { gone: 1, already_done: 1 } },
      });
    });

    test("saveOutcomes() counts whom many steps at once are done with, each once", async () => {
      await fill(400);
      const run = (await claim()) as Run;
      await Promise.all(
        Array.from({ length: 40 }, async (_, step) => {
          const ids = Array.from({ length: 10 }, (_, n) => person(step * 10 + n + 1));
          const claims = await db.lookups.claimLookups(ids, true, run);
          const lookups = claims.flatMap((one) => (one.kind === "taken" ? [one.lookup] : []));
          const reason = step % 2 === 0 ? ("gone" as const) : ("not_visible" as const);
          const outcome = { kind: "absent", status: "not_found", reason, attempts: 1, retryInMs: null, evidence: null };
          await db.lookups.saveOutcomes(
            lookups.map((lookup) => ({ lookup, outcome: { ...outcome, kind: "absent", status: "not_found" } })),
            run,
          );
        }),
      );
      expect(await db.runs.getRun(run.id)).toMatchObject({
        ...{ done: 400, successful: 0, errors: 400, outcomes: { gone: 200, not_visible: 200 } },
      });
    });
  });
}
