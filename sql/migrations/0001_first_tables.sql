-- The first tables: accounts, events, conversations, messages and what hangs on them.
-- Ids are text (they run past 2^53). accounts.id is the Instagram id that webhooks carry; own_id is the operator's name for it.
-- Ids are collated "C": they are compared byte by byte, in any database's language, as the program sorts them.
-- No foreign key leads to accounts: an unknown account's messages are kept too.

create table accounts (
  id text collate "C" primary key,
  own_id text not null unique,
  login text not null check (login in ('instagram', 'facebook')),
  page_id text unique,
  app_scoped_id text unique,
  username text,
  state text not null default 'active' check (state in ('active', 'reauth_required', 'paused')),
  state_reason text,
  state_since timestamptz not null default now(),
  token_sealed text,
  token_saved_at timestamptz,
  token_expires_at timestamptz,
  created_at timestamptz not null default now(),
  check ((login = 'facebook') = (page_id is not null))
);

-- The raw item of every webhook, one row an event key: what all other tables can be derived from again.
create table events (
  account_id text collate "C" not null,
  event_key text collate "C" not null,
  kind text not null,
  participant_id text collate "C",
  mid text collate "C",
  occurred_at timestamptz not null,
  received_at timestamptz not null default now(),
  raw text not null,
  primary key (account_id, event_key)
);
create index events_received_at on events using brin (received_at);

-- Signed, and yet not to be filed: kept whole.
create table quarantine (
  id bigint generated always as identity primary key,
  received_at timestamptz not null default now(),
  reason text not null,
  body_hash text not null unique,
  body bytea not null,
  times integer not null default 1
);

create table conversations (
  account_id text collate "C" not null,
  participant_platform_id text collate "C" not null,
  -- One unique index only: with two, posts that race could meet on the one that "on conflict" does not name.
  -- Neither part holds an underscore, so queries take the id apart and find the row by the key.
  id text collate "C" not null generated always as (account_id || '_' || participant_platform_id) stored,
  status text not null default 'active' check (status in ('active', 'archived')),
  participant_username text,
  participant_name text,
  participant_profile_pic text,
  last_message_at timestamptz not null,
  last_inbound_at timestamptz,
  unread_count integer not null default 0 check (unread_count >= 0),
  self boolean not null default false,
  created_at timestamptz not null default now(),
  profile_status text not null default 'pending' check (profile_status in
    ('pending', 'complete', 'no_picture', 'username_only', 'no_consent', 'not_found', 'account_blocked', 'failed')),
  reason_code text,
  attempts integer not null default 0,
  fetched_at timestamptz,
  checked_at timestamptz,
  picture_expires_at timestamptz,
  next_attempt_at timestamptz,
  evidence jsonb,
  lease_token bigint,
  lease_until timestamptz,
  primary key (account_id, participant_platform_id)
) with (fillfactor = 90);

create sequence lease_tokens;

-- The lists of the API: latest first, over all accounts and within one.
create index conversations_latest on conversations (last_message_at desc, id desc);
create index conversations_account_latest on conversations (account_id, last_message_at desc, id desc);
-- The clockwork: who is due. Small, since a finished profile has no next attempt.
create index conversations_due on conversations (next_attempt_at) where next_attempt_at is not null;
-- The backfill's candidates, latest first.
create index conversations_profile_missing on conversations (account_id, last_message_at desc, id desc)
  where profile_status in ('pending', 'username_only', 'account_blocked', 'failed');

create table messages (
  account_id text collate "C" not null,
  mid text collate "C" not null,
  conversation_id text collate "C" not null,
  direction text not null check (direction in ('inbound', 'outgoing')),
  -- False where an unsend, an edit or a reaction came before the message itself.
  has_content boolean not null,
  text text,
  attachments json,
  reply_to_mid text collate "C",
  unsupported boolean not null default false,
  sent_at timestamptz not null,
  edit_number integer not null default 0,
  deleted_at timestamptz,
  primary key (account_id, mid)
);
create index messages_conversation on messages (conversation_id, sent_at desc, mid desc);

create table reactions (
  account_id text collate "C" not null,
  mid text collate "C" not null,
  sender_id text collate "C" not null,
  reaction text,
  emoji text,
  reacted_at timestamptz not null,
  primary key (account_id, mid, sender_id)
);

create table read_receipts (
  account_id text collate "C" not null,
  participant_id text collate "C" not null,
  mid text collate "C",
  read_at timestamptz not null,
  primary key (account_id, participant_id)
);

-- One backfill run a row. Resuming and fencing build on it.
create table backfill_runs (
  id text primary key,
  account_id text collate "C" not null,
  state text not null check (state in ('running', 'completed', 'interrupted', 'failed')),
  owner text not null,
  fencing_token bigint not null default nextval('lease_tokens'),
  options jsonb not null,
  cursor jsonb,
  candidates bigint,
  done bigint not null default 0,
  outcomes jsonb not null default '{}',
  started_at timestamptz not null default now(),
  heartbeat_at timestamptz not null default now(),
  ended_at timestamptz
);
create index backfill_runs_account on backfill_runs (account_id, started_at desc);
