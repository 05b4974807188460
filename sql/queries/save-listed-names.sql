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
placed as (
  update backfill_runs r set heartbeat_at = now(), names_cursor = $8::text, names = $9::text::jsonb
  from fence where r.id = fence.id
),
given as materialized (
  select participant_id, username, place, to_timestamp($3::float8 / 1000) as listed_at
  from rows from (json_to_recordset($2::text::json) as (participant_id text, username text)) with ordinality
    as x (participant_id, username, place)
  where ($6::text is null or exists (select 1 from fence))
    and (select set_config('synchronous_commit', 'off', true)) = 'off'
),
-- A row each, so that no plan walks the tables for them, whatever it takes their size for. Whom a name changes is found
-- and locked in one look; in one order, as the webhook's statement does it, so that the two wait for each other instead
-- of in a ring. Marks of the erased cost as much as the update: asked last, and only for who has no conversation.
found as materialized (
  select g.*, k.username as known_as, coalesce(k.seen_at > g.listed_at, false) as known_newer, h.is_turned,
    coalesce(h.source, c.source) as source, coalesce(h.created_at, c.created_at) as created_at
  from (select * from given order by participant_id collate "C") g
    left join lateral (select username, seen_at from known_usernames k
      where (select true from known_usernames where account_id = $1 order by participant_id limit 1)
        and k.account_id = $1 and k.participant_id = g.participant_id limit 1) k on true
    left join lateral (select c.source, c.created_at, t.is_turned
      from conversations c cross join lateral (select c.profile_status in ('no_consent', 'not_found')
          and coalesce($4::text::jsonb ? c.reason_code, false) as is_turned) t
      where c.account_id = $1 and c.participant_platform_id = g.participant_id
        and g.username is not null and coalesce(k.seen_at <= g.listed_at, true)
        and coalesce(c.fetched_at < g.listed_at, true)
        and (c.participant_username is distinct from g.username or t.is_turned)
      limit 1 for update of c) h on true
    left join lateral (select source, created_at from conversations c
      where h.is_turned is null and c.account_id = $1 and c.participant_platform_id = g.participant_id limit 1) c on true
  where coalesce(h.source, c.source) is not null or erased_until($1, g.participant_id) is null
),
-- In the list's order, which three of the indexes have too: neighbours go to the same pages of them.
named as (
  update conversations c set participant_username = h.username,
    profile_status = case when h.is_turned then 'username_only' else c.profile_status end
  from (select participant_id, username, is_turned from found where is_turned is not null order by place) h
  where c.account_id = $1 and c.participant_platform_id = h.participant_id
  returning 1
),
heard as (
  insert into known_usernames as k (account_id, participant_id, username, seen_at)
  select $1, participant_id, username, listed_at from found where username is not null and source is null
  order by participant_id collate "C"
  on conflict (account_id, participant_id) do update set username = excluded.username, seen_at = excluded.seen_at
  where excluded.seen_at > k.seen_at
)
select $6::text is not null and not exists (select 1 from fence) as lost,
  (select count(*)::int from named) + (count(*) filter (where source is null and username is not null
    and not known_newer and username is distinct from known_as))::int as changed,
  coalesce(json_agg(participant_id order by participant_id collate "C") filter (where source is null),
    '[]'::json) as missing,
  (count(*) filter (where source = 'import' and created_at >= to_timestamp($5::float8 / 1000)))::int as imported
from found
