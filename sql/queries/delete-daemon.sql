-- A daemon that stops in order leaves no row behind.
-- $1 daemon's id
delete from daemons where id = $1::text
