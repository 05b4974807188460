-- One account's conversations, latest first.
-- $1 the account's own id or its Instagram id  $2 status or null  $3 profile status or null
-- $4 last_message_at of the last row seen (ms, null at the start)  $5 its id  $6 limit
select c.id, coalesce(a.own_id, c.account_id) as account_id, c.participant_platform_id, c.participant_username,
  c.participant_name, c.participant_profile_pic, (extract(epoch from c.last_message_at) * 1000)::float8 as last_message_at_ms,
  c.unread_count, c.status, c.profile_status, c.reason_code,
  (extract(epoch from c.fetched_at) * 1000)::float8 as fetched_at_ms,
  (extract(epoch from c.picture_expires_at) * 1000)::float8 as picture_expires_at_ms
from conversations c left join accounts a on a.id = c.account_id
where c.account_id = coalesce((select id from accounts where own_id = $1::text), $1::text) and ($2::text is null or c.status = $2) and ($3::text is null or c.profile_status = $3)
  and ($4::float8 is null or (c.last_message_at, c.id) < (to_timestamp($4::float8 / 1000), $5::text))
order by c.last_message_at desc, c.id desc
limit $6::int
