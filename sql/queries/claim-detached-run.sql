-- Takes a run that was given to the daemons and that none of them works on, longest waiting first.
-- Promise: of any number of daemons one gets it; a dead daemon's run is anybody's, and at once its successor's in the same
--   data folder, since one daemon at a time holds a folder.
-- $1 owner  $2 owner's data folder  $3 silence after which an owner counts as dead (ms)
-- Columns: the run, where there was one.
update backfill_runs r set state = 'running', owner = $1::text, owner_folder = $2::text,
  fencing_token = nextval('lease_tokens'), heartbeat_at = now(), ended_at = null, paused_until = null
where r.id = (
  select id from backfill_runs
  where state in ('queued', 'running', 'interrupted') and detached
    and (state = 'queued' or (state = 'running' and (heartbeat_at < now() - make_interval(secs => $3::float8 / 1000)
      or (owner_folder = $2::text and owner <> $1::text))))
  order by started_at, id limit 1
  for update skip locked
)
returning r.*, extract(epoch from r.started_at)::float8 * 1000 as started_at_ms
