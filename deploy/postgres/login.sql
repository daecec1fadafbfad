-- A login for sluice, in the groups that roles.sql makes, and for the tenants that it names.
--
--     psql -d sluice -v login=acme_worker -v kind=worker -v tenants=acme -v password="'...'" -f deploy/postgres/login.sql
--
-- `kind`: worker, broker, operator, reader or adder. `tenants`: names parted by commas, which are made where they are
-- missing; '*' for all, also those to come. Run it as a superuser, or as the owner of the tables with CREATEROLE.
-- `-v schema=NAME` where the tables are not in the schema sluice. Without `password` the login has none (certificates,
-- peer). Repeating it is safe; tenants that are not named any more are taken away.

\set ON_ERROR_STOP 1
\if :{?schema}
\else
\set schema sluice
\endif
\if :{?password}
\else
\set password null
\endif

begin;
set local search_path = :"schema";
set local client_min_messages = error;
select set_config('sluice.login', :'login', true), set_config('sluice.kind', :'kind', true),
  set_config('sluice.tenants', :'tenants', true) \g /dev/null

do $login$
declare
  login text := current_setting('sluice.login');
  kind text := current_setting('sluice.kind');
  tenants text := current_setting('sluice.tenants');
  tenant text;
begin
  if kind not in ('worker', 'broker', 'operator', 'reader', 'adder') then
    raise exception 'kind is worker, broker, operator, reader or adder, not %', kind;
  end if;
  begin
    execute format('create role %I', login);
  exception when duplicate_object or unique_violation then
    null;
  end;
  execute format('alter role %I login inherit nosuperuser nobypassrls nocreatedb nocreaterole noreplication', login);
  execute format('alter role %I in database %I set search_path = %I', login, current_database(), current_schema());
  execute format('grant %I to %I', 'sluice_' || kind, login);
  delete from tenant_member m where m.role = login::name;
  if tenants = '*' then
    execute format('grant sluice_every to %I', login);
  else
    execute format('revoke sluice_every from %I', login);
    foreach tenant in array string_to_array(tenants, ',') loop
      perform sluice_admit(login::name, tenant);
    end loop;
  end if;
end $login$;
alter role :"login" password :password;
commit;
