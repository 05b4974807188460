-- Gives a backfill run of an account to the daemons: a new one, or the open one that nobody works on and that was asked
-- for the same. Its former owner's token is worth nothing from then on.
-- $1 id of a new run  $2 account id  $3 options (json)  $4 owner's data folder  $5 true: no other process of that folder works for the account
-- $6 silence after which an owner counts as dead (ms)  $7 phase a new run begins with
-- Columns: the run, where it was queued.
insert into backfill_runs as r (id, account_id, state, options, phase, detached)
values ($1::text, $2::text, 'queued', $3::text::jsonb, $7::text, true)
on conflict (account_id) where state in ('queued', 'running', 'interrupted') do update set
  state = 'queued', detached = true, owner = null, owner_folder = null, fencing_token = nextval('lease_tokens'),
  options = excluded.options || jsonb_build_object('sinceMs', r.options -> 'sinceMs'),
  ended_at = null, paused_until = null, cancel_requested = false
where (r.state <> 'running' or r.heartbeat_at < now() - make_interval(secs => $6::float8 / 1000)
    or ($5::boolean and r.owner_folder = $4::text))
  and r.options - '{batchSize,sinceMs}'::text[] = excluded.options - '{batchSize,sinceMs}'::text[]
returning r.*, extract(epoch from r.started_at)::float8 * 1000 as started_at_ms
