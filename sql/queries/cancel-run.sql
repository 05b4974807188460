-- Ends a run by an operator's wish: at once where nobody works on it, else its owner is told with its next heartbeat.
-- $1 run id  $2 silence after which an owner counts as dead (ms)
-- Columns: state; no row where the run has ended already.
update backfill_runs r set cancel_requested = true,
  state = case when f.free then 'cancelled' else r.state end,
  ended_at = case when f.free then now() else r.ended_at end,
  paused_until = case when f.free then null else r.paused_until end,
  fencing_token = case when f.free then nextval('lease_tokens') else r.fencing_token end
from (
  select id, (state <> 'running' or heartbeat_at < now() - make_interval(secs => $2::float8 / 1000)) as free
  from backfill_runs where id = $1::text for update
) f
where r.id = f.id and r.state in ('queued', 'running', 'interrupted')
returning r.state
