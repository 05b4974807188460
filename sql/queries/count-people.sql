-- How many people of one account stand in each profile status.
-- Promise: walks indexes only. `everybody` is the sum of all, so that the many finished ones are counted without a visit.
-- $1 account id
-- Columns: status (or `everybody`), people.
select profile_status as status, count(*)::float8 as people from conversations
where account_id = $1 and profile_status <> 'complete' group by profile_status
union all
select 'everybody', count(*)::float8 from conversations where account_id = $1
