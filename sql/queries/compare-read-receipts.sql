-- The stored rows of read receipts that events tell otherwise: missing, or earlier than what the event says.
-- $1 json [{ account_id, participant_id, mid, read_at }] one row a person (ms since 1970)
-- Columns: account_id, participant_id; stored (null: not there).
select x.account_id, x.participant_id,
  case when r.account_id is not null then json_build_object('mid', r.mid,
    'read_at', (extract(epoch from r.read_at) * 1000)::float8) end as stored
from json_to_recordset($1::text::json) as x (account_id text, participant_id text, mid text, read_at float8)
  left join read_receipts r on r.account_id = x.account_id and r.participant_id = x.participant_id
where r.account_id is null or (to_timestamp(x.read_at / 1000), coalesce(x.mid, '')) > (r.read_at, coalesce(r.mid, ''))
