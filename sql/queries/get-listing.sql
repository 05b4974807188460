-- What a listing of an account's inbox needs to know. A list that another token saw counts for nothing: Instagram hides
-- threads from a token without a right to them, and says so nowhere.
-- $1 account id
-- Columns: now_ms (the database's own time), listed_at_ms, import_listed_at_ms, app_scoped_id, username.
select (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms,
  (extract(epoch from case when listed_at > token_saved_at then listed_at end) * 1000)::float8 as listed_at_ms,
  (extract(epoch from case when import_listed_at > token_saved_at then import_listed_at end) * 1000)::float8
    as import_listed_at_ms,
  app_scoped_id, username
from accounts where id = $1
