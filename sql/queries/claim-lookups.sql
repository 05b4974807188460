-- Leases the asked people to this caller: one lookup at a time per person in all processes.
-- Promise: nobody is looked up who has never written, nor the account itself; two callers never hold one person at once; a row whose lease ran out can be taken again. A person without
--   a username gets the one that a comment or mention brought; the lookup's status stays as it is.
-- Its commit is not waited for on the disk: a lease that a crash of the server undoes is one that nobody holds any more, or
--   one whose holder asks a second time at the most.
-- $1 json [conversation id]  $2 lease, ms  $3 true: also take people who are not due (a backfill chose them itself)
-- $4 who holds the lease beyond the process (see release-owned-lookups.sql), or null
-- $5 the backfill run that they are for, or null: it takes again whom a dead owner of it held  $6 its fencing token, or null;
--    an owner who has lost the run gets nobody
-- Columns: one row of lists (json), which say the same person at the same place: everybody asked for who exists. lease_token is
--   null where they were not taken. Lists, since a thousand people in rows cost the driver more than the statement itself.
with asked as (
  select distinct split_part(id, '_', 1) as account_id, split_part(id, '_', 2) as participant_platform_id
  from json_array_elements_text($1::text::json) as a (id)
  -- True of every id, which the planner cannot know: it expects one row instead of a hundred, and so walks the index,
  -- where it would scan a table that was small when the plan was made. A thousand look-ups in the index cost little.
  where id = split_part(id, '_', 1) || '_' || split_part(id, '_', 2)
    and (select set_config('synchronous_commit', 'off', true)) = 'off'
),
taken as (
  update conversations c set lease_token = nextval('lease_tokens'),
    lease_until = now() + make_interval(secs => $2::float8 / 1000), lease_owner = $4::text,
    participant_username = coalesce(c.participant_username, (select k.username from known_usernames k
      where k.account_id = c.account_id and k.participant_id = c.participant_platform_id))
  from (
    select account_id, participant_platform_id from conversations join asked using (account_id, participant_platform_id)
    where (lease_until is null or lease_until < now() or ($5::text is not null and lease_owner = $4::text))
      and ($5::text is null or exists (select 1 from backfill_runs
        where id = $5::text and fencing_token = $6::bigint and state = 'running'))
      and ($3::boolean or next_attempt_at <= now()) and not self and last_inbound_at is not null
    for update of conversations skip locked -- and so in any order: it waits for nobody
  ) free
  where c.account_id = free.account_id and c.participant_platform_id = free.participant_platform_id
  returning c.id, c.profile_status, c.attempts, c.lease_token::text as lease_token, c.last_inbound_at::text as seen_inbound_at,
    c.participant_username as username, c.participant_name as name, c.participant_profile_pic as picture_url,
    (extract(epoch from c.picture_expires_at) * 1000)::float8 as picture_expires_at_ms,
    (extract(epoch from c.fetched_at) * 1000)::float8 as fetched_at_ms, false as held
),
claimed as (
  select * from taken
  union all
  -- "not in" and no join: it is looked up in a hash however few rows the planner expects of "taken".
  select c.id, c.profile_status, c.attempts, null, c.last_inbound_at::text,
    c.participant_username, c.participant_name, c.participant_profile_pic,
    (extract(epoch from c.picture_expires_at) * 1000)::float8, (extract(epoch from c.fetched_at) * 1000)::float8,
    (c.lease_until is not null and c.lease_until >= now())
  from conversations c join asked using (account_id, participant_platform_id)
  where (select count(*) from taken) < (select count(*) from asked) and c.id not in (select id from taken)
)
select json_agg(id) as id, json_agg(profile_status) as profile_status, json_agg(attempts) as attempts,
  json_agg(lease_token) as lease_token, json_agg(seen_inbound_at) as seen_inbound_at, json_agg(username) as username,
  json_agg(name) as name, json_agg(picture_url) as picture_url, json_agg(picture_expires_at_ms) as picture_expires_at_ms,
  json_agg(fetched_at_ms) as fetched_at_ms, json_agg(held) as held
from claimed having count(*) > 0
