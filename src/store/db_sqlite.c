/*
 * SQLite: one file, WAL, synchronous=FULL. What commit has acknowledged survives a power cut; several
 * processes may use the file at once, one of them writes at a time.
 */
#include <sqlite3.h>
#include <string.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/db_rows.h"
#include "store/db_sqlite.h"

struct sqlite_stmt {
    sqlite3_stmt *handle;
    int param_at[DB_PARAMS_MAX + 1]; /* SQLite numbers "$7" by first appearance, not by its name */
};

static const struct db_word words[] = {
    {"serial", "integer primary key"},
    {"key", "text"},
    {"blob", "blob"},
    {"lock", ""},
    {"share", ""},
    {"take", ""},
    {NULL, NULL},
};

/* ---- errors ---- */

static int is_refusal(int extended)
{
    return extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY ||
           extended == SQLITE_CONSTRAINT_ROWID;
}

static int constraint_error(const struct db_sqlite *db, int extended, struct err *err)
{
    int code = is_refusal(extended) ? ERR_EXISTS : ERR_INVALID;
    return err_set(err, code, "%s", sqlite3_errmsg(db->handle));
}

static int damage_error(const struct db_sqlite *db, int primary, struct err *err)
{
    return err_set(
        err, ERR_STORE,
        "%s %s (%s); it was not recreated: stop the workers, keep a copy of the file, and restore a "
        "backup or try `sqlite3 %s .recover`",
        db->path, primary == SQLITE_NOTADB ? "is not a sluice store" : "is damaged",
        sqlite3_errmsg(db->handle), db->path);
}

/* After a failed sync the kernel may have dropped what it could not write and say the next time that all is
 * well. So nothing more is done through this handle: whoever opens the store anew recovers it from its log.
 */
static int broken_error(const struct db_sqlite *db, struct err *err)
{
    return err_set(err, ERR_STORE, "writing %s failed earlier: check the disk, then start again", db->path);
}

static bool is_sync_failure(int rc)
{
    return rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC;
}

int db_sqlite_error(struct db_sqlite *db, int rc, struct err *err)
{
    db->is_broken = db->is_broken || is_sync_failure(rc);
    const char *path = db->path;
    const char *text = sqlite3_errmsg(db->handle);
    switch (rc & 0xff) {
    case SQLITE_CONSTRAINT:
        return constraint_error(db, rc, err);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(
            err, ERR_BUSY,
            "%s was locked by another process for %d ms: try again, or see who holds it (fuser %s)", path,
            db->busy_wait_ms, path);
    case SQLITE_FULL:
        return err_set(err, ERR_STORE,
                       "no room to write %s (%s): free some disk space and try again; nothing of this change "
                       "was kept",
                       path, text);
    case SQLITE_IOERR:
        return err_set(err, ERR_STORE,
                       "reading or writing %s failed (%s, errno %d): check the disk and the kernel's log; "
                       "nothing of this change was acknowledged",
                       path, text, sqlite3_system_errno(db->handle));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return damage_error(db, rc & 0xff, err);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
        return err_set(err, ERR_STORE,
                       "%s cannot be written (%s): check owner and permissions of the file and its directory",
                       path, text);
    default:
        return err_set(err, ERR_STORE, "%s: %s", path, text);
    }
}

/* ---- statements ---- */

static struct db_sqlite *self(struct db *db)
{
    return (struct db_sqlite *)db;
}

static void find_params(struct sqlite_stmt *stmt)
{
    for (int i = 1; i <= DB_PARAMS_MAX; i++) {
        char name[8];
        sqlite3_snprintf(sizeof(name), name, "$%d", i);
        stmt->param_at[i] = sqlite3_bind_parameter_index(stmt->handle, name);
    }
}

static int prepare(struct db *db, const char *sql, void **ret, struct err *err)
{
    sqlite3_stmt *handle = NULL;
    int rc = sqlite3_prepare_v3(self(db)->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, NULL);
    if (rc != SQLITE_OK)
        return db_sqlite_error(self(db), rc, err);
    struct sqlite_stmt *stmt = mem_alloc(sizeof(*stmt));
    stmt->handle = handle;
    find_params(stmt);
    *ret = stmt;
    return 0;
}

static void finish(void *prepared)
{
    struct sqlite_stmt *stmt = prepared;
    sqlite3_finalize(stmt->handle);
    mem_free(stmt);
}

static int bind_value(sqlite3_stmt *handle, int at, const struct db_value *value)
{
    switch (value->type) {
    case DB_INT:
        return sqlite3_bind_int64(handle, at, value->number);
    case DB_TEXT:
        return sqlite3_bind_text(handle, at, value->data, -1, SQLITE_TRANSIENT);
    case DB_BLOB:
        return sqlite3_bind_blob64(handle, at, value->data, value->len, SQLITE_TRANSIENT);
    case DB_NULL:
    default:
        return sqlite3_bind_null(handle, at);
    }
}

static int bind(struct db *db, void *prepared, const struct db_value *args, size_t count, struct err *err)
{
    struct sqlite_stmt *stmt = prepared;
    if (self(db)->is_broken)
        return broken_error(self(db), err);
    if ((int)count != sqlite3_bind_parameter_count(stmt->handle))
        return err_set(err, ERR_INTERNAL, "%zu values for a statement of %d parameters: %s", count,
                       sqlite3_bind_parameter_count(stmt->handle), sqlite3_sql(stmt->handle));
    for (size_t i = 0; i < count; i++) {
        int rc = bind_value(stmt->handle, stmt->param_at[i + 1], &args[i]);
        if (rc != SQLITE_OK)
            return db_sqlite_error(self(db), rc, err);
    }
    return 0;
}

/* Rows go one by one, so they are nothing but parameters. */
static void build_rows(const struct db_columns *columns, struct buf *sql)
{
    if (columns->place == DB_ROWS_OVER)
        buf_puts(sql, "from");
}

static void build_row_value(const char *name, size_t len, uint32_t at, struct buf *sql)
{
    (void)name;
    (void)len;
    buf_printf(sql, "$%u", at);
}

static int step(struct db *db, void *prepared, struct err *err)
{
    struct sqlite_stmt *stmt = prepared;
    int rc = sqlite3_step(stmt->handle);
    if (rc == SQLITE_ROW)
        return 1;
    return rc == SQLITE_DONE ? 0 : db_sqlite_error(self(db), rc, err);
}

static void reset(void *prepared)
{
    struct sqlite_stmt *stmt = prepared;
    sqlite3_reset(stmt->handle);
    sqlite3_clear_bindings(stmt->handle); /* sealed values do not linger */
}

static int64_t column_int(void *prepared, int column)
{
    return sqlite3_column_int64(((struct sqlite_stmt *)prepared)->handle, column);
}

static const char *column_text(void *prepared, int column)
{
    return (const char *)sqlite3_column_text(((struct sqlite_stmt *)prepared)->handle, column);
}

static const void *column_blob(void *prepared, int column, size_t *ret_len)
{
    sqlite3_stmt *handle = ((struct sqlite_stmt *)prepared)->handle;
    const void *data = sqlite3_column_blob(handle, column);
    *ret_len = data ? (size_t)sqlite3_column_bytes(handle, column) : 0;
    return data;
}

static int changes(struct db *db)
{
    return sqlite3_changes(self(db)->handle);
}

static int script(struct db *db, const char *sql, struct err *err)
{
    int rc = sqlite3_exec(self(db)->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : db_sqlite_error(self(db), rc, err);
}

static bool in_transaction(const struct db *db)
{
    return sqlite3_get_autocommit(((const struct db_sqlite *)db)->handle) == 0;
}

/* ---- transactions ---- */

static int run_plain(struct db *db, const char *sql, struct err *err)
{
    int rc = db_run(db, sql, DB_NO_ARGS, err);
    return rc < 0 ? rc : 0;
}

/* Waits for the lock where a transaction begins, so that none fails half way for want of it. */
static int control(struct db *db, enum db_verb verb, struct err *err)
{
    static const char *const texts[] = {[DB_BEGIN] = "begin immediate",
                                        [DB_COMMIT] = "commit",
                                        [DB_ROLLBACK] = "rollback",
                                        [DB_SAVEPOINT] = "savepoint step",
                                        [DB_RELEASE] = "release savepoint step",
                                        [DB_UNDO] = "rollback to savepoint step"};
    int rc = run_plain(db, texts[verb], err);
    return rc == 0 && verb == DB_UNDO ? run_plain(db, texts[DB_RELEASE], err) : rc;
}

static void set_wait(struct db *db, int busy_ms, int reply_ms)
{
    (void)reply_ms; /* there is no server */
    if (busy_ms == 0)
        return;
    self(db)->busy_wait_ms = busy_ms;
    sqlite3_busy_timeout(self(db)->handle, busy_ms);
}

/* A transaction that has begun has the whole file. */
static int lock_schema(struct db *db, struct err *err)
{
    (void)db;
    (void)err;
    return 0;
}

/* now_ms() belongs to the connection. */
static void build_functions(struct buf *sql)
{
    (void)sql;
}

/* ---- verify ---- */

static int check_rows(struct db *db, const char *sql, int column, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(db, sql, DB_NO_ARGS, &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc <= 0)
        return rc;
    const char *text = db_text(stmt, column);
    if (strcmp(text, "ok") == 0)
        return 0;
    return err_set(
        err, ERR_STORE,
        "%s is damaged (%s); it was not changed: stop the workers, keep a copy and restore a backup",
        self(db)->path, text);
}

static int verify(struct db *db, struct err *err)
{
    int rc = check_rows(db, "pragma integrity_check(1)", 0, err);
    if (rc == 0)
        rc = check_rows(
            db, "select 'a row of ' || \"table\" || ' points nowhere' from pragma_foreign_key_check", 0, err);
    return rc;
}

/* ---- the connection ---- */

static void close_db(struct db *base)
{
    struct db_sqlite *db = self(base);
    sqlite3_close(db->handle);
    mem_free(db->path);
    mem_free(db);
}

const struct db_driver db_sqlite_driver = {
    .name = "sqlite",
    .words = words,
    .prepare = prepare,
    .finish = finish,
    .bind = bind,
    .build_rows = build_rows,
    .build_row_value = build_row_value,
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
    .build_guards = db_sqlite_build_guards,
    .build_views = db_sqlite_build_views,
    .verify = verify,
    .close = close_db,
};
