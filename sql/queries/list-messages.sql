-- A conversation's messages, latest first, with the reactions they carry. Rows that only wait for their message are left out.
-- $1 conversation id  $2 sent_at of the last row seen (ms, null at the start)  $3 its mid  $4 limit
select m.mid, m.direction, m.text, m.attachments, m.reply_to_mid, (extract(epoch from m.sent_at) * 1000)::float8 as sent_at_ms,
  m.edit_number, (extract(epoch from m.deleted_at) * 1000)::float8 as deleted_at_ms,
  coalesce((select json_agg(json_build_object('from', r.sender_id, 'reaction', r.reaction, 'emoji', r.emoji) order by r.sender_id)
    from reactions r where r.account_id = m.account_id and r.mid = m.mid and r.reaction is not null), '[]'::json) as reactions
from messages m
where m.conversation_id = $1 and (m.has_content or m.deleted_at is not null)
  and ($2::float8 is null or (m.sent_at, m.mid) < (to_timestamp($2::float8 / 1000), $3::text))
order by m.sent_at desc, m.mid desc
limit $4::int
