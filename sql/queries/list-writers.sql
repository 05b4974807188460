-- Who is writing to a table that tells of people just now. A statement that begins after this one sees every erasure
-- that was committed before it; only these may not.
-- Columns: writer (the transaction, by a name that no other one bears at that time).
select distinct virtualtransaction as writer from pg_locks
where locktype = 'relation' and mode = 'RowExclusiveLock' and granted and pid <> pg_backend_pid()
  and database = (select oid from pg_database where datname = current_database())
  and relation in ('events'::regclass, 'conversations'::regclass, 'messages'::regclass, 'reactions'::regclass,
    'read_receipts'::regclass, 'known_usernames'::regclass, 'quarantine'::regclass)
