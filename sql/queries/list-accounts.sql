-- Every account, by its own id. Never its token.
select id, own_id, login, page_id, app_scoped_id, username, state, state_reason,
  (extract(epoch from state_since) * 1000)::float8 as state_since_ms,
  (extract(epoch from state_until) * 1000)::float8 as state_until_ms,
  (extract(epoch from token_saved_at) * 1000)::float8 as token_saved_at_ms,
  (extract(epoch from token_expires_at) * 1000)::float8 as token_expires_at_ms
from accounts order by own_id
