-- One page of what could not be filed, whole, in the order of its coming.
-- $1 id of the last row seen (0 at the start)  $2 limit
-- Columns: id (text), body (base64).
select id::text as id, encode(body, 'base64') as body from quarantine where id > $1::bigint order by id limit $2::int
