/** What the Graph scenarios share: messages of chosen people of the sandbox, and what became of their profiles. */
import { waitUntil } from "../../support/bounded-wait.ts";
import { openLane } from "../request-lane.ts";
import type { Rig } from "../rig.ts";
import { buildRequest, requestMsDefault } from "../sender.ts";
import { buildStranger, buildStrangerBody } from "./hostile-kit.ts";

/** Acks must not notice that Graph is in trouble: a commit takes milliseconds, a busy machine some hundred. */
const ackMsMax = 2_000;

export type PersonRow = {
  readonly account_id: string;
  readonly id: string;
  readonly status: string;
  readonly reason: string | null;
  readonly attempts: number;
  readonly username: string | null;
  readonly name: string | null;
  readonly picture: string | null;
};

/** Sends messages of people whom the caller names, keeps the ledger of them, and reads what became of the people. */
export function createPeople(rig: Rig) {
  const { port } = rig.daemon;
  const sent: { accountId: string; mid: string }[] = [];
  const broken: string[] = [];
  let slowestMs = 0;
  const accountOf = (index: number): string => rig.sandbox.world.accounts[index]?.instagramId ?? "";

  return {
    broken,
    accountOf,
    /** Ids of `count` people of the account's world who were not handed out before. */
    take: createTaker(rig),
    slowestAckMs: () => slowestMs,
    /** One delivery with a message of each. It must be acknowledged at once, whatever Graph does. */
    async send(accountIndex: number, personIds: readonly string[]): Promise<void> {
      using lane = openLane(port);
      const accountId = accountOf(accountIndex);
      const items = personIds.map((id) => buildStranger(`graph-${sent.length}-${id}`, id, accountId));
      const request = buildRequest(buildStrangerBody(items, accountId), { port, secret: rig.appSecret });
      const startMs = performance.now();
      const { status } = await lane.send(request, requestMsDefault);
      const tookMs = performance.now() - startMs;
      slowestMs = Math.max(slowestMs, tookMs);
      if (status !== 200 || tookMs > ackMsMax)
        broken.push(`While Graph was in trouble a message got ${status} after ${Math.round(tookMs)} ms`);
      if (status === 200) sent.push(...items.map(({ message: { mid } }) => ({ accountId, mid })));
    },
    async read(personIds: readonly string[]): Promise<PersonRow[]> {
      return await rig.sql<PersonRow[]>`
        select account_id, participant_platform_id as id, profile_status as status, reason_code as reason, attempts,
          participant_username as username, participant_name as name, participant_profile_pic as picture
        from conversations where participant_platform_id in
          (select jsonb_array_elements_text(${JSON.stringify(personIds)}::text::jsonb))
        order by account_id, participant_platform_id`;
    },
    /** Waits until nobody of them is pending; says who is in `broken` where that does not come. */
    async decided(personIds: readonly string[], timeoutMs: number): Promise<PersonRow[]> {
      const pending = async () => (await this.read(personIds)).filter(({ status }) => status === "pending");
      await waitUntil(async () => (await pending()).length === 0, timeoutMs, "Not decided", 100).catch(async () => {
        const left = await pending();
        const [first] = left;
        broken.push(
          `${left.length} of ${personIds.length} people are pending after ${timeoutMs} ms, first ${JSON.stringify(first)}`,
        );
      });
      return await this.read(personIds);
    },
    /** Calls of the sandbox that asked for one of them, items of a batch each for itself. */
    countAsked(personIds: readonly string[]): number {
      const wanted = new Set(personIds);
      return rig.sandbox.calls
        .list()
        .reduce((sum, call) => sum + call.personIds.filter((id) => wanted.has(id)).length, 0);
    },
    /** The ledger against the tables. */
    async compare(): Promise<{ acknowledged: number; lost: number; doubled: number }> {
      await rig.settle();
      const [row] = await rig.sql<{ found: number; unread: number }[]>`
        select (select count(*)::int from json_to_recordset(${JSON.stringify(
          sent.map(({ accountId, mid }) => ({ account_id: accountId, mid })),
        )}::text::json) as w (account_id text, mid text)
          join messages m on m.account_id = w.account_id and m.mid = w.mid and m.has_content) as found,
          (select coalesce(sum(unread_count), 0)::int from conversations) as unread`;
      const lost = sent.length - (row?.found ?? 0);
      if (lost > 0) broken.push(`${lost} acknowledged messages are not stored`);
      return { acknowledged: sent.length, lost, doubled: Math.max(0, (row?.unread ?? 0) - sent.length) };
    },
  };
}
export type People = ReturnType<typeof createPeople>;

function createTaker({ sandbox }: Rig) {
  const upcoming = sandbox.world.accounts.map(() => 0);
  return (accountIndex: number, count: number): string[] => {
    const from = upcoming[accountIndex] ?? 0;
    upcoming[accountIndex] = from + count;
    const people = sandbox.world.accounts[accountIndex]?.people.slice(from, from + count) ?? [];
    if (people.length < count)
      throw new Error(`Cannot take ${count} people of account ${accountIndex}: too few are left`);
    return people.map(({ id }) => id);
  };
}
