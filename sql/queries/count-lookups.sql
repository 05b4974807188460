-- The lookups that the daemons have before them, in numbers.
-- Columns: due (to be asked now), later (to be asked at a time to come), under_way (held by somebody).
select count(*) filter (where next_attempt_at <= now() and not held)::int as due,
  count(*) filter (where next_attempt_at > now() and not held)::int as later,
  count(*) filter (where held)::int as under_way
from (
  select next_attempt_at, (lease_until is not null and lease_until >= now()) as held
  from conversations where next_attempt_at is not null
) c
