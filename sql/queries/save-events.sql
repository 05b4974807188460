-- Files events, messages and conversations of many posts at once: one statement, so one commit.
-- Promise: idempotent on (account, event key); any order and any repetition ends in the same rows; no time goes back;
--    what an erased person did until the erasure stays out, whoever brings it again.
-- Arrays with one place an event, in key order, each key once: $1 account_id  $2 event_key  $3 kind  $4 participant_id
--    $5 mid  $6 occurred_at (ms since 1970)  $7 raw; of what was said (else null or false): $8 direction  $9 self  $10 text
--    $11 attachments  $12 reply_to_mid  $13 unsupported  $14 alone: no other event of these posts is about the same
--    message (else its row stands in $15)
-- $15 json [{ account_id, mid, conversation_id, direction, has_content, text, attachments, reply_to_mid, unsupported,
--    sent_at, edit_number, deleted_at }] one row a message, already merged, in key order (times in ms since 1970)
-- $16 json [{ account_id, mid, sender_id, reaction, emoji, reacted_at }] one row a (message, sender), in key order
-- $17 json [{ account_id, participant_id, mid, read_at }] one row a person, in key order
-- $18 json [{ account_id, participant_id, username, seen_at }] names that came for free, one row a person, in key order
-- $19 how old a profile may grow, in ms: a message then renews it (domain/profile.ts, staleAtMs)
-- $20 who leases the people met here for the first time, so that their lookup needs no claim of its own; null: nobody
-- $21 the lease, in ms
-- Columns: inserted (how many events were new), known ([account_id, event_key] of each that was not),
--    wanted ([account_id, participant_id] of each person whose lookup is due and nobody's), leased ([account_id,
--    participant_id, lease_token, last_inbound_at, username] of each who was met and leased), access (their accounts, as
--    get-account-access.sql tells them). What stays out counts as known.
with input as materialized (
  select account_id, event_key, kind, participant_id, mid, to_timestamp(occurred_ms / 1000) as occurred_at, raw, direction,
    self, text, attachments, reply_to_mid, unsupported, alone,
    -- Null: it stays out. The salt is there from the first erasure on, so that nobody pays for the question before.
    case when not exists (select from erasure_salt) or participant_id is null then true
      when coalesce(to_timestamp(occurred_ms / 1000) > erased_until(account_id, participant_id), true) then true end as kept
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::text[], $8::text[], $9::boolean[],
    $10::text[], $11::text[], $12::text[], $13::boolean[], $14::boolean[]) as i (account_id, event_key, kind,
    participant_id, mid, occurred_ms, raw, direction, self, text, attachments, reply_to_mid, unsupported, alone)
),
refused as materialized (
  select account_id, participant_id, mid, occurred_at from input where kept is null
),
fresh as (
  insert into events (account_id, event_key, kind, participant_id, mid, occurred_at, raw)
  select account_id, event_key, kind, participant_id, mid, occurred_at, raw from input
  -- Not a plain condition: the planner takes half of the rows to fail one, and joins what is left row by row.
  where kept is not null
  on conflict (account_id, event_key) do nothing
  returning account_id, event_key, mid
),
said as (
  select i.* from input i join fresh f on f.account_id = i.account_id and f.event_key = i.event_key
  where i.direction is not null
    -- An old event may be new to `events` only because retention removed it: its message was counted then. (A scalar
    -- query, so that no plan can hash the whole table for it.)
    and (i.occurred_at > now() - interval '1 day' or not coalesce((select m.has_content from messages m
      where m.account_id = i.account_id and m.mid = i.mid), false))
),
told_names as materialized (
  select account_id, participant_id, username, to_timestamp(seen_at / 1000) as seen_at
  from json_to_recordset($18::text::json) as x (account_id text, participant_id text, username text, seen_at float8)
  where not exists (select from refused f
    where f.account_id = x.account_id and f.participant_id = x.participant_id)
),
-- Names for conversations that are there, or come with this statement, and have none.
named as (
  select x.account_id, x.participant_id, x.username, c.last_message_at, c.attempts
  from told_names x
    left join lateral (select last_message_at, attempts, participant_username from conversations c
      where c.account_id = x.account_id and c.participant_platform_id = x.participant_id limit 1) c on true
  where c.participant_username is null and (c.last_message_at is not null
    or exists (select from said s where s.account_id = x.account_id and s.participant_id = x.participant_id))
),
filed as (
  -- A name rides along with its conversation's own values: in one ordered pass over the rows no two writers deadlock.
  insert into conversations as c (account_id, participant_platform_id, last_message_at, last_inbound_at, unread_count,
    self, next_attempt_at, participant_username, attempts, lease_token, lease_until, lease_owner)
  select account_id, participant_id, latest_at, inbound_at, inbound, self, case when due then now() end,
    -- A comment or mention may have brought the name before.
    coalesce(username, case when due then (select k.username from known_usernames k
      where k.account_id = one.account_id and k.participant_id = one.participant_id) end),
    attempts, case when due and $20::text is not null then nextval('lease_tokens') end,
    case when due and $20::text is not null then now() + make_interval(secs => $21::float8 / 1000) end,
    case when due then $20::text end
  from (
    select account_id, participant_id, max(occurred_at) as latest_at,
      max(occurred_at) filter (where direction = 'inbound') as inbound_at,
      count(*) filter (where direction = 'inbound') as inbound, bool_or(self) as self,
      bool_or(direction = 'inbound') and not bool_or(self) as due, max(username) as username, min(attempts) as attempts
    from (
      select account_id, participant_id, occurred_at, direction, self, null as username, 0 as attempts from said
      union all
      select account_id, participant_id, last_message_at, null, false, username, attempts from named
    ) of_one group by account_id, participant_id
  ) one order by account_id, participant_id
  on conflict (account_id, participant_platform_id) do update set
    last_message_at = greatest(c.last_message_at, excluded.last_message_at),
    last_inbound_at = greatest(c.last_inbound_at, excluded.last_inbound_at),
    unread_count = c.unread_count + excluded.unread_count,
    self = c.self or excluded.self,
    participant_username = coalesce(c.participant_username, excluded.participant_username),
    profile_status = case when c.profile_status = 'no_consent' and excluded.last_inbound_at is not null
      then 'pending' else c.profile_status end,
    attempts = case when c.next_attempt_at is null then excluded.attempts else c.attempts end,
    next_attempt_at = case
      when excluded.last_inbound_at is null or c.self or excluded.self or c.next_attempt_at is not null then c.next_attempt_at
      -- Somebody who writes without end and is refused each time: a call in five minutes, not one a message.
      when c.reason_code = 'no_consent' and c.profile_status in ('no_consent', 'username_only')
        then greatest(now(), c.checked_at + interval '5 minutes')
      when c.profile_status in ('pending', 'no_consent') then now()
      when c.profile_status in ('complete', 'no_picture', 'username_only') then
        case
          when c.picture_expires_at < now() then now()
          when c.checked_at < now() - interval '24 hours' and (c.profile_status = 'username_only'
            or c.fetched_at < now() - make_interval(secs => $19::float8 / 1000)
            or c.picture_expires_at < now() + interval '24 hours') then now()
        end
      else c.next_attempt_at end
  returning c.account_id, c.participant_platform_id, c.next_attempt_at, c.lease_until, c.last_inbound_at,
    -- xmax: 0 where the row was inserted here, the updating transaction where it was there.
    c.participant_username, case when c.xmax = 0 then c.lease_token end as lease_token
),
told as (
  insert into messages as m (account_id, mid, conversation_id, direction, has_content, text, attachments, reply_to_mid,
    unsupported, sent_at, edit_number, deleted_at)
  select account_id, mid, account_id || '_' || participant_id, direction, true, text, attachments::json, reply_to_mid,
    unsupported, occurred_at, 0, null
  from said where alone
  union all
  select account_id, mid, conversation_id, direction, has_content, text, attachments::json, reply_to_mid, unsupported,
    to_timestamp(sent_at / 1000), edit_number, to_timestamp(deleted_at / 1000)
  from json_to_recordset($15::text::json) as r (account_id text, mid text, conversation_id text, direction text,
    has_content boolean, text text, attachments text, reply_to_mid text, unsupported boolean, sent_at float8,
    edit_number integer, deleted_at float8)
  where exists (select from fresh f where f.account_id = r.account_id and f.mid = r.mid)
    -- Merged from something that stays out: what came with it stays in `events` alone.
    and not exists (select from refused f where f.account_id = r.account_id and f.mid = r.mid)
  order by account_id, mid
  on conflict (account_id, mid) do update set
    has_content = m.has_content or excluded.has_content,
    direction = case when excluded.has_content then excluded.direction else m.direction end,
    sent_at = case when m.has_content and not m.imported then m.sent_at
      when excluded.has_content then excluded.sent_at else least(m.sent_at, excluded.sent_at) end,
    deleted_at = least(m.deleted_at, excluded.deleted_at),
    text = case when coalesce(m.deleted_at, excluded.deleted_at) is not null then null
      when excluded.edit_number > m.edit_number then excluded.text
      when excluded.edit_number < m.edit_number then m.text
      else coalesce(m.text, excluded.text) end,
    attachments = case when coalesce(m.deleted_at, excluded.deleted_at) is not null then null
      when m.has_content then m.attachments else excluded.attachments end,
    reply_to_mid = coalesce(m.reply_to_mid, excluded.reply_to_mid),
    unsupported = m.unsupported or excluded.unsupported,
    edit_number = greatest(m.edit_number, excluded.edit_number),
    -- Counted as unread from now on: the same bound as above decides it.
    imported = m.imported and not (excluded.has_content and excluded.sent_at > now() - interval '1 day')
),
reacted as (
  insert into reactions as r (account_id, mid, sender_id, reaction, emoji, reacted_at)
  select account_id, mid, sender_id, reaction, emoji, to_timestamp(reacted_at / 1000)
  from json_to_recordset($16::text::json) as x (account_id text, mid text, sender_id text, reaction text, emoji text,
    reacted_at float8)
  where not exists (select from refused f where f.account_id = x.account_id and f.mid = x.mid
    and f.occurred_at = to_timestamp(x.reacted_at / 1000))
  on conflict (account_id, mid, sender_id) do update set
    reaction = excluded.reaction, emoji = excluded.emoji, reacted_at = excluded.reacted_at
  where (excluded.reacted_at, coalesce(excluded.reaction, ''), coalesce(excluded.emoji, ''))
    > (r.reacted_at, coalesce(r.reaction, ''), coalesce(r.emoji, ''))
),
seen as (
  insert into read_receipts as r (account_id, participant_id, mid, read_at)
  select account_id, participant_id, mid, to_timestamp(read_at / 1000)
  from json_to_recordset($17::text::json) as x (account_id text, participant_id text, mid text, read_at float8)
  where not exists (select from refused f
    where f.account_id = x.account_id and f.participant_id = x.participant_id)
  on conflict (account_id, participant_id) do update set mid = excluded.mid, read_at = excluded.read_at
  where (excluded.read_at, coalesce(excluded.mid, '')) > (r.read_at, coalesce(r.mid, ''))
),
heard as (
  insert into known_usernames as k (account_id, participant_id, username, seen_at)
  select account_id, participant_id, username, seen_at from told_names
  on conflict (account_id, participant_id) do update set username = excluded.username, seen_at = excluded.seen_at
  where (excluded.seen_at, excluded.username collate "C") > (k.seen_at, k.username collate "C")
)
select (select count(*)::int from fresh) as inserted,
  coalesce((select json_agg(json_build_array(i.account_id, i.event_key)) from input i
    where (select count(*) from fresh) < (select count(*) from input)
      and not exists (select from fresh f where f.account_id = i.account_id and f.event_key = i.event_key)), '[]'::json) as known,
  coalesce((select json_agg(json_build_array(account_id, participant_platform_id)) from filed
    where next_attempt_at <= now() and (lease_until is null or lease_until < now())), '[]'::json) as wanted,
  (select json_agg(json_build_array(account_id, participant_platform_id, lease_token::text, last_inbound_at::text,
    participant_username)) from filed where lease_token is not null) as leased,
  (select json_agg((select json_build_object('id', a.id, 'login', a.login, 'page_id', a.page_id, 'state', a.state,
      'state_reason', a.state_reason, 'token_sealed', a.token_sealed, 'probe_due', coalesce(a.state_until <= now(), false))
      from accounts a where a.id = l.account_id))
    from (select distinct account_id from filed where lease_token is not null) l) as access
