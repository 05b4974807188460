-- Removes raw events of erased people from one stretch of the table, and the reactions that they told of, so that a
-- statement is short however large the table is.
-- $1 json [{ participant_id, until }]  $2 account id, or null: every account
-- $3 where the stretch begins and $4 ends, as row places: '(block,0)'  $5 most rows
-- Columns: events, reactions (how many went); blocks (how long the table is, in blocks of the server's size).
with given as materialized (
  select participant_id, until::timestamptz as until_at
  from json_to_recordset($1::text::json) as r (participant_id text, until text)
),
in_stretch as (
  select account_id, event_key, kind, participant_id, mid, raw, least(occurred_at, received_at) as happened_at
  from events
  where ctid >= $3::text::tid and ctid < $4::text::tid and ($2::text is null or account_id = $2::text)
),
old as materialized (
  select e.account_id, e.event_key, e.kind, e.mid
  from in_stretch e join given g on g.participant_id = e.participant_id and e.happened_at <= g.until_at
  union
  -- Filed under nobody, and yet about them.
  select e.account_id, e.event_key, e.kind, e.mid
  from in_stretch e cross join lateral regexp_matches(e.raw, '[A-Za-z0-9.-]+', 'g') as w (words)
    join given g on g.participant_id = w.words[1] and e.happened_at <= g.until_at
  where e.participant_id is null
  order by 1, 2 limit $5::int
),
gone as (
  delete from events e using old o where e.account_id = o.account_id and e.event_key = o.event_key
  returning 1
),
answered as (
  delete from reactions r using old o where o.kind = 'reaction' and r.account_id = o.account_id and r.mid = o.mid
  returning 1
)
select (select count(*)::int from gone) as events, (select count(*)::int from answered) as reactions,
  (pg_relation_size('events') / current_setting('block_size')::int)::float8 as blocks
