/**
 * What share of lookups ends without Graph, over a made-up week of four inboxes. Real: the way from a delivery into the tables, the
 * dispatcher, enrich(), the budget, the cache in process, the Graph client, Postgres, and the sandbox, whose log counts the calls. Made up:
 * the people below, and time, which is virtual (see virtual-inbox.ts; the queue is a stand-in on that time).
 */
import { createChance } from "../../src/sandbox/chance.ts";
import { openVirtualInbox, type VirtualMessage } from "../support/virtual-inbox.ts";
import type { BenchPostgres } from "./bench-postgres.ts";
import { printTable } from "./print-table.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** The model. Every number is a guess at an ordinary shop's inbox; nobody's traffic was measured. */
const model = {
  days: 7,
  /** Two with Instagram Login, two with a Page. */
  accounts: 4,
  /** People who write to an account for the first time, a day. */
  newPeoplePerDay: 12,
  /** Share of those who write again on the day after. */
  backNextDayShare: 0.35,
  /** People whom an account knows for long, and the share of them who write on a day. */
  regulars: 40,
  regularsPerDayShare: 0.15,
  /** Share of a day's writers who come a second time on that day, three to six hours later. */
  secondTalkShare: 0.3,
  /** Between two messages of a talk, on average. */
  messageGapMs: 90_000,
  /** A day's talks begin within so many hours from its morning. */
  openHours: 14,
} as const;
/** Messages that one person writes in one talk, on average (geometric). The first is the model's; the others show what hangs on it. */
const messagesPerTalk = [12, 6, 24] as const;
const sweepEveryMs = hourMs / 4;

type Chance = ReturnType<typeof createChance>;
type Planned = VirtualMessage & { readonly atMs: number };

export async function benchCalls(_postgres: BenchPostgres, { runs }: { readonly runs: number }): Promise<void> {
  process.stdout.write(`\ncalls: the model of a week (the modules run in this process, not the binary)\n`);
  for (const [name, value] of Object.entries(model)) process.stdout.write(`  ${name} ${value}\n`);
  for (const talk of messagesPerTalk) {
    const weeks = [];
    for (let seed = 1; seed <= runs; seed += 1) weeks.push(await runWeek(seed, talk));
    printTable(
      `calls: ${talk} messages a talk, ${runs} seeds; virtual time, real Postgres and sandbox, cache in process`,
      [
        {
          name: "lookups that end without Graph",
          unit: "%",
          values: weeks.map(({ messages, calls }) => 100 * (1 - calls / messages)),
          aim: "≥ 95",
        },
        { name: "lookups wished for: messages from people", unit: "", values: weeks.map(({ messages }) => messages) },
        { name: "people", unit: "", values: weeks.map(({ people }) => people) },
        {
          name: "people times days on which they wrote",
          unit: "",
          values: weeks.map((w) => w.personDays),
        },
        { name: "calls to Graph about a profile", unit: "", values: weeks.map(({ calls }) => calls) },
      ],
    );
  }
}

async function runWeek(seed: number, talk: number) {
  const people = model.regulars + model.days * model.newPeoplePerDay;
  await using inbox = await openVirtualInbox({ people, seed, sandboxes: model.accounts / 2, sweepEveryMs });
  const chance = createChance(seed);
  const planned = inbox.accounts
    .flatMap((account) =>
      planWeek(
        chance,
        account.instagramId,
        account.people.map(({ id }) => id),
        talk,
      ),
    )
    .sort((one, other) => one.atMs - other.atMs);
  for (const message of planned) {
    await inbox.pass(message.atMs - inbox.clock.monotonicMs());
    await inbox.receive([message]);
  }
  await inbox.pass(hourMs);
  const writers = new Set(planned.map(({ accountId, personId }) => `${accountId} ${personId}`));
  const days = new Set(
    planned.map(({ accountId, personId, atMs }) => `${accountId} ${personId} ${Math.floor(atMs / dayMs)}`),
  );
  return { messages: planned.length, calls: inbox.profileCalls(), people: writers.size, personDays: days.size };
}

/** Who writes to one account, and when. Its first people are its regulars; the others are met day by day. */
function planWeek(chance: Chance, accountId: string, ids: readonly string[], talk: number): Planned[] {
  const planned: Planned[] = [];
  const plan = (personId: string, day: number) => {
    const startMs = day * dayMs + chance.next() * model.openHours * hourMs;
    const talks = chance.next() < model.secondTalkShare ? [0, (3 + 3 * chance.next()) * hourMs] : [0];
    for (const laterMs of talks) {
      let atMs = startMs + laterMs;
      do {
        planned.push({ accountId, personId, atMs: Math.round(atMs) });
        atMs += -Math.log(1 - chance.next()) * model.messageGapMs;
      } while (chance.next() >= 1 / talk);
    }
  };
  for (let day = 0; day < model.days; day += 1) {
    for (const id of ids.slice(0, model.regulars)) if (chance.next() < model.regularsPerDayShare) plan(id, day);
    const first = model.regulars + day * model.newPeoplePerDay;
    for (const id of ids.slice(first, first + model.newPeoplePerDay)) {
      plan(id, day);
      if (day + 1 < model.days && chance.next() < model.backNextDayShare) plan(id, day + 1);
    }
  }
  return planned;
}
