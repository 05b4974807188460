-- Asks for a lookup of one conversation's person now, whatever its state. Does nothing for the account's own
-- thread, and for somebody who has never written: Instagram shows nobody's profile before that.
-- $1 conversation id
-- Columns: id, one row where the conversation exists.
update conversations set next_attempt_at = case when self or last_inbound_at is null then next_attempt_at else now() end, attempts = 0
where account_id = split_part($1::text, '_', 1) and participant_platform_id = split_part($1::text, '_', 2)
returning id
