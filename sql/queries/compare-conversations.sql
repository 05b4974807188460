-- Conversations as they are stored, beside what their messages say of them, all in one snapshot.
-- $1 json [conversation id]
-- $2 json [{ account_id, mid, conversation_id, direction, has_content, sent_at }] messages that count as if they stood
--    so, whatever `messages` holds of them (ms since 1970): what a dry run would have written
-- Columns: id; stored (null: not there); derived, whose last_message_at is null where no message has content.
with asked as materialized (
  select id, split_part(id, '_', 1) as account_id, split_part(id, '_', 2) as participant_id
  from json_array_elements_text($1::text::json) as i (id)
),
supposed as materialized (
  select * from json_to_recordset($2::text::json) as r (account_id text, mid text, conversation_id text, direction text,
    has_content boolean, sent_at float8)
)
select a.id, c.stored, d.derived
from asked a
  left join lateral (
    select json_build_object('last_message_at', (extract(epoch from c.last_message_at) * 1000)::float8,
      'last_inbound_at', (extract(epoch from c.last_inbound_at) * 1000)::float8,
      'unread_count', c.unread_count, 'self', c.self) as stored
    from conversations c where c.account_id = a.account_id and c.participant_platform_id = a.participant_id limit 1
  ) c on true
  cross join lateral (
    select json_build_object('last_message_at', (extract(epoch from max(sent_at)) * 1000)::float8,
      'last_inbound_at', (extract(epoch from max(sent_at) filter (where direction = 'inbound')) * 1000)::float8,
      -- Nothing lowers it yet. A marker of how far somebody has read will be one more condition here.
      'unread_count', count(*) filter (where direction = 'inbound' and not imported)) as derived
    from (
      select m.direction, m.sent_at, m.imported from messages m
      where m.conversation_id = a.id and m.has_content
        and not exists (select from supposed s where s.account_id = m.account_id and s.mid = m.mid)
      union all
      select s.direction, to_timestamp(s.sent_at / 1000), coalesce((select m.imported from messages m
        where m.account_id = s.account_id and m.mid = s.mid), false) from supposed s where s.conversation_id = a.id and s.has_content
    ) said
  ) d
order by a.id collate "C"
