-- Keeps what was signed and could not be filed, once a body, with a count.
-- $1 json [{ reason, body_hash, body (base64) }]
insert into quarantine (reason, body_hash, body)
select distinct on (body_hash) reason, body_hash, decode(body, 'base64')
from json_to_recordset($1::text::json) as q (reason text, body_hash text, body text) order by body_hash
on conflict (body_hash) do update set times = quarantine.times + 1
