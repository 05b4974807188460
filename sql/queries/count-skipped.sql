-- Counts people whom a run passes over, since somebody else has them in hand: in one statement with the mark that keeps
-- the run from coming to them again.
-- $1 run id  $2 fencing token  $3 json [{ id, why }]
-- Columns: id of each person who was counted; none where the run is somebody else's by now.
with fence as (
  select number from backfill_runs
  where id = $1::text and fencing_token = $2::bigint and state = 'running' for update
),
marked as (
  update conversations c set run_number = (select number from fence)
  from json_to_recordset($3::text::json) as s (id text, why text)
  where c.account_id = split_part(s.id, '_', 1) and c.participant_platform_id = split_part(s.id, '_', 2)
    and s.id = split_part(s.id, '_', 1) || '_' || split_part(s.id, '_', 2) -- so that the plan walks the index (see claim-lookups.sql)
    and c.run_number is distinct from (select number from fence) and exists (select 1 from fence)
  returning c.id, s.why
),
counted as (
  update backfill_runs r set done = r.done + s.done,
    outcomes = r.outcomes || (
      select coalesce(jsonb_object_agg(key, coalesce((r.outcomes ->> key)::bigint, 0) + value::bigint), '{}')
      from jsonb_each_text(s.by_name))
  from (
    select sum(people)::bigint as done, jsonb_object_agg(why, people) as by_name
    from (select why, count(*) as people from marked group by why) m
  ) s
  where r.id = $1::text and r.fencing_token = $2::bigint and s.done > 0
)
select id from marked
