-- How many daemons are alive.
-- $1 how long ago a living one has said so at the latest (ms)
select count(*)::int as alive from daemons where heartbeat_at >= now() - make_interval(secs => $1::float8 / 1000)
