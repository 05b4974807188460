-- Removes messages of erased people, and every reaction to them, in a batch that holds its locks for milliseconds.
-- $1 json [{ account_id, participant_id, until }]  $2 most messages
-- Columns: messages, reactions (how many went).
with given as materialized (
  select account_id || '_' || participant_id as conversation_id, until::timestamptz as until_at
  from json_to_recordset($1::text::json) as r (account_id text, participant_id text, until text)
),
-- In one order, as the webhook's statement does it, so that the two wait for each other instead of in a ring.
old as materialized (
  select m.account_id, m.mid from given g
    cross join lateral (select account_id, mid from messages
      where conversation_id = g.conversation_id and sent_at <= g.until_at limit $2::int) m
  order by m.account_id, m.mid limit $2::int
),
gone as (
  delete from messages m using old o where m.account_id = o.account_id and m.mid = o.mid
  returning m.account_id, m.mid
),
answered as (
  delete from reactions r using old o where r.account_id = o.account_id and r.mid = o.mid
  returning 1
)
select (select count(*)::int from gone) as messages, (select count(*)::int from answered) as reactions
