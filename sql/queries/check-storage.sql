-- How the server keeps what it commits.
select current_setting('server_version') as version, current_setting('fsync') as fsync,
  current_setting('synchronous_commit') as synchronous_commit, pg_is_in_recovery() as standby
