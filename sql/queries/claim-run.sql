-- Opens a backfill run of an account, or takes over the open one that nobody works on and that was asked for the same.
-- Promise: of any number of callers one gets it; the former owner's token is worth nothing from then on.
-- $1 id of a new run  $2 account id  $3 owner  $4 options (json)  $5 owner's data folder  $6 true: no other process of that folder works for
-- the account  $7 silence after which an owner counts as dead (ms)  $8 phase a new run begins with
-- Columns: the run, where it is the caller's now.
insert into backfill_runs as r (id, account_id, state, owner, owner_folder, options, phase)
values ($1::text, $2::text, 'running', $3::text, $5::text, $4::text::jsonb, $8::text)
on conflict (account_id) where state in ('queued', 'running', 'interrupted') do update set
  state = 'running', owner = excluded.owner, owner_folder = excluded.owner_folder, fencing_token = nextval('lease_tokens'),
  options = excluded.options || jsonb_build_object('sinceMs', r.options -> 'sinceMs'),
  heartbeat_at = now(), ended_at = null, paused_until = null, detached = false, cancel_requested = false
where (r.state <> 'running' or r.heartbeat_at < now() - make_interval(secs => $7::float8 / 1000)
    or ($6::boolean and r.owner_folder = $5::text))
  and r.options - '{batchSize,sinceMs}'::text[] = excluded.options - '{batchSize,sinceMs}'::text[]
returning r.*, extract(epoch from r.started_at)::float8 * 1000 as started_at_ms
