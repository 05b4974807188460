-- Gives up an open run that nobody works on, so that another one may begin. Its token is worth nothing from then on.
-- $1 run id  $2 its fencing token as it was read
-- Columns: id, where it was closed.
update backfill_runs set state = 'cancelled', ended_at = now(), paused_until = null, fencing_token = nextval('lease_tokens')
where id = $1::text and fencing_token = $2::bigint and state in ('queued', 'running', 'interrupted')
returning id
