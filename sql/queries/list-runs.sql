-- The latest backfill runs of all accounts.
-- $1 limit  $2 silence after which an owner counts as dead (ms)
-- Columns: the run; free: its owner is dead, or it has none.
select r.*, extract(epoch from r.started_at)::float8 * 1000 as started_at_ms,
  (r.state <> 'running' or r.heartbeat_at < now() - make_interval(secs => $2::float8 / 1000)) as free,
  extract(epoch from r.ended_at)::float8 * 1000 as ended_at_ms,
  greatest(0, extract(epoch from r.paused_until - now()))::float8 * 1000 as paused_for_ms
from backfill_runs r order by r.started_at desc, r.id desc limit $1::int
