/** How many calls of Instagram's people cost, counted at the other side: real Postgres, the sandbox, virtual time. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { SandboxTrouble } from "../../src/sandbox/trouble.ts";
import { openVirtualInbox, type VirtualInbox } from "../support/virtual-inbox.ts";

setDefaultTimeout(180_000); // Ten thousands of messages through a Postgres that flushes each commit, on a busy machine.

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

function personOf({ accounts }: VirtualInbox, account: number, at: number) {
  const found = accounts[account];
  const person = found?.people[at];
  if (found === undefined || person === undefined) throw new Error("The world has no such person");
  return { accountId: found.instagramId, personId: person.id };
}

const statusesOf = async ({ db }: VirtualInbox) =>
  (await db.rows("conversations", "id")).map((row) => `${row.profile_status} ${row.reason_code}`);

describe("10,000 messages of one new person at once", () => {
  test.each([0, 1])("are one call, in two daemons that share a database (account %i)", async (account) => {
    await using inbox = await openVirtualInbox({ people: 3, daemons: 2 });
    const person = personOf(inbox, account, 0);
    const some = Array.from({ length: 100 }, () => person);
    await Promise.all(Array.from({ length: 100 }, (_, n) => inbox.receive(some, n % 2)));
    expect(await statusesOf(inbox)).toEqual([expect.stringMatching(/^(complete|no_picture) null$/)]);
    await inbox.pass(60_000); // sweeps find nothing either
    const [row] = await inbox.db.rows("conversations", "id");
    expect({ messages: row?.unread_count, calls: inbox.profileCalls() }).toEqual({ messages: 10_000, calls: 1 });
  });
});

describe("a permanent answer", () => {
  /** Calls about one person who writes so many messages in each of the 112 quarters of 28 days. */
  async function countCalls(trouble: SandboxTrouble, perQuarter: number) {
    await using inbox = await openVirtualInbox({ people: 3, daemons: 2, sweepEveryMs: hourMs });
    const person = personOf(inbox, 0, 0);
    inbox.sandboxes[0]?.setTrouble(person.personId, trouble);
    const some = Array.from({ length: perQuarter }, () => person);
    for (let quarter = 0; quarter < 28 * 4; quarter++) {
      await inbox.receive(some, quarter % 2);
      await inbox.pass(dayMs / 4);
    }
    const [row] = await inbox.db.rows("conversations", "id");
    expect(row?.unread_count).toBe(28 * 4 * perQuarter);
    return inbox.profileCalls();
  }

  // What decides is the row's `next_attempt_at`: while it lies ahead a message asks for nobody (save-events.sql), so the number of
  // messages does not matter. Shown by 112 and 20,160 of them costing as many calls; a million would only take longer.
  test.each([
    ["gone", 1],
    ["invalid_id", 1],
    ["missing", 2], // asked once more after minutes: it has been seen under throttling
  ] as const)("%s: is asked for once in its 30 days, over 20,160 messages as over 112", async (trouble, calls) => {
    const few = await countCalls(trouble, 1);
    const many = await countCalls(trouble, 180);
    expect({ few, many }).toEqual({ few: calls, many: calls });
  });
});
