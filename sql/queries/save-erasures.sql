-- Marks people as erased: nothing that happened until now is kept of them again.
-- Promise: the mark does not tell who they were; a later erasure reaches further, an earlier one never less far. It
--   reaches beyond now where a message of theirs bears a later time: that one must not come back either.
-- $1 json [person's id] each once  $2 account id, or null: every account
-- Columns: participant_id, until_at (as text: to the microsecond).
with given as materialized (
  select p.id, greatest(now(), (select max(c.last_message_at) from accounts a join conversations c
      on c.account_id = a.id and c.participant_platform_id = p.id
    where $2::text is null or a.id = $2::text)) as until_at
  from json_array_elements_text($1::text::json) as p (id)
),
marked as (
  insert into erasures as e (person, account_id, until_at)
  select sha256((select salt from erasure_salt) || convert_to(id, 'UTF8')) as person, coalesce($2::text, ''), until_at
  from given order by 1
  on conflict (person, account_id) do update set until_at = greatest(e.until_at, excluded.until_at), erased_at = now()
  returning e.person, e.until_at
)
select g.id as participant_id, m.until_at::text as until_at from given g join marked m
  on m.person = sha256((select salt from erasure_salt) || convert_to(g.id, 'UTF8'))
