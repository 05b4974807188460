-- Keeps what was signed and could not be filed, once a body, with a count.
-- Promise: not where it mentions an erased person who has not come back: it cannot be told when that was said.
-- $1 json [{ reason, body_hash, body (base64), mentions [id] }]
insert into quarantine (reason, body_hash, body)
select distinct on (body_hash) reason, body_hash, decode(body, 'base64')
from json_to_recordset($1::text::json) as q (reason text, body_hash text, body text, mentions json)
where case when (select salt from erasure_salt) is null then true
  else not exists (select from json_array_elements_text(q.mentions) as m (id) join erasures e
      on e.person = sha256((select salt from erasure_salt) || convert_to(m.id, 'UTF8'))
    where not exists (select from accounts a join conversations c
      on c.account_id = a.id and c.participant_platform_id = m.id)) end
order by body_hash
on conflict (body_hash) do update set times = quarantine.times + 1
