-- One conversation with everything that its lookups left behind.
-- $1 conversation id
select c.id, coalesce(a.own_id, c.account_id) as account_id, c.account_id as instagram_id, c.participant_platform_id,
  c.participant_username, c.participant_name, c.participant_profile_pic is not null as has_picture, c.self,
  c.profile_status, c.reason_code, c.attempts, c.evidence,
  (extract(epoch from c.last_message_at) * 1000)::float8 as last_message_at_ms,
  (extract(epoch from c.last_inbound_at) * 1000)::float8 as last_inbound_at_ms,
  (extract(epoch from c.fetched_at) * 1000)::float8 as fetched_at_ms,
  (extract(epoch from c.checked_at) * 1000)::float8 as checked_at_ms,
  (extract(epoch from c.picture_expires_at) * 1000)::float8 as picture_expires_at_ms,
  (extract(epoch from c.next_attempt_at) * 1000)::float8 as next_attempt_at_ms,
  (c.lease_until is not null and c.lease_until >= now()) as held
from conversations c left join accounts a on a.id = c.account_id
where c.account_id = split_part($1::text, '_', 1) and c.participant_platform_id = split_part($1::text, '_', 2)
