-- The candidates of a run that asks again for people who were refused, or for everybody; latest conversation first.
-- Never people who have never written, nor whom the run has finished with.
-- $1 account id  $2 last_message_at of the last row seen (ms since 1970, null at the start)  $3 its id  $4 limit
-- $5 the run's number, or null  $6 conversations since (ms since 1970), or null  $7 true: also people with a profile
-- Columns: ids (json), and as many times_ms (json): when their last message came, ms since 1970. Null: there are none.
select json_agg(id) as ids, json_agg((extract(epoch from last_message_at) * 1000)::float8) as times_ms from (
select id, last_message_at from conversations
where account_id = $1 and not self and last_inbound_at is not null
  and ($7::boolean or profile_status not in ('complete', 'no_picture'))
  and ($2::float8 is null or (last_message_at, id) < (to_timestamp($2::float8 / 1000), $3::text))
  and ($5::bigint is null or run_number is distinct from $5::bigint)
  and ($6::float8 is null or last_message_at >= to_timestamp($6::float8 / 1000))
order by last_message_at desc, id desc
limit $4::int
) page
