-- Messages as they are stored, and the events they come from: all in one snapshot, so that a daemon that writes both in
-- one statement can never be met between them. Events stand in the order they came.
-- $1 json [{ account_id, mid }]  $2 most edits of a message that are read
-- $3 received since (ms since 1970, null: from the first) and $4 until (ms): of the events in between, which one is first
-- Columns: account_id, mid, first_key, stored (null: not there; `version` changes with every write of the row), events
with asked as materialized (
  select distinct account_id, mid from json_to_recordset($1::text::json) as r (account_id text, mid text)
)
select a.account_id, a.mid, e.first_key, m.stored, e.events
from asked a
  left join lateral (
    select json_build_object('version', m.xmin::text, 'account_id', m.account_id, 'mid', m.mid,
      'conversation_id', m.conversation_id, 'direction', m.direction, 'has_content', m.has_content, 'text', m.text,
      'attachments', m.attachments::text, 'reply_to_mid', m.reply_to_mid, 'unsupported', m.unsupported,
      'sent_at', (extract(epoch from m.sent_at) * 1000)::float8, 'edit_number', m.edit_number,
      'deleted_at', (extract(epoch from m.deleted_at) * 1000)::float8) as stored
    from messages m where m.account_id = a.account_id and m.mid = a.mid limit 1
  ) m on true
  left join lateral (
    select min(event_key) filter (where ($3::float8 is null or received_at >= to_timestamp($3 / 1000))
        and received_at <= to_timestamp($4::float8 / 1000)) as first_key,
      json_agg(json_build_object('event_key', event_key, 'kind', kind, 'raw', raw,
        'occurred_at_ms', (extract(epoch from occurred_at) * 1000)::float8,
        'received_at_ms', (extract(epoch from received_at) * 1000)::float8) order by received_at, event_key) as events
    from (
      select event_key, kind, raw, occurred_at, received_at from events
      where account_id = a.account_id
        and event_key = any(array['message:' || a.mid, 'postback:' || a.mid, 'deletion:' || a.mid])
      union all
      -- "edit:<mid>:<n>": chr(59) is the sign after the colon. An id may hold colons itself: the column decides, and
      -- outside of the limit, in the index's own order, where the planner sees how short the walk is.
      select event_key, kind, raw, occurred_at, received_at from (
        select event_key, kind, raw, occurred_at, received_at, mid from events
        where account_id = a.account_id and event_key >= 'edit:' || a.mid || ':' and event_key < 'edit:' || a.mid || chr(59)
        order by event_key desc limit $2::int
      ) edits where mid = a.mid
    ) of_one
  ) e on true
order by a.account_id, a.mid
