-- Removes rows of the quarantine.
-- $1 json [id]
-- Columns: removed.
with gone as (
  delete from quarantine where id in (select value::bigint from json_array_elements_text($1::text::json))
  returning 1
)
select count(*)::int as removed from gone
