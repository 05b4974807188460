-- Takes a piece of work that the whole set of daemons does once an interval. Of any number of claimers one at most gets
-- it: while it runs nobody, after it has ended nobody before the interval is over; a lease that ran out, since its
-- holder died or gave it back, anybody at once. All times are the database's.
-- $1 name  $2 interval (ms, from start to start)  $3 lease (ms)  $4 who claims
-- Columns: name, where it was taken.
insert into schedules as s (name, last_started_at, owner, lease_until)
values ($1::text, now(), $4::text, now() + make_interval(secs => $3::float8 / 1000))
on conflict (name) do update set last_started_at = excluded.last_started_at, owner = excluded.owner,
  lease_until = excluded.lease_until
where s.lease_until <= now()
  or (s.lease_until is null and (s.last_started_at is null
    or s.last_started_at <= now() - make_interval(secs => $2::float8 / 1000)))
returning s.name
