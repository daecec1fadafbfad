#include "postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/parse.h"
#include "store/db_postgres.h"

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
                                "create or replace function now_ms() returns bigint language sql stable as"
                                " 'select t.now_ms from test_clock t'";

/* Once a program: copying a database is much faster than making its tables. */
static const char *template_database(PGconn *admin)
{
    static char name[32];
    char url[512], sql[96];
    struct store *store;
    struct err err = {0};
    if (name[0])
        return name;
    snprintf(name, sizeof(name), "template_%d", (int)getpid());
    snprintf(sql, sizeof(sql), "create database %s", name);
    postgres_must(admin, sql);
    postgres_url(url, "STORE_TEST_ADMIN_URL", name);
    if (store_open(url, STORE_CREATE, &store, &err) != 0)
        fail_msg("%s", err.message);
    store_close(store);
    PGconn *conn = postgres_connection(name);
    postgres_must(conn, clock_sql);
    PQfinish(conn);
    return name;
}

struct postgres *postgres_setup(struct fixture *fix)
{
    static int count;
    char sql[128];
    struct postgres *postgres = mem_alloc(sizeof(*postgres));
    postgres->admin = postgres_connection("postgres");
    const char *template = template_database(postgres->admin);
    snprintf(postgres->database, sizeof(postgres->database), "test_%d_%d", (int)getpid(), ++count);
    snprintf(sql, sizeof(sql), "create database %s template %s", postgres->database, template);
    postgres_must(postgres->admin, sql);
    postgres->side = postgres_connection(postgres->database);
    postgres_url(fix->url, "STORE_TEST_URL", postgres->database);
    return postgres;
}

void postgres_teardown(struct postgres *postgres)
{
    char sql[96];
    if (!postgres)
        return;
    PQfinish(postgres->side);
    snprintf(sql, sizeof(sql), "drop database %s with (force)", postgres->database);
    postgres_must(postgres->admin, sql);
    PQfinish(postgres->admin);
    mem_free(postgres);
}

/* ---- the clock ---- */

static int bind_at_the_tests_time(struct db *db, void *prepared, const struct db_value *args, size_t count,
                                  struct err *err)
{
    struct fixture *fix = db->now_ctx;
    struct postgres *postgres = fix->postgres;
    if (postgres->clock_ms != fix->now_ms) {
        char sql[96];
        snprintf(sql, sizeof(sql), "update test_clock set now_ms = %lld", (long long)fix->now_ms);
        postgres_must(postgres->side, sql);
        postgres->clock_ms = fix->now_ms;
    }
    return db_postgres_driver.bind(db, prepared, args, count, err);
}

void postgres_set_clock(struct store *store)
{
    static struct db_driver driver;
    driver = db_postgres_driver;
    driver.bind = bind_at_the_tests_time;
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
