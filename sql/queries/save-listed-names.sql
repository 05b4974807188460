-- Writes the usernames of some pages of the inbox: into conversations where there is one, else into known_usernames.
-- Promise: only the column of the username changes, and never to an older name than a profile or a comment told; a
--   refusal whose rule lets the inbox name the person becomes `username_only` and keeps its reason, so that the same
--   events and the same time ask again. Who was erased is nobody here, until they write again.
-- $1 account id  $2 json [{ participant_id, username (null: not told) }] each person once
-- $3 when the page was asked for (ms, the clock of profiles)  $4 json [reason]: the refusals that a name turns
-- $5 when the listing began (ms, the database's clock)
-- $6 id of the backfill run they are for, or null: nothing is written once somebody else holds it  $7 its fencing token
-- $8 where its list of names goes on  $9 totals of its names (json): saved with the names, so that no page counts twice
-- Its commit is not waited for on the disk: what a crash of the server undoes is listed again.
-- Columns: lost (true: somebody else holds the run), changed (names and states that were not so before), missing (json [participant id] without a conversation),
--    imported (conversations among them that were created by an import since $5).
with fence as materialized (
  select id from backfill_runs
  where id = $6::text and fencing_token = $7::bigint and state = 'running' for update
),
given as materialized (
  select participant_id, username, to_timestamp($3::float8 / 1000) as listed_at
  from json_to_recordset($2::text::json) as x (participant_id text, username text)
  where (erased_until($1, participant_id) is null
      or exists (select from conversations c where c.account_id = $1 and c.participant_platform_id = x.participant_id))
    and ($6::text is null or exists (select 1 from fence))
    and (select set_config('synchronous_commit', 'off', true)) = 'off'
),
placed as (
  update backfill_runs r set heartbeat_at = now(), names_cursor = $8::text, names = $9::text::jsonb
  from fence where r.id = fence.id
),
turned as materialized (select reason from json_array_elements_text($4::text::json) as r (reason)),
-- A row each, so that no plan walks the tables for them, whatever it takes their size for.
found as materialized (
  select g.*, c.id, c.source, c.created_at, k.username as known_as,
    coalesce(k.seen_at > g.listed_at, false) as known_newer
  from given g
    left join lateral (select id, source, created_at from conversations c
      where c.account_id = $1 and c.participant_platform_id = g.participant_id limit 1) c on true
    left join lateral (select username, seen_at from known_usernames k
      where k.account_id = $1 and k.participant_id = g.participant_id limit 1) k on true
),
-- In one order, as the webhook's statement does it, so that the two wait for each other instead of in a ring.
held as materialized (
  select c.participant_platform_id as participant_id, f.username
  from conversations c join found f on f.participant_id = c.participant_platform_id
  where c.account_id = $1
    and c.participant_platform_id = any (array(select participant_id from found where id is not null))
    and f.username is not null and not f.known_newer and coalesce(c.fetched_at < f.listed_at, true)
    and (c.participant_username is distinct from f.username
      or (c.profile_status in ('no_consent', 'not_found') and c.reason_code in (select reason from turned)))
  order by c.participant_platform_id
  for update of c
),
named as (
  update conversations c set participant_username = h.username,
    profile_status = case when c.profile_status in ('no_consent', 'not_found')
      and c.reason_code in (select reason from turned) then 'username_only' else c.profile_status end
  from held h
  where c.account_id = $1 and c.participant_platform_id = h.participant_id
  returning c.participant_platform_id
),
heard as (
  insert into known_usernames as k (account_id, participant_id, username, seen_at)
  select $1, participant_id, username, listed_at from found where username is not null and id is null
  order by participant_id collate "C"
  on conflict (account_id, participant_id) do update set username = excluded.username, seen_at = excluded.seen_at
  where excluded.seen_at > k.seen_at
)
select $6::text is not null and not exists (select 1 from fence) as lost,
  (select count(*)::int from named)
    + (select count(*)::int from found where id is null and not known_newer and username is distinct from known_as
      and username is not null) as changed,
  coalesce((select json_agg(participant_id order by participant_id collate "C") from found where id is null),
    '[]'::json) as missing,
  (select count(*)::int from found
    where source = 'import' and created_at >= to_timestamp($5::float8 / 1000)) as imported
