-- Files reactions as save-events.sql does: the later one stays, whoever writes it; none of an erased person.
-- $1 json [{ account_id, mid, sender_id, reaction, emoji, reacted_at }] one row a (message, sender) (ms since 1970)
-- Columns: account_id, mid, sender_id of each row that was written.
insert into reactions as r (account_id, mid, sender_id, reaction, emoji, reacted_at)
select account_id, mid, sender_id, reaction, emoji, to_timestamp(reacted_at / 1000)
from json_to_recordset($1::text::json) as x (account_id text, mid text, sender_id text, reaction text, emoji text,
  reacted_at float8)
where coalesce(to_timestamp(reacted_at / 1000) > erased_until(account_id, sender_id), true)
order by account_id collate "C", mid collate "C", sender_id collate "C"
on conflict (account_id, mid, sender_id) do update set
  reaction = excluded.reaction, emoji = excluded.emoji, reacted_at = excluded.reacted_at
where (excluded.reacted_at, coalesce(excluded.reaction, ''), coalesce(excluded.emoji, ''))
  > (r.reacted_at, coalesce(r.reaction, ''), coalesce(r.emoji, ''))
returning r.account_id, r.mid, r.sender_id
