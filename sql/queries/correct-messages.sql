-- Writes messages as their events tell them, where nobody has written them since they were compared: a row that a
-- daemon has written meanwhile is newer and stays. Nobody comes back who was erased since the events were read.
-- $1 json [{ version (null: was not there), account_id, mid, conversation_id, direction, has_content, text, attachments,
--    reply_to_mid, unsupported, sent_at, edit_number, deleted_at }] (times in ms since 1970)
-- Columns: account_id, mid of each row that was written.
with given as materialized (
  select * from json_to_recordset($1::text::json) as r (version text, account_id text, mid text, conversation_id text,
    direction text, has_content boolean, text text, attachments text, reply_to_mid text, unsupported boolean,
    sent_at float8, edit_number integer, deleted_at float8)
),
-- In one order, as the webhook's statement does it, so that the two wait for each other instead of in a ring.
held as materialized (
  select m.account_id, m.mid from messages m join given g on g.account_id = m.account_id and g.mid = m.mid
  where m.xmin::text = g.version
  order by m.account_id, m.mid
  for update of m
),
changed as (
  update messages m set conversation_id = g.conversation_id, direction = g.direction, has_content = g.has_content,
    text = g.text, attachments = g.attachments::json, reply_to_mid = g.reply_to_mid, unsupported = g.unsupported,
    sent_at = to_timestamp(g.sent_at / 1000), edit_number = g.edit_number, deleted_at = to_timestamp(g.deleted_at / 1000)
  from given g join held h on h.account_id = g.account_id and h.mid = g.mid
  where m.account_id = g.account_id and m.mid = g.mid
  returning m.account_id, m.mid
),
made as (
  insert into messages (account_id, mid, conversation_id, direction, has_content, text, attachments, reply_to_mid,
    unsupported, sent_at, edit_number, deleted_at)
  select account_id, mid, conversation_id, direction, has_content, text, attachments::json, reply_to_mid, unsupported,
    to_timestamp(sent_at / 1000), edit_number, to_timestamp(deleted_at / 1000)
  from given where version is null
    and coalesce(to_timestamp(sent_at / 1000) > erased_until(account_id, split_part(conversation_id, '_', 2)), true)
  order by account_id, mid
  on conflict (account_id, mid) do nothing
  returning account_id, mid
)
select account_id, mid from changed union all select account_id, mid from made
