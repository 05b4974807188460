-- Writes what became of many lookups, column by column.
-- Promise: only the holder of the lease writes; an older answer never replaces a newer one; a refusal never takes away
--   a name or a picture that is known; a message that came during the lookup re-arms a refusal for lack of consent, as one
--   that comes after it does: five minutes after the answer at the earliest (lookup-rules.ts, consentAgainMs);
--   for a run nothing is written once somebody else holds it, and whoever is finished is counted in the run's row in this
--   very statement, and at most once a run: after a crash at any point the row says how many were saved.
-- Its commit is not waited for on the disk: where a crash of the server undoes it, the person is due as before, and is
--   answered from the cache, or asked about once more; a run's count is undone with them.
-- $1 json [{ id, lease_token, seen_inbound_at, found, status, reason, attempts, fetched_at, username, name, picture_url,
--    picture_expires_at, retry_in_ms, evidence }], what is left out is null  (status null: still pending, tried again in retry_in_ms)
-- $2 id of the backfill run that looked them up, or null  $3 its fencing token, or null
-- Columns: ids (json) of the rows that were written; null: none was.
with fence as (
  select number from backfill_runs
  where id = $2::text and fencing_token = $3::bigint and state = 'running' for update
),
outcome as (
  select id, lease_token, seen_inbound_at, found, status, reason, attempts, username, name, picture_url, picture_expires_at,
    retry_in_ms, evidence, least(fetched_at, now()) as fetched_at -- a clock that was ahead keeps nothing newer out later
  from json_to_recordset($1::text::json) as o (id text, lease_token bigint, seen_inbound_at timestamptz,
    found boolean, status text, reason text, attempts integer, fetched_at timestamptz, username text, name text,
    picture_url text, picture_expires_at timestamptz, retry_in_ms float8, evidence text)
),
written as (
update conversations c set
  participant_username = case when o.found and coalesce(c.fetched_at <= o.fetched_at, true)
    then coalesce(o.username, c.participant_username) else c.participant_username end,
  participant_name = case when o.found and coalesce(c.fetched_at <= o.fetched_at, true)
    then o.name else c.participant_name end,
  participant_profile_pic = case when o.found and coalesce(c.fetched_at <= o.fetched_at, true)
    then o.picture_url else c.participant_profile_pic end,
  picture_expires_at = case when o.found and coalesce(c.fetched_at <= o.fetched_at, true)
    then o.picture_expires_at else c.picture_expires_at end,
  fetched_at = case when o.found and coalesce(c.fetched_at <= o.fetched_at, true) then o.fetched_at else c.fetched_at end,
  checked_at = now(),
  profile_status = case
    when o.reason = 'no_consent' and c.last_inbound_at is distinct from o.seen_inbound_at then 'pending'
    when o.status is null then c.profile_status
    when o.status in ('failed', 'account_blocked', 'username_only') and c.fetched_at is not null then c.profile_status
    when o.found and c.fetched_at > o.fetched_at then c.profile_status
    else o.status end,
  reason_code = o.reason,
  attempts = o.attempts,
  next_attempt_at = case
    when o.reason = 'no_consent' and c.last_inbound_at is distinct from o.seen_inbound_at
      then now() + interval '5 minutes'
    else now() + make_interval(secs => o.retry_in_ms / 1000) end,
  evidence = o.evidence::jsonb,
  lease_until = null,
  run_number = case when $2::text is null or o.status is null then c.run_number else (select number from fence) end
from outcome o
where c.account_id = split_part(o.id, '_', 1) and c.participant_platform_id = split_part(o.id, '_', 2)
  and o.id = split_part(o.id, '_', 1) || '_' || split_part(o.id, '_', 2) -- so that the plan walks the index (see claim-lookups.sql)
  and c.lease_token = o.lease_token and (select set_config('synchronous_commit', 'off', true)) = 'off'
  and ($2::text is null or (exists (select 1 from fence) and c.run_number is distinct from (select number from fence)))
returning c.id, o.found, o.status, coalesce(o.reason, o.status) as outcome
),
counted as (
  -- All that is counted comes in by one row: what a concurrent step has added meanwhile is read again with the run's row.
  update backfill_runs r set done = r.done + s.done, successful = r.successful + s.successful,
    errors = r.errors + s.done - s.successful,
    outcomes = r.outcomes || (
      select coalesce(jsonb_object_agg(key, coalesce((r.outcomes ->> key)::bigint, 0) + value::bigint), '{}')
      from jsonb_each_text(s.by_name))
  from (
    select sum(people)::bigint as done, coalesce(sum(people) filter (where found), 0)::bigint as successful,
      jsonb_object_agg(outcome, people) as by_name
    from (select outcome, found, count(*) as people from written where status is not null group by outcome, found) w
  ) s
  where r.id = $2::text and r.fencing_token = $3::bigint and s.done > 0
)
select json_agg(id) as ids from written
