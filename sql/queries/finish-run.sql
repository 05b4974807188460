-- Ends a run, or leaves it to who goes on with it. Only its owner can.
-- $1 run id  $2 fencing token  $3 state  $4 cursor (json or null)  $5 candidates  $6 why the account was refused, or null
-- Columns: the run; no row where it is somebody else's by now.
update backfill_runs r set state = $3::text, cursor = $4::text::jsonb, candidates = $5::bigint, blocked_reason = $6::text,
  heartbeat_at = now(), ended_at = case when $3::text = 'queued' then null else now() end, paused_until = null,
  owner = null, owner_folder = null
where id = $1::text and fencing_token = $2::bigint and state = 'running'
returning r.*, extract(epoch from r.started_at)::float8 * 1000 as started_at_ms
