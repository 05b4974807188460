-- Whether anything was ever kept of an account, added or not.
-- $1 account id
select exists (select from events where account_id = $1::text) as found
