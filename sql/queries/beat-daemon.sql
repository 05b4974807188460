-- Says that a daemon is alive, and removes some rows of daemons that have been silent for long.
-- $1 daemon's id  $2 silence after which a row goes (ms)  $3 most rows that go
with silent as materialized (
  select id from daemons
  where heartbeat_at < now() - make_interval(secs => $2::float8 / 1000) and id <> $1::text
  order by id limit $3::int
  for update skip locked
),
gone as (
  delete from daemons where id in (select id from silent)
)
insert into daemons (id) values ($1::text) on conflict (id) do update set heartbeat_at = now()
