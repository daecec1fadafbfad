/*
 * A database connection and its driver: what the store's shared SQL stands on.
 *
 * Shared SQL has `$1`-style parameters, now_ms() for the database's clock, RETURNING and ON CONFLICT as
 * SQLite and Postgres both know them. Where the two must differ, the SQL says a word in braces and the driver
 * gives its text for it:
 * - {serial}: type of an id that the database hands out; {key}: text compared byte by byte; {blob}: bytes;
 * - at the end of a SELECT: {lock}: lock the rows; {share}: keep others from changing them; {take}: lock the
 *   rows, pass over those that are locked already. SQLite needs none of it: one process writes at a time;
 * - {from rows …}, {join rows …}, {over rows …}, {r.…}: many rows of values at once (db_rows.h).
 *
 * SQL texts are string constants: a prepared statement is kept under the text's address. Values are bound,
 * never put into the text.
 *
 * A connection belongs to one thread. One that was lost is made anew by the next statement that does not
 * belong to a transaction; a transaction that it was lost in only takes a rollback. Errors are those of
 * store.h; besides, a unique constraint gives ERR_EXISTS, a refusal by a trigger or another constraint gives
 * ERR_INVALID.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf;
struct db;
struct db_columns;
struct db_rows;
struct db_stmt;

#define DB_PARAMS_MAX 32
#define DB_BUSY_MS    5000    /* how long a lock of another process is waited for */
#define DB_REPLY_MS   15000   /* how long a server's answer to a statement is waited for … */
#define DB_LONG_MS    1800000 /* … and where whole tables are walked: migrations, verification */

/* ---- values ---- */

struct db_value {
    enum { DB_NULL, DB_INT, DB_TEXT, DB_BLOB } type;
    int64_t number;
    const void *data; /* lives as long as the call */
    size_t len;       /* DB_BLOB */
};

#define DB_I(v)    ((struct db_value){.type = DB_INT, .number = (int64_t)(v)})
#define DB_T(v)    db_text_value(v)        /* NULL gives NULL */
#define DB_B(v, n) db_blob_value((v), (n)) /* no bytes give NULL */
#define DB_ARGS(...)                                                                                         \
    ((const struct db_value[]){__VA_ARGS__}), ARRAY_LEN(((const struct db_value[]){__VA_ARGS__}))
#define DB_NO_ARGS NULL, 0

struct db_value db_text_value(const char *text);
struct db_value db_blob_value(const void *data, size_t len);

/* ---- statements ---- */

/* Starts a statement. End it with db_end(), also after an error of db_next(). */
int db_query(struct db *db, const char *sql, const struct db_value *args, size_t count, struct db_stmt **ret,
             struct err *err) MUST_CHECK;
/* 1: a row is there; 0: no more, also where the statement is NULL; or an error. */
int db_next(struct db_stmt *stmt, struct err *err) MUST_CHECK;
void db_end(struct db_stmt *stmt); /* NULL is fine */
void db_end_at(struct db_stmt **stmt);
#define AUTO_STMT CLEANUP(db_end_at)

/* Columns of the present row, from 0. Texts live until the next db_next() or db_end(); NULL reads as "", 0.
 */
int64_t db_int(const struct db_stmt *stmt, int column);
const char *db_text(const struct db_stmt *stmt, int column);
const void *db_blob(const struct db_stmt *stmt, int column, size_t *ret_len);

/* Rows that were changed, once it has come to its end. */
int db_changes(const struct db_stmt *stmt);

/* Runs a statement to its end; returns the number of rows it changed, or an error. */
int db_run(struct db *db, const char *sql, const struct db_value *args, size_t count,
           struct err *err) MUST_CHECK;
/* The first row's first column as a number: 1 if there was a row, 0 if not (*ret untouched), or an error. */
int db_number(struct db *db, const char *sql, const struct db_value *args, size_t count, int64_t *ret,
              struct err *err) MUST_CHECK;
/* Several statements without parameters; words are replaced. */
int db_script(struct db *db, const char *sql, struct err *err) MUST_CHECK;

/* ---- transactions ---- */

int db_begin(struct db *db, struct err *err) MUST_CHECK; /* for writing: waits for the lock here */
int db_commit(struct db *db, struct err *err) MUST_CHECK;
void db_rollback(struct db *db);
int db_savepoint(struct db *db, struct err *err) MUST_CHECK; /* one level */
int db_release(struct db *db, struct err *err) MUST_CHECK;
int db_undo(struct db *db, struct err *err) MUST_CHECK; /* back to the savepoint, which is gone then */
bool db_in_transaction(const struct db *db);
/* Whether the last transaction failed because another was in its way, and may succeed the next time. */
bool db_was_conflict(const struct db *db);
/* From here on statements may take DB_LONG_MS, or again DB_REPLY_MS. */
void db_set_long(struct db *db, bool is_long);

void db_close(struct db *db); /* NULL is fine */

/* ---- drivers ---- */

struct db_word {
    const char *word; /* without braces */
    const char *text;
};

enum db_verb { DB_BEGIN, DB_COMMIT, DB_ROLLBACK, DB_SAVEPOINT, DB_RELEASE, DB_UNDO };

struct db_driver {
    const char *name;
    bool has_many_writers;       /* what was read may be changed by others unless it is locked */
    const struct db_word *words; /* ends with a NULL word */
    int (*prepare)(struct db *db, const char *sql, void **ret, struct err *err);
    void (*finish)(void *prepared);
    int (*bind)(struct db *db, void *prepared, const struct db_value *args, size_t count, struct err *err);
    /* All rows at once; NULL: one by one, by `bind`. */
    int (*bind_rows)(struct db *db, void *prepared, const struct db_columns *columns,
                     const struct db_rows *rows, const struct db_value *args, size_t count, struct err *err);
    /* The table `r` of a statement's rows, and a value of it: column `at`, from 1. */
    void (*build_rows)(const struct db_columns *columns, struct buf *sql);
    void (*build_row_value)(const char *name, size_t len, uint32_t at, struct buf *sql);
    int (*step)(struct db *db, void *prepared, struct err *err);
    void (*reset)(void *prepared);
    int64_t (*column_int)(void *prepared, int column);
    const char *(*column_text)(void *prepared, int column);
    const void *(*column_blob)(void *prepared, int column, size_t *ret_len);
    int (*changes)(struct db *db);
    int (*script)(struct db *db, const char *sql, struct err *err);
    bool (*in_transaction)(const struct db *db);
    int (*control)(struct db *db, enum db_verb verb, struct err *err);
    void (*set_wait)(struct db *db, int busy_ms, int reply_ms); /* 0: stays */
    /* Inside a transaction: nobody else changes the tables' make until its end. */
    int (*lock_schema)(struct db *db, struct err *err);
    /* What shared SQL needs before the first table is made (now_ms), as a script. */
    void (*build_functions)(struct buf *sql);
    /* Triggers that guard the lifecycle and the audit trail, in this engine's language. */
    void (*build_guards)(struct buf *sql);
    /* Views, and what else people and other programs find in the database. */
    void (*build_views)(struct buf *sql);
    int (*verify)(struct db *db, struct err *err);
    void (*close)(struct db *db);
};

enum { DB_CACHE_SIZE = 256 };

/* Drivers embed it as their first member. */
struct db {
    const struct db_driver *driver;
    int64_t (*now_ms)(void *ctx); /* what now_ms() says where the engine has no clock of its own */
    void *now_ctx;
    bool was_conflict;
    struct db_stmt *cache[DB_CACHE_SIZE];
};

/* `create`: make directory (0700) and file (0600) where missing. A missing file is else ERR_NOT_FOUND. */
int db_sqlite_open(const char *path, bool create, struct db **ret, struct err *err) MUST_CHECK;
void db_sqlite_build_guards(struct buf *sql);
void db_sqlite_build_views(struct buf *sql);

/* `url`: a postgres:// URL as libpq understands it. `create`: the tables may be missing, which is else
 * ERR_NOT_FOUND. */
int db_postgres_open(const char *url, bool create, struct db **ret, struct err *err) MUST_CHECK;
void db_postgres_build_guards(struct buf *sql);
void db_postgres_build_views(struct buf *sql);
void db_postgres_build_isolation(struct buf *sql);

#endif
