-- Takes the right to ask about one person of an account whose pause has ended.
-- Promise: of any number of takers one gets it; the next one not before the lease is over.
-- $1 account id  $2 lease (ms)
-- Columns: id, where it was taken.
update accounts set state_until = now() + make_interval(secs => $2::float8 / 1000)
where id = $1 and state <> 'active' and state_until <= now()
returning id
