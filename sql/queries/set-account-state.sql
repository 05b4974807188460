-- Marks an account, unless its token was replaced since it was read.
-- $1 account id  $2 state  $3 reason  $4 the sealed token that was refused
update accounts set state = $2, state_reason = $3, state_since = now() where id = $1 and token_sealed = $4 and state = 'active'
returning id
