#include "postgres.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"
#include "store/db_postgres.h"

#define OWNER "sluice_test_owner" /* of the tables: no superuser, who would be above all policies */

extern char **environ;

/* ---- connections ---- */

void postgres_url(char ret[512], const char *variable, const char *database)
{
    const char *url = getenv(variable);
    const char *place = url ? strstr(url, "{database}") : NULL;
    if (!place)
        fail_msg("%s does not say where {database} is", variable);
    else
        snprintf(ret, 512, "%.*s%s%s", (int)(place - url), url, database, place + strlen("{database}"));
}

static void ignore_notice(void *ctx, const char *message)
{
    (void)ctx;
    (void)message;
}

PGconn *postgres_connection(const char *database)
{
    char url[512];
    postgres_url(url, "STORE_TEST_ADMIN_URL", database);
    PGconn *conn = PQconnectdb(url);
    if (PQstatus(conn) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(conn));
    PQsetNoticeProcessor(conn, ignore_notice, NULL);
    return conn;
}

void postgres_must(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(conn));
    PQclear(result);
}

/* ---- databases ---- */

static const char clock_sql[] = "create table test_clock (now_ms bigint); insert into test_clock values (0);"
                                "grant select on test_clock to public;"
                                "create or replace function now_ms() returns bigint language sql stable as"
                                " 'select t.now_ms from test_clock t'";

const char *postgres_roles(void)
{
    return getenv("STORE_TEST_ROLES");
}

/* Roles are the server's, and other programs make them, too. */
static void make_role(PGconn *admin, const char *name, const char *groups)
{
    char sql[512];
    snprintf(
        sql, sizeof(sql),
        "do $role$ begin begin create role %s login; exception when duplicate_object or unique_violation then"
        " null; end; begin %s%s%s%s; exception when unique_violation then null; end; end $role$",
        name, groups ? "grant " : "null", groups ? groups : "", groups ? " to " : "", groups ? name : "");
    postgres_must(admin, sql);
}

static void run_script(const char *script, const char *url)
{
    const char *source = getenv("STORE_TEST_SOURCE");
    char path[512];
    int status;
    pid_t pid;
    snprintf(path, sizeof(path), "%s/deploy/postgres/%s", source ? source : ".", script);
    const char *const args[] = {"psql", "-X", "-q", "-d", url, "-v", "schema=public", "-f", path, NULL};
    if (posix_spawnp(&pid, "psql", NULL, NULL, (char *const *)args, environ) != 0 ||
        waitpid(pid, &status, 0) != pid || status != 0)
        fail_msg("psql cannot run %s", path);
}

/* As docs/tenants.md says, but that one login has the rights of all groups. */
static void keep_tenants_apart(PGconn *admin, const char *database)
{
    char url[512];
    bool is_every = strcmp(postgres_roles(), "every") == 0;
    postgres_url(url, "STORE_TEST_ADMIN_URL", database);
    run_script("roles.sql", url);
    make_role(admin, is_every ? "sluice_test_every" : "sluice_test_member",
              is_every ? "sluice_worker, sluice_broker, sluice_operator, sluice_reader, sluice_every"
                       : "sluice_worker, sluice_broker, sluice_operator, sluice_reader");
}

/* The URL for a role that need not be the superuser. */
static void url_for(char ret[512], const char *database, const char *role)
{
    char url[512];
    postgres_url(url, "STORE_TEST_ADMIN_URL", database);
    char *user = strstr(url, "user=postgres");
    if (!user)
        fail_msg("%s names no user", url);
    else
        snprintf(ret, 512, "%.*suser=%s%s", (int)(user - url), url, role, user + strlen("user=postgres"));
}

static void make_tables(const char *database)
{
    char url[512];
    struct store *store;
    struct err err = {0};
    url_for(url, database, OWNER);
    if (store_open(url, STORE_CREATE, &store, &err) != 0)
        fail_msg("%s", err.message);
    store_close(store);
}

static void make_database(PGconn *admin, const char *name)
{
    char sql[128];
    make_role(admin, OWNER, NULL);
    snprintf(sql, sizeof(sql), "create database %s owner " OWNER, name);
    postgres_must(admin, sql);
    make_tables(name);
    if (postgres_roles())
        keep_tenants_apart(admin, name);
    PGconn *conn = postgres_connection(name);
    postgres_must(conn, clock_sql);
    PQfinish(conn);
}

static void drop_database(PGconn *admin, const char *name)
{
    char sql[96];
    snprintf(sql, sizeof(sql), "drop database if exists %s with (force)", name);
    postgres_must(admin, sql);
}

/* As new. Whatever a failed test has left open would keep its locks. */
static void empty_database(PGconn *side)
{
    postgres_must(side,
                  "select pg_terminate_backend(pid) from pg_stat_activity"
                  " where datname = current_database() and state <> 'idle' and pid <> pg_backend_pid()");
    postgres_must(
        side, "set local session_replication_role = replica;" /* the trail's guard does not fire */
              "do $empty$ declare one record; begin" /* truncate takes ten times as long for as few rows */
              "  for one in select c.oid::regclass::text as name from pg_class c where c.relkind = 'r'"
              "    and c.relnamespace = 'public'::regnamespace"
              "    and c.relname not in ('job_move', 'schema_version', 'test_clock') loop"
              "    execute 'delete from ' || one.name; end loop;"
              "  perform setval(c.oid, 1, false) from pg_class c where c.relkind = 'S'"
              "    and c.relnamespace = 'public'::regnamespace; end $empty$;"
              "update test_clock set now_ms = 0");
}

struct store *postgres_open_as_owner(struct fixture *fix)
{
    char url[512];
    struct store *store = NULL;
    url_for(url, fix->postgres->database, OWNER);
    assert_ok(store_open(url, STORE_USE, &store, &fix->err), fix);
    fixture_set_clock(fix, store);
    return store;
}

void postgres_admit(struct postgres *postgres, const char *role, const char *tenant)
{
    char sql[256];
    snprintf(sql, sizeof(sql), "select sluice_admit('%s', '%s')", role, tenant);
    postgres_must(postgres->side, sql);
}

static bool is_made; /* this program's database */

struct postgres *postgres_setup(struct fixture *fix)
{
    struct postgres *postgres = mem_alloc(sizeof(*postgres));
    postgres->admin = postgres_connection("postgres");
    copy_text(postgres->database, getenv("STORE_TEST_DATABASE"));
    if (!is_made)
        make_database(postgres->admin, postgres->database);
    postgres->side = postgres_connection(postgres->database);
    if (is_made)
        empty_database(postgres->side);
    is_made = true;
    postgres_url(fix->url, "STORE_TEST_URL", postgres->database);
    return postgres;
}

void postgres_teardown(struct postgres *postgres)
{
    if (!postgres)
        return;
    PQfinish(postgres->side);
    if (postgres->is_spoilt)
        drop_database(postgres->admin, postgres->database);
    is_made = !postgres->is_spoilt;
    PQfinish(postgres->admin);
    mem_free(postgres);
}

/* ---- the clock ---- */

static void set_time(struct db *db)
{
    struct fixture *fix = db->now_ctx;
    struct postgres *postgres = fix->postgres;
    if (postgres->clock_ms != fix->now_ms) {
        char sql[96];
        snprintf(sql, sizeof(sql), "update test_clock set now_ms = %lld", (long long)fix->now_ms);
        postgres_must(postgres->side, sql);
        postgres->clock_ms = fix->now_ms;
    }
}

static int bind_at_the_tests_time(struct db *db, void *prepared, const struct db_value *args, size_t count,
                                  struct err *err)
{
    set_time(db);
    return db_postgres_driver.bind(db, prepared, args, count, err);
}

static int bind_rows_at_the_tests_time(struct db *db, void *prepared, const struct db_columns *columns,
                                       const struct db_rows *rows, const struct db_value *args, size_t count,
                                       struct err *err)
{
    set_time(db);
    return db_postgres_driver.bind_rows(db, prepared, columns, rows, args, count, err);
}

void postgres_set_clock(struct store *store)
{
    static struct db_driver driver;
    driver = db_postgres_driver;
    driver.bind = bind_at_the_tests_time;
    driver.bind_rows = bind_rows_at_the_tests_time;
    store->db->driver = &driver;
}

/* ---- past the store ---- */

int64_t postgres_number(struct postgres *postgres, const char *sql)
{
    int64_t ret = 0;
    PGresult *result = PQexec(postgres->side, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) == 0)
        fail_msg("%s: %s", sql, PQerrorMessage(postgres->side));
    const char *text = PQgetvalue(result, 0, 0);
    if (strcmp(text, "t") == 0)
        ret = 1;
    else if (strcmp(text, "f") != 0 && text[0] && !parse_i64(text, &ret))
        fail_msg("%s: %s is no number", sql, text);
    PQclear(result);
    return ret;
}

int postgres_run_sql(struct postgres *postgres, const char *sql, char message[256])
{
    PGresult *result = PQexec(postgres->side, sql);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    snprintf(message, 256, "%s", text ? text : "");
    bool is_good = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
    PQclear(result);
    if (PQtransactionStatus(postgres->side) != PQTRANS_IDLE)
        postgres_must(postgres->side, "rollback");
    return is_good ? 0 : 1;
}
