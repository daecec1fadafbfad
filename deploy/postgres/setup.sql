-- A database for sluice: a role that logs in, and a schema that is its own.
--
--     psql -d postgres -v password="'...'" -f deploy/postgres/setup.sql
--     sluice init --store postgres://sluice@HOST/sluice
--
-- The search path belongs to the role and not to the connection, so that it is the same behind a pooler. In a database
-- that has other tables, leave out `create database` and connect there.

create role sluice login password :password;
create database sluice owner sluice encoding 'UTF8' template template0;
\connect sluice
create schema sluice authorization sluice;
alter role sluice in database sluice set search_path = sluice;
