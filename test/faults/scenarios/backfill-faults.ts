/**
 * Rows 1, 24 to 29, 31: a backfill over people of whom many are in some trouble, each kind that the sandbox can play,
 * dies by SIGKILL when 37 % of them have been asked for. The next start asks for nobody again who was finished, and
 * the tables are in the end those of a run over the same people that nobody killed.
 */

import { type SandboxTrouble, troubleTable } from "../../../src/sandbox/trouble.ts";
import { waitUntil, withDeadline } from "../../support/bounded-wait.ts";
import { createChance, hash } from "../chance.ts";
import type { Scenario } from "../scenario.ts";
import { type BackfillProgram, type InboxCopy, openFilledInbox } from "./backfill-kit.ts";
import {
  compareMessages,
  compareTables,
  judgeRepeats,
  judgeTotals,
  listAsked,
  listFinished,
  readRun,
  readTables,
} from "./backfill-laws.ts";

const peopleOf = { short: 1_000, long: 10_000 };
const killedAtShare = 0.37;
const latencyMs = 20;
const pollMs = 2;
const runMsMax = { short: 60_000, long: 300_000 };
const account = 1;
/** Finished with failures: there are people whom Instagram refuses for good. */
const someFailedCode = 2;

/** What lasts, in people of a thousand: a refusal, or an answer to be cleaned. They are finished when asked for once. */
const lasting: Partial<Record<SandboxTrouble, number>> = {
  ...{ no_consent: 20, gone: 3, unavailable: 3, invalid_id: 2, missing: 3, no_profile: 2, profile_not_permitted: 2 },
  ...{ not_visible: 2, invalid_user: 2, permission: 2, permission_denied: 2, permission_link: 2, access_off: 2 },
  ...{ wrong_types: 2, huge_name: 1, nul_name: 2, lone_surrogate: 2, rtl_name: 2, hostile_picture: 2 },
};
/** What fails at every attempt, one person each: of five whom only servers fail on, the circuit would tell Graph is away. */
const failing: readonly SandboxTrouble[] = [
  ...(["wrong_id", "bare_string", "list_body", "server_unknown", "reduce_data", "server_error"] as const),
];
/** What is over once it was answered, one person each: most of them hit everybody of their request. */
const passing: readonly SandboxTrouble[] = [
  ...(["html", "cut_off", "redirect", "empty_body", "truncated_json", "bad_gateway", "batch_missing"] as const),
  ...(["batch_extra", "batch_reordered", "null_item", "server_error_once"] as const),
];
const throttles = (Object.keys(troubleTable) as SandboxTrouble[]).filter((name) => name.startsWith("throttled_"));
/** Each holds a request for its whole 10 s, or is 50 MB long: the long form's. */
const slow: readonly SandboxTrouble[] = ["hang", "trickle", "huge"];
const shortFailing = 2;
const shortThrottles = 2;

export const backfillFaults: Scenario = {
  name: "backfill-faults",
  fault: "A backfill over people and an inbox in every kind of trouble, SIGKILL at 37 %, and its next start",
  rows: [1, 24, 25, 26, 27, 28, 29, 31],
  cycles: { short: 1, long: 1 },
  timeoutMs: 120_000,
  async run({ cycles, long, seed, signal, say }) {
    const form = long ? "long" : "short";
    const people = peopleOf[form];
    await using filled = await openFilledInbox({ seed, people });
    const broken: string[] = [];
    const notes: Record<string, number | string> = {};
    let messages = { lost: 0, doubled: 0 };
    let done = 0;
    for (; done < cycles && !signal.aborted; done += 1) {
      const plan = planTroubles(hash(seed, done, 37), filled.account.people, long);
      await using undisturbed = await filled.copy({ latencyMs });
      await using killed = await filled.copy({ latencyMs });
      using _quietStage = playTroubles(undisturbed, plan);
      using stage = playTroubles(killed, plan);
      const bound = runMsMax[form];
      const whole = async (program: BackfillProgram) =>
        await withDeadline(program.ended, bound, "A backfill has not ended");
      const reference = (async () => await whole(await undisturbed.start()))();

      const first = await killed.start(["--json"]);
      await waitUntil(
        () => stage.asked() >= killedAtShare * people || !first.isRunning(),
        bound,
        "Not so many people were asked for",
        pollMs,
      );
      first.signal("SIGKILL");
      if ((await first.ended) !== null) broken.push(`The backfill was over before its death: ${first.output.err}`);
      await killed.quiet();
      broken.push(...(await judgeTotals(killed.sql, "After the death")));
      const run = await readRun(killed.sql);
      const finished = run === null ? new Map<string, number>() : await listFinished(killed.sql, run);
      if (finished.size === 0 || finished.size >= people)
        broken.push(`The harness hit nothing: ${finished.size} people were finished at the death`);
      const callsBefore = killed.sandbox.calls.list().length;
      const askedBefore = listAsked(killed).size;
      say(`killed with ${askedBefore} of ${people} people asked for, ${finished.size} finished`);

      const second = await killed.start(["--json"]);
      const [code, referenceCode] = [await whole(second), await reference];
      if (code !== someFailedCode || referenceCode !== someFailedCode)
        broken.push(`It ended with ${code}, undisturbed with ${referenceCode}: ${second.output.err.slice(-1_000)}`);
      if (second.event("start")?.resumed !== true) broken.push("The second start did not go on with the run");
      const after = listAsked(killed, callsBefore);
      const again = [...finished.keys()].filter((id) => after.has(id));
      if (again.length > 0) broken.push(`${again.length} finished people were asked for again, ${again[0]} for one`);
      for (const copy of [killed, undisturbed]) {
        broken.push(...(await judgeRepeats(copy)), ...(await judgeTotals(copy.sql, "At the end")));
        const ended = await readRun(copy.sql);
        if (ended?.state !== "completed" || ended.done !== people)
          broken.push(`The run is ${ended?.state} with ${ended?.done} of ${people} people`);
      }
      // How often somebody was tried is not the same: a death spares whom it meets an attempt that went wrong.
      const [tables, wanted] = [await readTables(killed, ["attempts"]), await readTables(undisturbed, ["attempts"])];
      broken.push(...compareTables(tables, wanted));
      messages = await compareMessages(killed.sql, filled.acknowledged);
      const { profileRequests, listRequests } = killed.sandbox.calls.counts();
      Object.assign(notes, {
        people,
        "people in trouble": plan.size,
        "kinds of trouble": new Set(plan.values()).size,
        "finished at the death": finished.size,
        "asked for and not finished at the death": askedBefore - finished.size,
        "requests for profiles": profileRequests,
        "of them undisturbed": undisturbed.sandbox.calls.profileRequests,
        "requests for the inbox": listRequests,
      });
    }
    broken.push(...filled.rig.daemon.complaints());
    return { cycles: done, acknowledged: filled.acknowledged, ...messages, notes, broken };
  },
};

type Plan = ReadonlyMap<string, SandboxTrouble>;

/** Who is in which trouble: spread over the whole inbox, by chance of the seed. */
function planTroubles(seed: number, people: readonly { readonly id: string }[], long: boolean): Plan {
  const chance = createChance(seed);
  const shuffle = <T>(list: readonly T[]): T[] =>
    list
      .map((one) => ({ one, at: chance.next() }))
      .sort((left, right) => left.at - right.at)
      .map(({ one }) => one);
  const share = people.length / 1_000;
  const kinds = shuffle([
    ...Object.entries(lasting).flatMap(([name, times]) =>
      Array.from({ length: Math.round(times * share) }, () => name as SandboxTrouble),
    ),
    ...shuffle(failing).slice(0, long ? failing.length : shortFailing),
    ...passing,
    ...shuffle(throttles).slice(0, long ? throttles.length : shortThrottles),
    ...(long ? slow : []),
  ]);
  const stride = people.length / kinds.length;
  return new Map(kinds.map((kind, at) => [people[Math.floor((at + chance.next()) * stride)]?.id ?? "", kind] as const));
}

/** What happens to the inbox's pages, by the number of requests for them: each is over with the next request. */
const pageActs: readonly { readonly at: number; readonly act: (copy: InboxCopy, on: boolean) => void }[] = [
  { at: 3, act: ({ sandbox }, on) => sandbox.setAccountTrouble(account, on ? "throttled_page" : null) },
  { at: 7, act: ({ sandbox }, on) => sandbox.setAccountTrouble(account, on ? "server_error" : null) },
  { at: 11, act: ({ sandbox }, on) => on && sandbox.expireCursors() },
  { at: 15, act: ({ sandbox }, on) => sandbox.setListPageMax(on ? 25 : null) },
];

/** Puts the troubles into the sandbox, and ends those that pass once they were met. */
function playTroubles(copy: InboxCopy, plan: Plan): Disposable & { readonly asked: () => number } {
  const { sandbox } = copy;
  const upcoming = [...pageActs];
  const asked = new Set<string>();
  let seen = 0;
  let undo: { readonly after: number; readonly run: () => void } | null = null;
  for (const [id, trouble] of plan) sandbox.setTrouble(id, trouble);
  const lasts = (trouble: SandboxTrouble) => lasting[trouble] !== undefined || failing.includes(trouble);
  const look = (): void => {
    const calls = sandbox.calls.list();
    for (const { personIds } of calls.slice(seen))
      for (const id of personIds) {
        const trouble = plan.get(id);
        if (trouble !== undefined && !lasts(trouble) && !asked.has(id)) sandbox.setTrouble(id, null);
        asked.add(id);
      }
    seen = calls.length;
    const { listRequests } = sandbox.calls.counts();
    if (undo !== null && listRequests > undo.after) {
      undo.run();
      undo = null;
    }
    const [next] = upcoming;
    if (undo !== null || next === undefined || listRequests < next.at) return;
    upcoming.shift();
    next.act(copy, true);
    undo = { after: listRequests, run: () => next.act(copy, false) };
  };
  const timer = setInterval(look, pollMs);
  return { asked: () => asked.size, [Symbol.dispose]: () => clearInterval(timer) };
}
