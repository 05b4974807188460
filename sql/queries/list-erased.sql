-- Who of these people was erased lately, from any account.
-- $1 json [person's id]  $2 lately, ms
-- Columns: participant_id.
select p.id as participant_id from json_array_elements_text($1::text::json) as p (id)
where exists (select from erasures where erased_at >= now() - make_interval(secs => $2::float8 / 1000))
  and exists (select from erasures e where e.person = sha256((select salt from erasure_salt) || convert_to(p.id, 'UTF8'))
    and e.erased_at >= now() - make_interval(secs => $2::float8 / 1000))
