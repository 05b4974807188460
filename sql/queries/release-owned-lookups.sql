-- Gives back every lease that a dead predecessor in the same data folder held. Leases of people who are not due are a
-- command's doing, which has no owner; so the index of due people finds all of them.
-- $1 owner
-- Columns: id, one row a lease given back.
update conversations set lease_until = null
where lease_owner = $1::text and lease_until >= now() and next_attempt_at is not null
returning id
