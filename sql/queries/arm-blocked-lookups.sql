-- Un-parks the people of an account that can look them up again.
-- $1 account id
update conversations set profile_status = case when profile_status = 'account_blocked' then 'pending' else profile_status end,
  attempts = 0, next_attempt_at = now()
where account_id = $1 and not self and last_inbound_at is not null
  and (profile_status = 'account_blocked' or (fetched_at is not null and reason_code in ('token_missing', 'token_unreadable', 'token_dead', 'permission_missing',
    'page_not_linked', 'access_level', 'proof_refused', 'abuse_block')))
