-- Says that the run's owner lives, and where the run stands. Only its owner can. People are counted where they are saved.
-- Promise: a beat that waited while names were saved takes back nothing of their place in the list (save-listed-names.sql): calls
--   only grow, and with as many calls the list.
-- $1 run id  $2 fencing token  $3 cursor (json or null)  $4 candidates  $5 how long it is held up (ms) or null
-- $6 phase  $7 where the list of names goes on, or null  $8 totals of the names (json)
-- Columns: cancel_requested; no row where the run is somebody else's by now.
update backfill_runs set heartbeat_at = now(), cursor = $3::text::jsonb, candidates = $4::bigint,
  paused_until = now() + make_interval(secs => $5::float8 / 1000), phase = $6::text,
  names_cursor = case when (coalesce((names ->> 'calls')::bigint, 0), coalesce((names ->> 'listed')::bigint, 0))
    > (($8::text::jsonb ->> 'calls')::bigint, ($8::text::jsonb ->> 'listed')::bigint) then names_cursor else $7::text end,
  names = case when (coalesce((names ->> 'calls')::bigint, 0), coalesce((names ->> 'listed')::bigint, 0))
    > (($8::text::jsonb ->> 'calls')::bigint, ($8::text::jsonb ->> 'listed')::bigint) then names else $8::text::jsonb end
where id = $1::text and fencing_token = $2::bigint and state = 'running'
returning cancel_requested
