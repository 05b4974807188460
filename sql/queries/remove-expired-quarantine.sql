-- Removes old rows of the quarantine: of the first ones, since rows and their numbers come in one order.
-- $1 days that a row is kept  $2 most rows
-- Columns: removed.
with first as materialized (
  select id, received_at from quarantine order by id limit $2::int
),
gone as (
  delete from quarantine where id in (select id from first where received_at < now() - make_interval(days => $1::int))
  returning 1
)
select count(*)::int as removed from gone
