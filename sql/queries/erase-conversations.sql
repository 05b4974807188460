-- Removes conversations of erased people, whom nobody looks up just now: an answer that is under way is waited for, so
-- that it cannot come later. Who has written since the erasure keeps a conversation that knows nothing of before.
-- Promise: no message that came since is lost or counted wrongly; a row that changes meanwhile is left for the next call.
-- $1 json [{ account_id, participant_id, until }]  $2 true: also those who are being looked up
-- Columns: removed; left (conversations from before the erasure that still stand).
with given as materialized (
  select account_id, participant_id, until::timestamptz as until_at
  from json_to_recordset($1::text::json) as r (account_id text, participant_id text, until text)
),
found as materialized (
  select c.account_id, c.participant_platform_id, g.until_at, c.last_message_at, c.unread_count
  from given g join conversations c
    on c.account_id = g.account_id and c.participant_platform_id = g.participant_id
  where c.created_at <= g.until_at and ($2::boolean or c.lease_until is null or c.lease_until < now())
),
gone as (
  delete from conversations c using found f
  where c.account_id = f.account_id and c.participant_platform_id = f.participant_platform_id
    and c.last_message_at <= f.until_at and ($2::boolean or c.lease_until is null or c.lease_until < now())
  returning 1
),
renewed as (
  update conversations c set status = 'active', created_at = n.first_at, last_message_at = n.last_at,
    last_inbound_at = n.inbound_at, unread_count = n.unread, source = 'webhook', participant_username = null,
    participant_name = null, participant_profile_pic = null, profile_status = 'pending', reason_code = null,
    attempts = 0, fetched_at = null, checked_at = null, picture_expires_at = null, evidence = null, run_number = null,
    lease_token = null, lease_until = null, lease_owner = null,
    next_attempt_at = case when n.inbound_at is not null and not c.self then now() end
  from found f cross join lateral (
    select greatest(now(), f.until_at + interval '1 us') as first_at, max(m.sent_at) as last_at,
      max(m.sent_at) filter (where m.direction = 'inbound') as inbound_at,
      (count(*) filter (where m.direction = 'inbound'))::integer as unread
    from messages m where m.conversation_id = f.account_id || '_' || f.participant_platform_id
      and m.sent_at > f.until_at and m.has_content and not m.imported
  ) n
  where c.account_id = f.account_id and c.participant_platform_id = f.participant_platform_id
    and n.last_at is not null and c.last_message_at > f.until_at
    and c.last_message_at = f.last_message_at and c.unread_count = f.unread_count
    and ($2::boolean or c.lease_until is null or c.lease_until < now())
  returning 1
)
select (select count(*)::int from gone) as removed,
  (select count(*)::int from given g join conversations c
      on c.account_id = g.account_id and c.participant_platform_id = g.participant_id
    where c.created_at <= g.until_at) - (select count(*)::int from gone) - (select count(*)::int from renewed) as left
