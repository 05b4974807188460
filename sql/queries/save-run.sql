-- Records how far a run is. The cursor stands behind a finished prefix.
-- $1 run id  $2 state  $3 done  $4 outcomes (json)  $5 cursor (json or null)
update backfill_runs set state = $2, done = $3, outcomes = $4::text::jsonb, cursor = $5::text::jsonb, heartbeat_at = now(),
  ended_at = case when $2 = 'running' then null else now() end
where id = $1
