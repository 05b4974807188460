-- Makes the salt of the erasures' marks where there is none yet: random, from the database itself.
-- Promise: it never changes once it is there.
insert into erasure_salt (salt)
select sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8'))
where not exists (select from erasure_salt)
on conflict (one) do nothing
