-- The account's open run, and whether anybody works on it.
-- $1 account id  $2 the asker's data folder  $3 true: no other process of that folder works for the account
-- $4 silence after which an owner counts as dead (ms)
-- Columns: the run; free: its owner is dead, or it has none.
select r.*, extract(epoch from r.started_at)::float8 * 1000 as started_at_ms,
  (r.state <> 'running' or r.heartbeat_at < now() - make_interval(secs => $4::float8 / 1000)
    or ($3::boolean and coalesce(r.owner_folder = $2::text, false))) as free
from backfill_runs r where r.account_id = $1::text and r.state in ('queued', 'running', 'interrupted')
