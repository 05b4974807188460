-- What a set of daemons shares beside the messages: names that came for free, who is alive, and who does what once.

-- Usernames that webhooks carry beside a comment or a mention: the name of a person without a call.
create table known_usernames (
  account_id text collate "C" not null,
  participant_id text collate "C" not null,
  username text not null,
  seen_at timestamptz not null,
  primary key (account_id, participant_id)
);

-- One row a running daemon; a row whose heartbeat is old is a daemon that died.
create table daemons (
  id text primary key,
  started_at timestamptz not null default now(),
  heartbeat_at timestamptz not null default now()
);

-- Work that the whole set does once an interval. Whoever claims a row holds it until its lease runs out.
create table schedules (
  name text primary key,
  last_started_at timestamptz,
  last_ended_at timestamptz,
  owner text,
  lease_until timestamptz
);

-- Retention removes the oldest events in small batches; replay reads what came since a moment.
drop index events_received_at;
create index events_received_at on events using brin (received_at) with (pages_per_range = 16);
