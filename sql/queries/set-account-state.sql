-- Marks an account, unless its token was replaced since it was read, or an operator has to act on it already.
-- $1 account id  $2 state  $3 reason  $4 the sealed token that was refused
-- $5 when one person is asked as a probe (ms from now; null: only an operator ends it)
-- Columns: id, where it was marked.
update accounts set state = $2::text, state_reason = $3::text,
  state_since = case when state = $2::text and state_reason = $3::text then state_since else now() end,
  state_until = now() + make_interval(secs => $5::float8 / 1000)
where id = $1 and token_sealed = $4 and (state = 'active' or (state_until is not null
  -- Several windows meet the same refusal together: who rests for it already rests no longer. A probe's lease is a minute.
  and (state <> $2::text or state_reason is distinct from $3::text or state_until <= now() + interval '2 minutes')))
returning id
