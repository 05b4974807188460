-- How many candidates a run over the account has, by what is known of them.
-- $1 account id  $2 whom: 'missing', 'refused' or 'everybody'  $3 the run's number, or null
-- $4 conversations since (ms since 1970), or null
-- Columns: reason (the reason code, else the status), people.
select coalesce(reason_code, profile_status) as reason, count(*)::int as people from conversations
where account_id = $1 and not self and last_inbound_at is not null
  and ($2::text = 'everybody'
    or ($2::text = 'refused' and profile_status not in ('complete', 'no_picture'))
    or ($2::text = 'missing' and profile_status in ('pending', 'username_only', 'account_blocked', 'failed')
      and reason_code is distinct from 'bad_request' and (profile_status <> 'username_only' or reason_code is null)))
  and ($3::bigint is null or run_number is distinct from $3::bigint)
  and ($4::float8 is null or last_message_at >= to_timestamp($4::float8 / 1000))
group by 1 order by 2 desc, 1
