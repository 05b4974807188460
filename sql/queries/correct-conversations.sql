-- Writes what conversations owe their messages, where they still say what they said when they were compared: a message
-- that a daemon has filed meanwhile has counted itself. A conversation that is made, or has its first words from the
-- person, is due for a lookup as if the message had just come. Nobody comes back who was erased since.
-- $1 json [{ account_id, participant_id, last_message_at, last_inbound_at, unread_count, self,
--    was (null: was not there): { last_message_at, last_inbound_at, unread_count, self } }] (times in ms since 1970)
-- Columns: account_id, participant_id of each row that was written.
with given as materialized (
  select r.account_id, r.participant_id, to_timestamp(r.last_message_at / 1000) as last_message_at,
    to_timestamp(r.last_inbound_at / 1000) as last_inbound_at, r.unread_count, r.self, r.was is null as fresh,
    (r.was ->> 'last_message_at')::float8 as was_last_message_at,
    (r.was ->> 'last_inbound_at')::float8 as was_last_inbound_at,
    (r.was ->> 'unread_count')::integer as was_unread_count, (r.was ->> 'self')::boolean as was_self
  from json_to_recordset($1::text::json) as r (account_id text, participant_id text, last_message_at float8,
    last_inbound_at float8, unread_count integer, self boolean, was json)
),
-- In one order, as the webhook's statement does it, so that the two wait for each other instead of in a ring.
held as materialized (
  select c.account_id, c.participant_platform_id
  from conversations c join given g on g.account_id = c.account_id and g.participant_id = c.participant_platform_id
  where not g.fresh and (extract(epoch from c.last_message_at) * 1000)::float8 = g.was_last_message_at
    and (extract(epoch from c.last_inbound_at) * 1000)::float8 is not distinct from g.was_last_inbound_at
    and c.unread_count = g.was_unread_count and c.self = g.was_self
  order by c.account_id, c.participant_platform_id
  for update of c
),
changed as (
  update conversations c set last_message_at = g.last_message_at, last_inbound_at = g.last_inbound_at,
    unread_count = g.unread_count, self = g.self,
    profile_status = case when g.was_last_inbound_at is null and g.last_inbound_at is not null
      and c.profile_status = 'no_consent' then 'pending' else c.profile_status end,
    next_attempt_at = case when g.was_last_inbound_at is null and g.last_inbound_at is not null and not g.self
      and c.profile_status in ('pending', 'no_consent') then coalesce(c.next_attempt_at, now())
      else c.next_attempt_at end
  from given g join held h on h.account_id = g.account_id and h.participant_platform_id = g.participant_id
  where c.account_id = g.account_id and c.participant_platform_id = g.participant_id
  returning c.account_id, c.participant_platform_id
),
made as (
  insert into conversations (account_id, participant_platform_id, last_message_at, last_inbound_at, unread_count, self,
    next_attempt_at)
  select account_id, participant_id, last_message_at, last_inbound_at, unread_count, self,
    case when last_inbound_at is not null and not self then now() end
  from given where fresh and coalesce(last_message_at > erased_until(account_id, participant_id), true)
  order by account_id collate "C", participant_id collate "C"
  on conflict (account_id, participant_platform_id) do nothing
  returning account_id, participant_platform_id
)
select account_id, participant_platform_id as participant_id from changed
union all select account_id, participant_platform_id from made
