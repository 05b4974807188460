-- The database's own time, in milliseconds since 1970: what rows are stamped with.
select (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms
