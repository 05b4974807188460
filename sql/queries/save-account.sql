-- Adds an account, or gives a known one a new token and settings; it is active again either way.
-- $1 id  $2 own id  $3 login  $4 page id  $5 app-scoped id  $6 username  $7 sealed token  $8 token expires at (ms) or null
insert into accounts (id, own_id, login, page_id, app_scoped_id, username, token_sealed, token_saved_at, token_expires_at)
values ($1, $2, $3, $4, $5, $6, $7, now(), to_timestamp($8::float8 / 1000))
on conflict (id) do update set own_id = excluded.own_id, login = excluded.login, page_id = excluded.page_id,
  app_scoped_id = coalesce(excluded.app_scoped_id, accounts.app_scoped_id),
  username = coalesce(excluded.username, accounts.username), token_sealed = excluded.token_sealed, token_saved_at = now(),
  token_expires_at = excluded.token_expires_at, state = 'active', state_reason = null, state_since = now(),
  state_until = null
