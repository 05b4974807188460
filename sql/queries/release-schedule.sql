-- Gives a piece of work back undone: whoever asks next may take it. Only its holder can.
-- $1 name  $2 who held it
update schedules set lease_until = now() where name = $1::text and owner = $2::text
returning name
