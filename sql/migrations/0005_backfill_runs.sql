-- A backfill run is owned: one open run an account, who holds it, where it stands, and what it was asked for.

-- The last run that finished with this person. Whoever stands here was counted by that run in the same statement, and
-- is no candidate of it again.
alter table conversations add column run_number bigint;

alter table backfill_runs drop constraint backfill_runs_state_check;
-- No version before this one went on with what it had left open.
update backfill_runs set state = 'cancelled', ended_at = coalesce(ended_at, heartbeat_at)
where state in ('running', 'interrupted');
alter table backfill_runs
  add constraint backfill_runs_state_check
    check (state in ('queued', 'running', 'interrupted', 'completed', 'failed', 'cancelled')),
  alter column owner drop not null,
  add column number bigint not null generated always as identity,
  -- The data folder whose lock the owner holds: whoever gets that lock knows that the owner is dead.
  add column owner_folder text,
  -- Given to the daemons: any of them goes on with it.
  add column detached boolean not null default false,
  add column cancel_requested boolean not null default false,
  add column successful bigint not null default 0,
  add column errors bigint not null default 0,
  add column phase text not null default 'profiles' check (phase in ('names', 'profiles')),
  add column names_cursor text,
  add column names jsonb not null default '{"calls": 0, "listed": 0, "named": 0, "imported": 0}',
  -- Until when Instagram's limit holds the run up; null while it works.
  add column paused_until timestamptz,
  add column blocked_reason text;

-- One open run an account: of two starts at once the database lets one through.
create unique index backfill_runs_open on backfill_runs (account_id) where state in ('queued', 'running', 'interrupted');
create index backfill_runs_latest on backfill_runs (started_at desc, id desc);
