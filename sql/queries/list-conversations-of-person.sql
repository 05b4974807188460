-- The conversations that the known accounts have with one person's id, latest first: an id is scoped to an account.
-- $1 person's id  $2 limit
select c.id from accounts a
  join conversations c on c.account_id = a.id and c.participant_platform_id = $1::text
order by c.last_message_at desc, c.id desc limit $2::int
