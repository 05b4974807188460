-- Whose a lease is: the data folder of the daemon that took it. One process at a time holds a folder, so whoever starts
-- there knows that its predecessor's leases are nobody's. Null: taken by a command, or before this step.
alter table conversations add column lease_owner text;
