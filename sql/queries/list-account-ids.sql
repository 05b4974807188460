-- Every account that anything is kept of, added or not. One step of an index an account.
-- Columns: account_id.
with recursive of_conversations (id) as (
  (select account_id from conversations order by account_id limit 1) union all
  select (select account_id from conversations where account_id > o.id order by account_id limit 1)
  from of_conversations o where o.id is not null
),
of_messages (id) as (
  (select account_id from messages order by account_id limit 1) union all
  select (select account_id from messages where account_id > o.id order by account_id limit 1)
  from of_messages o where o.id is not null
),
of_names (id) as (
  (select account_id from known_usernames order by account_id limit 1) union all
  select (select account_id from known_usernames where account_id > o.id order by account_id limit 1)
  from of_names o where o.id is not null
),
of_reads (id) as (
  (select account_id from read_receipts order by account_id limit 1) union all
  select (select account_id from read_receipts where account_id > o.id order by account_id limit 1)
  from of_reads o where o.id is not null
)
select id as account_id from (
  select id from of_conversations union select id from of_messages union select id from of_names union select id from of_reads
  union select id from accounts
) ids where id is not null order by id collate "C"
