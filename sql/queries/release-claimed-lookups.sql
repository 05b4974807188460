-- Gives back leases of these people that this owner holds: a claim whose reply was lost may have been done all the same.
-- $1 owner  $2 json [conversation id]
-- Columns: id, one row a lease given back.
update conversations c set lease_until = null
from json_array_elements_text($2::text::json) as o (id)
where c.account_id = split_part(o.id, '_', 1) and c.participant_platform_id = split_part(o.id, '_', 2)
  and o.id = split_part(o.id, '_', 1) || '_' || split_part(o.id, '_', 2) -- so that the plan walks the index (see claim-lookups.sql)
  and c.lease_owner = $1::text and c.lease_until >= now()
returning c.id
