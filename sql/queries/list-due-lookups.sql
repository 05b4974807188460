-- The people whose lookup is due and held by nobody, longest waiting first.
-- $1 limit
select id from conversations
where next_attempt_at <= now() and (lease_until is null or lease_until < now())
order by next_attempt_at limit $1::int
