-- Opens a backfill run.
-- $1 run id  $2 account id  $3 owner  $4 options (json)  $5 candidates
insert into backfill_runs (id, account_id, state, owner, options, candidates)
values ($1, $2, 'running', $3, $4::text::jsonb, $5)
