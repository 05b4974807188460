-- Gives a run that was cancelled or interrupted back to the daemons, to go on where it stood. Not beside another open
-- run of its account.
-- $1 run id
-- Columns: id, where it was queued.
update backfill_runs r set state = 'queued', detached = true, cancel_requested = false, ended_at = null,
  fencing_token = nextval('lease_tokens')
where r.id = $1::text and r.state in ('cancelled', 'interrupted')
  and not exists (select 1 from backfill_runs o
    where o.account_id = r.account_id and o.id <> r.id and o.state in ('queued', 'running', 'interrupted'))
returning r.id
