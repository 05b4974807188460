-- Ends an account's pause after a probe that Instagram answered, unless its token was replaced meanwhile.
-- $1 account id  $2 the sealed token that was answered
-- Columns: id, where there was a pause to end.
update accounts set state = 'active', state_reason = null, state_since = now(), state_until = null
where id = $1 and token_sealed = $2 and state = 'paused' and state_until is not null
returning id
