-- Notes that the inbox was listed to its end, or to what an earlier listing had covered.
-- Promise: never goes back in time.
-- $1 account id  $2 when the listing began (ms, the database's clock)  $3 whether every conversation exists now
update accounts set listed_at = greatest(listed_at, to_timestamp($2::float8 / 1000)),
  import_listed_at = case when $3::boolean then greatest(import_listed_at, to_timestamp($2::float8 / 1000))
    else import_listed_at end
where id = $1
