-- Removes old raw events from one stretch of the table, so that a statement is short however large the table is. (The
-- index on received_at cannot find them: once their room has been used again, its ranges hold old and new alike.)
-- $1 days that an event is kept  $2 where the stretch begins and $3 ends, as row places: '(block,0)'
-- $4 most rows
-- Columns: removed; blocks (how long the table is, in blocks of the server's size).
with expired as materialized (
  select ctid from events
  where ctid >= $2::text::tid and ctid < $3::text::tid and received_at < now() - make_interval(days => $1::int)
  limit $4::int
),
gone as (
  delete from events where ctid = any(array(select ctid from expired))
    and received_at < now() - make_interval(days => $1::int)
  returning 1
)
select (select count(*)::int from gone) as removed,
  (pg_relation_size('events') / current_setting('block_size')::int)::float8 as blocks
