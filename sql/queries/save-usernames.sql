-- Writes usernames that the inbox told of people whose profile was refused.
-- Promise: a name that is known stays; a refusal becomes `username_only` and keeps its reason, so that the same events
--   and the same time ask again.
-- $1 json [{ id, username }]
update conversations c set participant_username = x.username,
  profile_status = case when c.profile_status in ('no_consent', 'not_found') then 'username_only' else c.profile_status end
from json_to_recordset($1::text::json) as x (id text, username text)
where c.account_id = split_part(x.id, '_', 1) and c.participant_platform_id = split_part(x.id, '_', 2)
  and x.id = split_part(x.id, '_', 1) || '_' || split_part(x.id, '_', 2) -- so that the plan walks the index (see claim-lookups.sql)
  and c.participant_username is null
