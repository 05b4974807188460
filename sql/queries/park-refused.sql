-- Parks the people whom an account was refused lately: it was not about them, and the account's return takes them up.
-- Promise: whoever holds a lease is left alone; a name or a picture that is known stays.
-- $1 account id  $2 how long ago at the most (ms)
update conversations set profile_status = case when fetched_at is null then 'account_blocked' else profile_status end,
  reason_code = 'access_level', next_attempt_at = null
where account_id = $1::text and reason_code in ('no_consent', 'permission_missing')
  and checked_at > now() - make_interval(secs => $2::float8 / 1000)
  and (lease_until is null or lease_until < now())
