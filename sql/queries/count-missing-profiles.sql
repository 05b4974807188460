-- How many candidates a backfill of the account has.
-- $1 account id
select count(*)::int as candidates from conversations
where account_id = $1 and profile_status in ('pending', 'username_only', 'account_blocked', 'failed') and not self
  and last_inbound_at is not null and reason_code is distinct from 'bad_request'
  and (profile_status <> 'username_only' or reason_code is null)
