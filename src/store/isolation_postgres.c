/*
 * What row-level security stands on: who may reach which tenant. deploy/postgres/roles.sql makes the roles
 * and the policies that use it; without them it lies idle.
 *
 * It goes by session_user, the login that the server has checked: unlike a setting, and unlike current_user,
 * nobody can change it, and it stays the same inside of functions and views that run with their owner's
 * rights.
 */
#include "base/buf.h"
#include "store/db.h"

/* The functions that look into tenant_member run with the rights of the tables' owner, for nobody else may
 * see whole the table that they read. */
static const char isolation_sql[] =
    "create table tenant_member ("
    " role name not null,"
    " tenant_id bigint not null references tenant (id),"
    " primary key (role, tenant_id));\n"

    "create function sluice_tenants() returns bigint[] language plpgsql stable parallel safe"
    " security definer as $reach$\n"
    "begin return array(select m.tenant_id from tenant_member m where m.role = session_user); end $reach$;\n"

    /* The owner, and who is in the group sluice_every. */
    "create function sluice_reaches_all() returns boolean language plpgsql stable parallel safe"
    " security definer as $reach$\n"
    "begin return session_user = current_user or exists (select from pg_catalog.pg_roles r"
    "  where r.rolname = 'sluice_every' and pg_catalog.pg_has_role(session_user, r.oid, 'member'));"
    " end $reach$;\n"

    "create function sluice_admit(role name, tenant text) returns void language plpgsql volatile as $admit$\n"
    "declare\n"
    "  home bigint;\n"
    "begin\n"
    "  if not exists (select from pg_catalog.pg_roles r where r.rolname = sluice_admit.role) then\n"
    "    raise exception using errcode = 'no_data_found', message =\n"
    "      format('there is no role %s: make it with deploy/postgres/login.sql', sluice_admit.role);\n"
    "  end if;\n"
    "  select t.id into home from tenant t where t.name = sluice_admit.tenant;\n"
    "  if not found then\n"
    "    insert into tenant (name, added_at_ms) values (sluice_admit.tenant, now_ms()) returning id into "
    "home;\n"
    "    insert into turn (tenant_id, channel_id) values (home, 0);\n"
    "  end if;\n"
    "  insert into tenant_member values (sluice_admit.role, home) on conflict do nothing;\n"
    "end $admit$;\n"

    "create function sluice_dismiss(role name, tenant text) returns boolean language plpgsql volatile"
    " as $dismiss$\n"
    "begin\n"
    "  delete from tenant_member m where m.role = sluice_dismiss.role\n"
    "    and m.tenant_id = (select t.id from tenant t where t.name = sluice_dismiss.tenant);\n"
    "  return found;\n"
    "end $dismiss$;\n"

    "do $path$ declare name text; begin\n"
    "  foreach name in array array['sluice_tenants()', 'sluice_reaches_all()', 'sluice_admit(name, text)',\n"
    "      'sluice_dismiss(name, text)'] loop\n"
    "    execute format('alter function %s set search_path = %I, pg_temp', name, current_schema());\n"
    "  end loop;\n"
    "  revoke all on function sluice_admit(name, text), sluice_dismiss(name, text) from public;\n"
    "end $path$;\n";

void db_postgres_build_isolation(struct buf *sql)
{
    buf_puts(sql, isolation_sql);
}
