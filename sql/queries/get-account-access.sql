-- What a Graph call needs of one account, its token still sealed.
-- $1 account id
select id, login, page_id, state, state_reason, token_sealed,
  coalesce(state_until <= now(), false) as probe_due
from accounts where id = $1
