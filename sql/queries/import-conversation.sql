-- Creates a conversation that Instagram lists and no webhook has told of, with its latest messages.
-- Promise: a message that is there already is not written again, unless only its edit or its end was known; nothing that
--   is imported counts as unread; no time goes back; whatever a webhook files meanwhile stays;
--   of an erased person nothing comes back that was there until the erasure.
-- $1 json { account_id, participant_id, username, last_message_at, last_inbound_at } (times in ms since 1970)
-- $2 json [{ mid, direction, text, attachments, reply_to_mid, unsupported, sent_at }] each once
-- Columns: created (false: a webhook was there first); no row where the person was erased.
with given as materialized (
  select r.account_id, r.participant_id, r.username, to_timestamp(r.last_message_at / 1000) as last_message_at,
    to_timestamp(r.last_inbound_at / 1000) as last_inbound_at,
    erased_until(r.account_id, r.participant_id)
  from json_to_record($1::text::json) as r (account_id text, participant_id text, username text,
    last_message_at float8, last_inbound_at float8)
),
-- Nobody is due by it: the run that imports looks them up itself, and a message of theirs arms them as ever.
filed as (
  insert into conversations as c (account_id, participant_platform_id, participant_username, last_message_at,
    last_inbound_at, source)
  select account_id, participant_id, username, last_message_at, last_inbound_at, 'import' from given
  where coalesce(last_message_at > erased_until, true)
  on conflict (account_id, participant_platform_id) do update set
    participant_username = coalesce(c.participant_username, excluded.participant_username),
    last_message_at = greatest(c.last_message_at, excluded.last_message_at),
    last_inbound_at = greatest(c.last_inbound_at, excluded.last_inbound_at)
  returning c.id, c.account_id, c.xmax = 0 as created
),
told as (
  insert into messages as m (account_id, mid, conversation_id, direction, has_content, text, attachments, reply_to_mid,
    unsupported, sent_at, imported)
  select f.account_id, r.mid, f.id, r.direction, true, r.text, r.attachments::json, r.reply_to_mid, r.unsupported,
    to_timestamp(r.sent_at / 1000), true
  from filed f cross join json_to_recordset($2::text::json) as r (mid text, direction text, text text,
    attachments text, reply_to_mid text, unsupported boolean, sent_at float8)
  where coalesce(to_timestamp(r.sent_at / 1000) > (select erased_until from given), true)
  order by f.account_id, r.mid collate "C"
  on conflict (account_id, mid) do update set has_content = true, direction = excluded.direction,
    sent_at = excluded.sent_at, imported = true,
    text = case when m.deleted_at is null then coalesce(m.text, excluded.text) end,
    attachments = case when m.deleted_at is null then excluded.attachments end,
    reply_to_mid = coalesce(m.reply_to_mid, excluded.reply_to_mid), unsupported = m.unsupported or excluded.unsupported
  where not m.has_content
)
select created from filed
