/*
 * The connection: a libpq URL, tried host by host, each within a time of its own, because libpq's own
 * connect_timeout does not count where one connects without blocking.
 */
#include <poll.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/db_postgres.h"

enum { CONNECT_MS = 5000, OPTIONS_MAX = 64, VERSION_MIN = 130000 };

/* ---- the URL ---- */

static const char *option(const struct db_postgres *db, const char *keyword)
{
    for (const PQconninfoOption *one = db->options; one->keyword; one++)
        if (strcmp(one->keyword, keyword) == 0)
            return one->val && one->val[0] ? one->val : NULL;
    return NULL;
}

/* libpq's words may quote the URL, and the URL may hold a password. */
static int parse_url(struct db_postgres *db, const char *url, struct err *err)
{
    char *words = NULL;
    db->options = PQconninfoParse(url, &words);
    PQfreemem(words);
    if (!db->options)
        return err_set(err, ERR_INVALID,
                       "store: this is no URL of Postgres; its form is "
                       "postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full");
    const char *host = option(db, "host"), *port = option(db, "port"), *name = option(db, "dbname");
    db->name =
        mem_printf("%s%s%s/%s", host ? host : "local", port ? ":" : "", port ? port : "", name ? name : "");
    return 0;
}

/* The n-th part of "a,b,c"; of a list of one, that one. NULL: there is none. */
static char *nth_part(const char *list, int n)
{
    if (!list)
        return NULL;
    if (!strchr(list, ','))
        return mem_dup(list);
    while (n-- > 0 && list)
        list = (list = strchr(list, ',')) ? list + 1 : NULL;
    return list ? mem_dup_n(list, strcspn(list, ",")) : NULL;
}

static int count_hosts(const struct db_postgres *db)
{
    const char *list = option(db, "hostaddr") ? option(db, "hostaddr") : option(db, "host");
    int count = 1;
    for (; list && *list; list++)
        count += *list == ',';
    return count;
}

/* ---- one attempt ---- */

struct settings {
    const char *keywords[OPTIONS_MAX], *values[OPTIONS_MAX];
    int count;
};

static void set(struct settings *settings, const char *keyword, const char *value)
{
    if (!value || settings->count == OPTIONS_MAX - 1)
        return;
    settings->keywords[settings->count] = keyword;
    settings->values[settings->count++] = value;
}

/* Where the URL does not say otherwise: a standby is no store, and a peer that is gone is noticed. */
static const char *const defaults[][2] = {
    {"target_session_attrs", "read-write"}, {"application_name", "sluice"}, {"keepalives_idle", "20"},
    {"keepalives_interval", "5"},           {"keepalives_count", "3"},      {"tcp_user_timeout", "15000"},
};

static void fill_settings(const struct db_postgres *db, const char *host, const char *hostaddr,
                          const char *port, struct settings *settings)
{
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
        if (!option(db, defaults[i][0]))
            set(settings, defaults[i][0], defaults[i][1]);
    for (const PQconninfoOption *one = db->options; one->keyword; one++)
        if (strcmp(one->keyword, "host") != 0 && strcmp(one->keyword, "hostaddr") != 0 &&
            strcmp(one->keyword, "port") != 0 && strcmp(one->keyword, "client_encoding") != 0)
            set(settings, one->keyword, option(db, one->keyword));
    set(settings, "host", host);
    set(settings, "hostaddr", hostaddr);
    set(settings, "port", port);
    set(settings, "client_encoding", "UTF8");
}

static PostgresPollingStatusType poll_until(PGconn *conn, int64_t end_mono_ms)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING) {
        if (postgres_wait(conn, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, end_mono_ms) == 0)
            break;
        status = PQconnectPoll(conn);
    }
    return status;
}

static void ignore_notice(void *ctx, const char *message)
{
    (void)ctx;
    (void)message;
}

static int check_server(struct db_postgres *db, PGconn *conn, struct err *err)
{
    const char *encoding = PQparameterStatus(conn, "server_encoding");
    if (PQserverVersion(conn) < VERSION_MIN)
        return err_set(err, ERR_STORE, "%s is PostgreSQL %d: sluice needs 13 or newer", db->name,
                       PQserverVersion(conn) / 10000);
    if (encoding && strcmp(encoding, "UTF8") != 0)
        return err_set(err, ERR_STORE, "%s is encoded in %s: make a database with `createdb -E UTF8`",
                       db->name, encoding);
    return 0;
}

static int attempt(struct db_postgres *db, const struct settings *settings, PGconn **ret, struct err *err)
{
    PGconn *conn = PQconnectStartParams(settings->keywords, settings->values, 0);
    if (!conn)
        return err_set(err, ERR_STORE, "%s: no memory for a connection", db->name);
    *ret = conn;
    PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
    PQsetNoticeProcessor(conn, ignore_notice, NULL);
    if (PQstatus(conn) == CONNECTION_BAD)
        return postgres_connect_error(db, conn, err);
    PostgresPollingStatusType status = poll_until(conn, clock_mono_ms() + CONNECT_MS);
    if (status == PGRES_POLLING_FAILED)
        return postgres_connect_error(db, conn, err);
    if (status != PGRES_POLLING_OK)
        return err_set(err, ERR_STORE, "cannot reach the database %s: no answer within %d ms", db->name,
                       CONNECT_MS);
    PQsetnonblocking(conn, 1);
    return check_server(db, conn, err);
}

static int attempt_nth(struct db_postgres *db, int n, struct err *err)
{
    AUTO_FREE char *host = nth_part(option(db, "host"), n);
    AUTO_FREE char *hostaddr = nth_part(option(db, "hostaddr"), n);
    AUTO_FREE char *port = nth_part(option(db, "port"), n);
    struct settings settings = {.count = 0};
    PGconn *conn = NULL;
    fill_settings(db, host, hostaddr, port, &settings);
    int rc = attempt(db, &settings, &conn, err);
    if (rc < 0) {
        PQfinish(conn);
        return rc;
    }
    db->conn = conn;
    db->session++;
    db->names_known = false;
    return 0;
}

/* A server that has ended the connection meanwhile has said so: better to know before something is sent. */
static bool is_alive(struct db_postgres *db)
{
    if (!db->conn || PQstatus(db->conn) != CONNECTION_OK)
        return false;
    struct pollfd fd = {.fd = PQsocket(db->conn), .events = POLLIN};
    while (!db->has_begun && poll(&fd, 1, 0) > 0)
        if (PQconsumeInput(db->conn) == 0 || PQstatus(db->conn) != CONNECTION_OK)
            return false;
    return true;
}

int postgres_connect(struct db_postgres *db, struct err *err)
{
    if (is_alive(db))
        return 0;
    postgres_disconnect(db);
    if (db->has_begun)
        return postgres_lost(db, err);
    int rc = ERR_STORE;
    for (int n = 0; n < count_hosts(db) && rc < 0; n++)
        rc = attempt_nth(db, n, err);
    return rc;
}

void postgres_disconnect(struct db_postgres *db)
{
    PQfinish(db->conn); /* NULL is fine */
    db->conn = NULL;
}

/* ---- opening ---- */

/* One row: the schema's name, whether our tables are in it, whether others are, and whether a commit waits
 * for the disk. */
static const char look_sql[] =
    "select current_schema(),"
    " to_regclass(format('%I.schema_version', current_schema())) is not null,"
    " exists (select 1 from pg_catalog.pg_class where relnamespace = current_schema()::regnamespace"
    "  and relkind in ('r', 'p')),"
    " current_setting('synchronous_commit') = 'off'";

/* In a transaction's statements few rows of values meet large tables by their keys. Where the tables'
 * statistics are old, or not there yet, the planner would rather read whole tables or indexes, and a plan
 * that is kept would stay so while the tables grow: so each row is looked up. */
#define PLANS                                                                                                \
    "; set local random_page_cost = 0.1; set local jit = off; set local enable_seqscan = off"                \
    "; set local enable_hashjoin = off; set local enable_mergejoin = off"

/* Other workers wait for the locks of a transaction whose worker is stopped or cut off: the server ends it.
 */
void postgres_set_begin(struct db_postgres *db)
{
    mem_free(db->begin_sql);
    db->begin_sql = mem_printf("begin isolation level read committed; set local lock_timeout = %d;"
                               " set local idle_in_transaction_session_timeout = %d" PLANS "%s",
                               db->busy_ms, db->reply_ms,
                               db->waits_for_disk ? "" : "; set local synchronous_commit = on");
}

static int read_look(struct db_postgres *db, const struct db_stmt *stmt, bool create, struct err *err)
{
    const char *schema = db_text(stmt, 0);
    bool has_store = db_int(stmt, 1), has_tables = db_int(stmt, 2);
    db->waits_for_disk = !db_int(stmt, 3);
    postgres_set_begin(db);
    if (!schema[0])
        return err_set(err, ERR_STORE,
                       "%s: the role has no schema to work in: `create schema sluice authorization ROLE` and"
                       " `alter role ROLE set search_path = sluice`",
                       db->name);
    if (!has_store && !create)
        return err_set(err, ERR_NOT_FOUND,
                       "there is no store in schema %s of %s: make one with `sluice init`", schema, db->name);
    if (!has_store && has_tables)
        return err_set(
            err, ERR_STORE,
            "schema %s of %s has the tables of another program: give sluice a schema of its own"
            " (`create schema sluice authorization ROLE`, `alter role ROLE set search_path = sluice`)",
            schema, db->name);
    return 0;
}

static int look(struct db_postgres *db, bool create, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(&db->base, look_sql, DB_NO_ARGS, &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    return rc > 0 ? read_look(db, stmt, create, err) : rc;
}

int db_postgres_open(const char *url, bool create, struct db **ret, struct err *err)
{
    struct db_postgres *db = mem_alloc(sizeof(*db));
    db->base.driver = &db_postgres_driver;
    db->busy_ms = DB_BUSY_MS;
    db->reply_ms = DB_REPLY_MS;
    int rc = parse_url(db, url, err);
    if (rc == 0)
        rc = look(db, create, err);
    if (rc < 0) {
        db_close(&db->base);
        return rc;
    }
    *ret = &db->base;
    return 0;
}
