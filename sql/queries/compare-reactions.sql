-- The stored rows of reactions that events tell otherwise: missing, or earlier than what the event says.
-- $1 json [{ account_id, mid, sender_id, reaction, emoji, reacted_at }] one row a (message, sender) (ms since 1970)
-- Columns: account_id, mid, sender_id; stored (null: not there).
select x.account_id, x.mid, x.sender_id,
  case when r.account_id is not null then json_build_object('reaction', r.reaction, 'emoji', r.emoji,
    'reacted_at', (extract(epoch from r.reacted_at) * 1000)::float8) end as stored
from json_to_recordset($1::text::json) as x (account_id text, mid text, sender_id text, reaction text, emoji text,
    reacted_at float8)
  left join reactions r on r.account_id = x.account_id and r.mid = x.mid and r.sender_id = x.sender_id
where r.account_id is null or (to_timestamp(x.reacted_at / 1000), coalesce(x.reaction, ''), coalesce(x.emoji, ''))
  > (r.reacted_at, coalesce(r.reaction, ''), coalesce(r.emoji, ''))
