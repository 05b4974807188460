-- Asks for a lookup of one conversation's person now, whatever its state. Does nothing for the account's own thread.
-- $1 conversation id
-- Columns: id, one row where the conversation exists.
update conversations set next_attempt_at = case when self then next_attempt_at else now() end, attempts = 0
where account_id = split_part($1::text, '_', 1) and participant_platform_id = split_part($1::text, '_', 2)
returning id
