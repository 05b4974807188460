-- One person of each account whose pause has ended: the one whose conversation is the latest among those who wait.
-- $1 limit
-- Columns: id, the conversation.
select p.id from accounts a cross join lateral (
  select c.id from conversations c
  where c.account_id = a.id and c.profile_status = 'account_blocked' and not c.self and c.last_inbound_at is not null
    and (c.lease_until is null or c.lease_until < now())
  order by c.last_message_at desc, c.id desc limit 1
) p
where a.state <> 'active' and a.state_until <= now()
order by a.state_until limit $1::int
