-- Removes what erased people reacted with from one stretch of the table: to messages that were never told of.
-- $1 json [{ participant_id, until }]  $2 account id, or null: every account
-- $3 where the stretch begins and $4 ends, as row places: '(block,0)'  $5 most rows
-- Columns: reactions (how many went); blocks (how long the table is, in blocks of the server's size).
with given as materialized (
  select participant_id, until::timestamptz as until_at
  from json_to_recordset($1::text::json) as r (participant_id text, until text)
),
old as materialized (
  select r.account_id, r.mid, r.sender_id from reactions r join given g on g.participant_id = r.sender_id
  where r.ctid >= $3::text::tid and r.ctid < $4::text::tid and ($2::text is null or r.account_id = $2::text)
    and r.reacted_at <= g.until_at
  order by r.account_id, r.mid, r.sender_id limit $5::int
),
gone as (
  delete from reactions r using old o
  where r.account_id = o.account_id and r.mid = o.mid and r.sender_id = o.sender_id
  returning 1
)
select (select count(*)::int from gone) as reactions,
  (pg_relation_size('reactions') / current_setting('block_size')::int)::float8 as blocks
