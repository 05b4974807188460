-- Reserves one account's next call for a name: the calls of all processes stand apart by a spacing.
-- Promise: nobody is given a turn later than the longest wait, and a turn that is refused takes no place.
-- $1 account id  $2 spacing after this call (ms)  $3 longest wait (ms)
-- Columns: delay_ms until the caller's turn, where there is one.
update accounts set names_next_at = greatest(coalesce(names_next_at, now()), now()) + make_interval(secs => $2::float8 / 1000)
where id = $1::text and coalesce(names_next_at, now()) <= now() + make_interval(secs => $3::float8 / 1000)
returning greatest(0, extract(epoch from names_next_at - now()) * 1000 - $2::float8)::float8 as delay_ms
