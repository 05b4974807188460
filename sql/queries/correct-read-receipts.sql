-- Files read receipts as save-events.sql does: the later one stays, whoever writes it; none of an erased person.
-- $1 json [{ account_id, participant_id, mid, read_at }] one row a person (ms since 1970)
-- Columns: account_id, participant_id of each row that was written.
insert into read_receipts as r (account_id, participant_id, mid, read_at)
select account_id, participant_id, mid, to_timestamp(read_at / 1000)
from json_to_recordset($1::text::json) as x (account_id text, participant_id text, mid text, read_at float8)
where coalesce(to_timestamp(read_at / 1000) > erased_until(account_id, participant_id), true)
order by account_id collate "C", participant_id collate "C"
on conflict (account_id, participant_id) do update set mid = excluded.mid, read_at = excluded.read_at
where (excluded.read_at, coalesce(excluded.mid, '')) > (r.read_at, coalesce(r.mid, ''))
returning r.account_id, r.participant_id
