-- Every profile has a reason: pauses that end by themselves, and counts that cost no walk through an account's people.

-- When the account's pause ends and one person is asked as a probe; null: only an operator ends it.
alter table accounts add column state_until timestamptz;

-- Whom there is no full profile of, by account and state. Finished people stand in no entry, so messages of known people cost nothing.
create index conversations_not_complete on conversations (account_id, profile_status) where profile_status <> 'complete';

-- Whom Instagram refused for lack of consent or permission, and when: nearly everybody at once is the app's access level.
create index conversations_refused on conversations (account_id, checked_at)
  where reason_code in ('no_consent', 'permission_missing');
