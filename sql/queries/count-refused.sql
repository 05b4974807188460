-- How many of an account's people were refused for lack of consent or permission lately, and how many were not.
-- Promise: each person once. The others are counted only as far as a verdict needs: no further than to the number at
--   which the refused are no longer $4 of all (and one more, since shares are not exact), latest conversations first, and not at all while there cannot be $3 people.
-- $1 account id  $2 how long ago at the most (ms)  $3 fewest people for a verdict  $4 share of refused for one, in (0, 1)
-- Columns: refused, others.
with refused as (
  select count(*)::int as people from conversations
  where account_id = $1::text and reason_code in ('no_consent', 'permission_missing')
    and checked_at > now() - make_interval(secs => $2::float8 / 1000)
)
select (select people from refused) as refused, count(*)::int as others
from (
  select 1 from conversations c
  where c.account_id = $1::text and coalesce(c.reason_code, '') not in ('no_consent', 'permission_missing')
    and (c.fetched_at > now() - make_interval(secs => $2::float8 / 1000)
      or (c.profile_status in ('not_found', 'username_only') and c.checked_at > now() - make_interval(secs => $2::float8 / 1000)))
  order by c.last_message_at desc, c.id desc
  limit (select case when people >= $3::int * $4::float8 then floor(people * (1 - $4::float8) / $4::float8)::int + 2 else 0 end
    from refused)
) answered
