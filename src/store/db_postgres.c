/*
 * Postgres: statements go out with their values and come back whole. Any number of processes write at once;
 * what they read before they write they lock.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/parse.h"
#include "store/db_postgres.h"

enum { NUMBER_SIZE = 24 };

struct postgres_stmt {
    char *sql;
    struct postgres_name name;
    PGresult *result; /* NULL: not run */
    int row;          /* -1: before the first */
};

static const struct db_word words[] = {
    {"serial", "bigint primary key generated always as identity"},
    {"key", "text collate \"C\""},
    {"blob", "bytea"},
    {"lock", "for no key update"},
    {"share", "for share"},
    {"take", "for no key update skip locked"},
    {NULL, NULL},
};

static struct db_postgres *self(struct db *db)
{
    return (struct db_postgres *)db;
}

/* ---- statements ---- */

static int prepare(struct db *db, const char *sql, void **ret, struct err *err)
{
    (void)db;
    (void)err;
    struct postgres_stmt *stmt = mem_alloc(sizeof(*stmt));
    stmt->sql = mem_dup(sql);
    *ret = stmt;
    return 0;
}

static void reset(void *prepared)
{
    struct postgres_stmt *stmt = prepared;
    PQclear(stmt->result);
    stmt->result = NULL;
}

static void finish(void *prepared)
{
    struct postgres_stmt *stmt = prepared;
    reset(stmt);
    mem_free(stmt->sql);
    mem_free(stmt);
}

/* A statement's values as libpq wants them: numbers as text, bytes as they are. */
struct params {
    Oid types[DB_PARAMS_MAX];
    const char *values[DB_PARAMS_MAX];
    int lengths[DB_PARAMS_MAX], formats[DB_PARAMS_MAX];
    char numbers[DB_PARAMS_MAX][NUMBER_SIZE];
};

static void set_param(struct params *params, size_t at, const struct db_value *value)
{
    static const Oid types[] = {
        [DB_NULL] = 0, [DB_INT] = OID_INT8, [DB_TEXT] = OID_TEXT, [DB_BLOB] = OID_BYTEA};
    params->types[at] = types[value->type];
    params->values[at] = value->type == DB_NULL ? NULL : value->data;
    params->lengths[at] = (int)value->len;
    params->formats[at] = value->type == DB_BLOB;
    if (value->type == DB_INT) {
        snprintf(params->numbers[at], NUMBER_SIZE, "%" PRId64, value->number);
        params->values[at] = params->numbers[at];
    }
}

static int run(struct db_postgres *db, struct postgres_stmt *stmt, struct postgres_query *query,
               struct err *err)
{
    int rc = postgres_name(db, &stmt->name, query, err);
    if (rc == 0)
        rc = postgres_exec(db, query, &stmt->result, err);
    uint64_t changed = 0;
    if (rc == 0 && !parse_u64(PQcmdTuples(stmt->result), &changed))
        changed = 0;
    db->changed = (int)changed;
    stmt->row = -1;
    return rc;
}

/* The statement is run here: the values live no longer than the call. */
static int bind(struct db *db, void *prepared, const struct db_value *args, size_t count, struct err *err)
{
    struct postgres_stmt *stmt = prepared;
    struct params params;
    if (count > DB_PARAMS_MAX)
        return err_set(err, ERR_INTERNAL, "%zu values for a statement", count);
    for (size_t i = 0; i < count; i++)
        set_param(&params, i, &args[i]);
    struct postgres_query query = {.sql = stmt->sql,
                                   .count = (int)count,
                                   .types = params.types,
                                   .values = params.values,
                                   .lengths = params.lengths,
                                   .formats = params.formats};
    return run(self(db), stmt, &query, err);
}

static int bind_rows(struct db *db, void *prepared, const struct db_columns *columns,
                     const struct db_rows *rows, const struct db_value *args, size_t count, struct err *err)
{
    struct postgres_stmt *stmt = prepared;
    struct params params;
    AUTO_BUF struct buf arrays;
    postgres_build_arrays(columns, rows, &arrays, params.types, params.values, params.lengths);
    if (arrays.overflowed)
        return err_set(err, ERR_INTERNAL, "%u rows are too many at once", rows->count);
    for (uint32_t i = 0; i < columns->count; i++)
        params.formats[i] = 1;
    for (size_t i = 0; i < count; i++)
        set_param(&params, columns->count + i, &args[i]);
    struct postgres_query query = {.sql = stmt->sql,
                                   .count = (int)(columns->count + count),
                                   .types = params.types,
                                   .values = params.values,
                                   .lengths = params.lengths,
                                   .formats = params.formats};
    return run(self(db), stmt, &query, err);
}

static int step(struct db *db, void *prepared, struct err *err)
{
    (void)db;
    (void)err;
    struct postgres_stmt *stmt = prepared;
    return ++stmt->row < PQntuples(stmt->result);
}

/* ---- columns: in Postgres's binary form, numbers by their width ---- */

static int64_t read_big_endian(const unsigned char *data, int len)
{
    uint64_t ret = len > 0 && (data[0] & 0x80) && len > 1 ? UINT64_MAX : 0;
    for (int i = 0; i < len; i++)
        ret = ret << 8 | data[i];
    return (int64_t)ret;
}

static int64_t column_int(void *prepared, int column)
{
    struct postgres_stmt *stmt = prepared;
    int len = PQgetlength(stmt->result, stmt->row, column);
    return len <= 8 ? read_big_endian((void *)PQgetvalue(stmt->result, stmt->row, column), len) : 0;
}

static const char *column_text(void *prepared, int column)
{
    struct postgres_stmt *stmt = prepared;
    return PQgetvalue(stmt->result, stmt->row, column);
}

static const void *column_blob(void *prepared, int column, size_t *ret_len)
{
    struct postgres_stmt *stmt = prepared;
    *ret_len = (size_t)PQgetlength(stmt->result, stmt->row, column);
    return *ret_len > 0 ? PQgetvalue(stmt->result, stmt->row, column) : NULL;
}

static int changes(struct db *db)
{
    return self(db)->changed;
}

static int script(struct db *db, const char *sql, struct err *err)
{
    return postgres_exec_text(self(db), sql, err);
}

/* ---- transactions ---- */

static bool in_transaction(const struct db *db)
{
    return ((const struct db_postgres *)db)->has_begun;
}

/* A transaction that was lost with its connection is over on the server. */
static int roll_back(struct db_postgres *db, struct err *err)
{
    db->has_begun = false;
    return db->conn ? postgres_exec_text(db, "rollback", err) : 0;
}

static int begin(struct db_postgres *db, struct err *err)
{
    db->base.was_conflict = false; /* what comes is another transaction */
    db->mark = (struct postgres_mark){.xid = ""};
    int rc = postgres_exec_text(db, db->begin_sql, err);
    db->has_begun = rc == 0;
    if (rc < 0) /* it may have begun half way */
        postgres_disconnect(db);
    return rc;
}

static int control(struct db *base, enum db_verb verb, struct err *err)
{
    struct db_postgres *db = self(base);
    switch (verb) {
    case DB_BEGIN:
        return begin(db, err);
    case DB_COMMIT:
        return postgres_commit(db, err);
    case DB_ROLLBACK:
        return roll_back(db, err);
    case DB_SAVEPOINT:
        return postgres_exec_text(db, "savepoint step", err);
    case DB_RELEASE:
        return postgres_release(db, err);
    case DB_UNDO:
        return postgres_exec_text(db, "rollback to savepoint step; release savepoint step", err);
    }
    return ERR_INTERNAL;
}

static void set_wait(struct db *db, int busy_ms, int reply_ms)
{
    self(db)->busy_ms = busy_ms ? busy_ms : self(db)->busy_ms;
    self(db)->reply_ms = reply_ms ? reply_ms : self(db)->reply_ms;
    postgres_set_begin(self(db));
}

/* ---- schema ---- */

/* Of the transaction, not of the session. */
static int lock_schema(struct db *db, struct err *err)
{
    int64_t ignored;
    int rc = db_number(db,
                       "select 1 from (select pg_advisory_xact_lock(1936485731, ("
                       " select oid::bigint % 2147483647 from pg_catalog.pg_namespace"
                       "  where nspname = current_schema())::int)) as locked",
                       DB_NO_ARGS, &ignored, err);
    return rc < 0 ? rc : 0;
}

/* The moment at which the statement came, not that at which the transaction began: in a group commit that may
 * be long past, and a lease would be shorter than its worker was told. It stays the same within a statement,
 * so that an index can be searched with it. */
static void build_functions(struct buf *sql)
{
    buf_puts(sql, "create function now_ms() returns bigint language sql stable parallel safe as"
                  " 'select trunc(extract(epoch from statement_timestamp()) * 1000)::bigint';");
}

/* The server looks after its pages itself. */
static int verify(struct db *db, struct err *err)
{
    (void)db;
    (void)err;
    return 0;
}

static void close_db(struct db *base)
{
    struct db_postgres *db = self(base);
    postgres_disconnect(db);
    PQconninfoFree(db->options);
    mem_free(db->name);
    mem_free(db->begin_sql);
    mem_free(db);
}

const struct db_driver db_postgres_driver = {
    .name = "postgres",
    .has_many_writers = true,
    .words = words,
    .prepare = prepare,
    .finish = finish,
    .bind = bind,
    .bind_rows = bind_rows,
    .build_rows = postgres_build_rows,
    .build_row_value = postgres_build_row_value,
    .step = step,
    .reset = reset,
    .column_int = column_int,
    .column_text = column_text,
    .column_blob = column_blob,
    .changes = changes,
    .script = script,
    .in_transaction = in_transaction,
    .control = control,
    .set_wait = set_wait,
    .lock_schema = lock_schema,
    .build_functions = build_functions,
    .build_guards = db_postgres_build_guards,
    .build_views = db_postgres_build_views,
    .verify = verify,
    .close = close_db,
};
