-- Removes what erased people have read, the names that comments told of them, and their place in a backfill's list.
-- $1 json [{ account_id, participant_id, until }]
-- Columns: reads, names (how many went).
with given as materialized (
  select account_id, participant_id, until::timestamptz as until_at
  from json_to_recordset($1::text::json) as r (account_id text, participant_id text, until text)
),
reads as (
  delete from read_receipts r using given g
  where r.account_id = g.account_id and r.participant_id = g.participant_id and r.read_at <= g.until_at
  returning 1
),
names as (
  delete from known_usernames k using given g
  where k.account_id = g.account_id and k.participant_id = g.participant_id and k.seen_at <= g.until_at
  returning 1
),
-- A run goes on behind whom it saw last: "~" stands behind every id of the same moment.
places as (
  update backfill_runs b set cursor = b.cursor || jsonb_build_object('id', b.account_id || '_~')
  from given g where b.account_id = g.account_id and b.cursor ->> 'id' = g.account_id || '_' || g.participant_id
  returning 1
)
select (select count(*)::int from reads) as reads, (select count(*)::int from names) as names
