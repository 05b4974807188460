/** What Postgres says of lookups: for scenarios that break a daemon in the middle of them. */
import type { Rig } from "./rig.ts";

/** People whom a daemon holds now. */
export async function countLeased({ sql }: Rig): Promise<number> {
  const [row] = await sql<
    { count: number }[]
  >`select count(*)::int as count from conversations where lease_until >= now()`;
  return row?.count ?? 0;
}

/** People whose lookup has not ended: held by somebody, or to be asked for. */
export async function countPending({ sql }: Rig): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from conversations
    where lease_until is not null or (last_inbound_at is not null and profile_status = 'pending')`;
  return row?.count ?? 0;
}

/** Ends every lease now, in the order of the product's own statements: the two wait for each other instead of in a ring. */
export async function endLeases({ sql }: Rig): Promise<void> {
  await sql`
    with held as (select account_id, participant_platform_id from conversations where lease_until is not null
      order by account_id, participant_platform_id for update)
    update conversations c set lease_until = now() from held
    where c.account_id = held.account_id and c.participant_platform_id = held.participant_platform_id`;
}
