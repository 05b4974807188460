-- Says that a piece of work is done for this interval. Only its holder can.
-- $1 name  $2 who held it
update schedules set last_ended_at = now(), owner = null, lease_until = null where name = $1::text and owner = $2::text
returning name
