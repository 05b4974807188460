-- Who was erased stays out: a mark a person that tells nobody who they were, and how far back it goes.

-- Made at the first erasure, so that no two databases share it and nobody pays for it before. One row at most.
create table erasure_salt (
  one boolean primary key default true check (one),
  salt bytea not null
);

create table erasures (
  -- sha256 of the salt and the person's id.
  person bytea not null,
  -- '' where the person is erased from every account.
  account_id text collate "C" not null default '',
  -- What happened until then is not kept again, whoever brings it. What the person does later is new.
  until_at timestamptz not null,
  erased_at timestamptz not null default now(),
  primary key (person, account_id)
);
create index erasures_latest on erasures (erased_at);

-- Until when the account has nothing to do with the person; null: was never told to forget them. In PL/pgSQL, which
-- keeps its plan: the webhook's statement asks it for every message once there is a salt.
create function erased_until(account text, person_id text) returns timestamptz language plpgsql stable as $$
begin
  return (select max(e.until_at) from erasures e
    where e.person = sha256((select salt from erasure_salt) || convert_to(person_id, 'UTF8'))
      and e.account_id in ('', account));
end
$$;
