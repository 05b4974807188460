-- Gives leases back unanswered, so that the next taker need not wait for them to run out.
-- $1 json [{ id, lease_token }]
update conversations c set lease_until = null
from json_to_recordset($1::text::json) as o (id text, lease_token bigint)
where c.account_id = split_part(o.id, '_', 1) and c.participant_platform_id = split_part(o.id, '_', 2)
  and o.id = split_part(o.id, '_', 1) || '_' || split_part(o.id, '_', 2) -- so that the plan walks the index (see claim-lookups.sql)
  and c.lease_token = o.lease_token
