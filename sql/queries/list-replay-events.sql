-- One page of stored events, in key order. The item itself only where it is read from the page: a message's events
-- are read together, by list-replay-messages.sql.
-- $1 account id (null: every account)  $2 received since (ms since 1970, null: from the first)  $3 received until (ms)
-- $4 account and $5 key of the last row seen ('' at the start; with $1 always that account)  $6 limit
select account_id, event_key, kind, participant_id, mid,
  (extract(epoch from occurred_at) * 1000)::float8 as occurred_at_ms,
  (extract(epoch from received_at) * 1000)::float8 as received_at_ms,
  case when kind in ('reaction', 'read') then raw end as raw
from events
where (account_id, event_key) > ($4::text, $5::text) and ($1::text is null or account_id = $1)
  and ($2::float8 is null or received_at >= to_timestamp($2 / 1000)) and received_at <= to_timestamp($3::float8 / 1000)
order by account_id, event_key
limit $6::int
