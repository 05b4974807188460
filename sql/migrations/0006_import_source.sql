-- The inbox in bulk: conversations that a listing found are told from those that webhooks brought.

-- 'import': Instagram listed the conversation, and no webhook had told of it yet.
alter table conversations add column source text not null default 'webhook' check (source in ('webhook', 'import'));
-- True while only an import has told of the message: it was read elsewhere long ago and counts as nobody's unread one.
alter table messages add column imported boolean not null default false;

-- When the inbox was last listed to its end (by the database's clock), and when with all conversations created: a list
-- that is newest first needs to be read only as far back as that.
alter table accounts add column listed_at timestamptz;
alter table accounts add column import_listed_at timestamptz;
