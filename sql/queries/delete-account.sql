-- Forgets an account and its token; its conversations stay.
-- $1 account id
delete from accounts where id = $1 returning id
