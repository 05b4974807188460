-- One page of the conversations that have messages, in order of their ids, whether or not they stand in conversations.
-- Steps from one id to the next along the index: a long conversation costs no more than a short one.
-- $1 ids after this one  $2 and before this one  $3 limit
with recursive walk as (
  (select conversation_id, 1 as place from messages where conversation_id > $1::text and conversation_id < $2::text
   order by conversation_id limit 1)
  union all
  select n.conversation_id, w.place + 1
  from walk w cross join lateral (
    select m.conversation_id from messages m where m.conversation_id > w.conversation_id and m.conversation_id < $2::text
    order by m.conversation_id limit 1
  ) n
  where w.place < $3::int
)
select conversation_id as id from walk order by place
