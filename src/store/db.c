#include "store/db.h"

#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "store/db_rows.h"

enum { SQL_LEN_MAX = 65536 };

struct db_stmt {
    struct db *db;
    const char *sql; /* the constant it was made of */
    void *prepared;
    bool is_busy;
    bool is_cached;
    struct db_columns columns;
    int changes;
    /* where rows go one by one */
    const struct db_rows *rows;
    uint32_t row;
    struct db_value args[DB_ROWS_ARGS_MAX]; /* the same for all rows */
    size_t arg_count;
};

struct db_value db_text_value(const char *text)
{
    return (struct db_value){.type = text ? DB_TEXT : DB_NULL, .data = text};
}

struct db_value db_blob_value(const void *data, size_t len)
{
    return (struct db_value){.type = len > 0 ? DB_BLOB : DB_NULL, .data = data, .len = len};
}

/* ---- words ---- */

static const char *word_text(const struct db *db, const char *name, size_t len)
{
    for (const struct db_word *word = db->driver->words; word->word; word++)
        if (strlen(word->word) == len && memcmp(word->word, name, len) == 0)
            return word->text;
    return NULL;
}

/* They are used before they are declared. */
static void find_columns(const char *sql, struct db_columns *ret)
{
    *ret = (struct db_columns){.count = 0};
    for (const char *at = sql; (at = strchr(at, '{')); at++) {
        const char *end = strchr(at, '}');
        if (end && db_columns_parse(at + 1, (size_t)(end - at - 1), ret))
            break;
    }
}

static bool replace_word(const struct db *db, const char *word, size_t len, const struct db_columns *columns,
                         struct buf *ret)
{
    const char *text = word_text(db, word, len);
    struct db_columns found;
    if (text)
        return buf_puts(ret, text);
    if (db_columns_parse(word, len, &found)) {
        db->driver->build_rows(&found, ret);
        return true;
    }
    uint32_t at = db_columns_find(columns, word, len);
    if (at > 0)
        db->driver->build_row_value(word, len, at, ret);
    return at > 0;
}

/* Text in braces that is no word stays as it is. */
static void replace_words(const struct db *db, const char *sql, const struct db_columns *columns,
                          struct buf *ret)
{
    for (const char *at = sql; *at; at++) {
        const char *end = *at == '{' ? strchr(at, '}') : NULL;
        if (end && replace_word(db, at + 1, (size_t)(end - at - 1), columns, ret))
            at = end;
        else
            buf_putc(ret, *at);
    }
}

static int expand(const struct db *db, const char *sql, struct db_columns *ret_columns, struct buf *ret,
                  struct err *err)
{
    buf_init(ret, SQL_LEN_MAX);
    find_columns(sql, ret_columns);
    replace_words(db, sql, ret_columns, ret);
    return ret->overflowed ? err_set(err, ERR_INTERNAL, "a statement is too long") : 0;
}

/* ---- statements ---- */

static struct db_stmt **cache_slot(struct db *db, const char *sql)
{
    size_t at = ((uintptr_t)sql >> 3) * 2654435761u % DB_CACHE_SIZE;
    for (size_t n = 0; n < 8; n++) {
        struct db_stmt **slot = &db->cache[(at + n) % DB_CACHE_SIZE];
        if (!*slot || (*slot)->sql == sql)
            return slot;
    }
    return NULL;
}

static int prepare(struct db *db, const char *sql, struct db_stmt **ret, struct err *err)
{
    AUTO_BUF struct buf text;
    struct db_columns columns;
    int rc = expand(db, sql, &columns, &text, err);
    void *prepared = NULL;
    if (rc == 0)
        rc = db->driver->prepare(db, text.data, &prepared, err);
    if (rc < 0)
        return rc;
    struct db_stmt *stmt = mem_alloc(sizeof(*stmt));
    *stmt = (struct db_stmt){.db = db, .sql = sql, .prepared = prepared, .columns = columns};
    *ret = stmt;
    return 0;
}

static void stmt_free(struct db_stmt *stmt)
{
    if (!stmt)
        return;
    stmt->db->driver->finish(stmt->prepared);
    mem_free(stmt);
}

/* A statement that is still being read from (a callback asks the same again) gets a twin. */
static int get_stmt(struct db *db, const char *sql, struct db_stmt **ret, struct err *err)
{
    struct db_stmt **slot = cache_slot(db, sql);
    if (slot && *slot && !(*slot)->is_busy) {
        *ret = *slot;
        return 0;
    }
    int rc = prepare(db, sql, ret, err);
    if (rc == 0 && slot && !*slot) {
        *slot = *ret;
        (*ret)->is_cached = true;
    }
    return rc;
}

static int keep_or_end(struct db_stmt *stmt, int rc, struct db_stmt **ret)
{
    if (rc < 0)
        db_end(stmt);
    else
        *ret = stmt;
    return rc;
}

int db_query(struct db *db, const char *sql, const struct db_value *args, size_t count, struct db_stmt **ret,
             struct err *err)
{
    struct db_stmt *stmt;
    *ret = NULL;
    int rc = get_stmt(db, sql, &stmt, err);
    if (rc < 0)
        return rc;
    stmt->is_busy = true;
    return keep_or_end(stmt, db->driver->bind(db, stmt->prepared, args, count, err), ret);
}

/* One row of several, with the values that all rows share behind it. */
static int bind_row(struct db_stmt *stmt, struct err *err)
{
    struct db_value values[DB_PARAMS_MAX];
    size_t columns = stmt->columns.count;
    memcpy(values, &stmt->rows->values[stmt->row * columns], columns * sizeof(values[0]));
    memcpy(values + columns, stmt->args, stmt->arg_count * sizeof(values[0]));
    return stmt->db->driver->bind(stmt->db, stmt->prepared, values, columns + stmt->arg_count, err);
}

static int bind_rows(struct db_stmt *stmt, const struct db_rows *rows, const struct db_value *args,
                     size_t count, struct err *err)
{
    const struct db_driver *driver = stmt->db->driver;
    if (count > DB_ROWS_ARGS_MAX || stmt->columns.count + count > DB_PARAMS_MAX)
        return err_set(err, ERR_INTERNAL, "%zu values beside rows", count);
    if (driver->bind_rows)
        return driver->bind_rows(stmt->db, stmt->prepared, &stmt->columns, rows, args, count, err);
    stmt->rows = rows;
    stmt->row = 0;
    stmt->arg_count = count;
    if (count > 0)
        memcpy(stmt->args, args, count * sizeof(args[0]));
    return bind_row(stmt, err);
}

int db_query_rows(struct db *db, const char *sql, const struct db_rows *rows, const struct db_value *args,
                  size_t count, struct db_stmt **ret, struct err *err)
{
    struct db_stmt *stmt;
    *ret = NULL;
    int rc = rows->count > 0 ? get_stmt(db, sql, &stmt, err) : 0;
    if (rc < 0 || rows->count == 0)
        return rc;
    stmt->is_busy = true;
    stmt->changes = 0;
    return keep_or_end(stmt, bind_rows(stmt, rows, args, count, err), ret);
}

static int next_row(struct db_stmt *stmt, struct err *err)
{
    const struct db_driver *driver = stmt->db->driver;
    int rc;
    while ((rc = driver->step(stmt->db, stmt->prepared, err)) == 0) {
        stmt->changes += driver->changes(stmt->db);
        if (++stmt->row >= stmt->rows->count)
            break;
        driver->reset(stmt->prepared);
        rc = bind_row(stmt, err);
        if (rc < 0)
            break;
    }
    return rc;
}

int db_next(struct db_stmt *stmt, struct err *err)
{
    if (!stmt)
        return 0;
    return stmt->rows ? next_row(stmt, err) : stmt->db->driver->step(stmt->db, stmt->prepared, err);
}

int db_changes(const struct db_stmt *stmt)
{
    if (!stmt)
        return 0;
    return stmt->rows ? stmt->changes : stmt->db->driver->changes(stmt->db);
}

void db_end(struct db_stmt *stmt)
{
    if (!stmt)
        return;
    stmt->db->driver->reset(stmt->prepared);
    stmt->is_busy = false;
    stmt->rows = NULL;
    if (!stmt->is_cached)
        stmt_free(stmt);
}

void db_end_at(struct db_stmt **stmt)
{
    db_end(*stmt);
}

int64_t db_int(const struct db_stmt *stmt, int column)
{
    return stmt->db->driver->column_int(stmt->prepared, column);
}

const char *db_text(const struct db_stmt *stmt, int column)
{
    const char *text = stmt->db->driver->column_text(stmt->prepared, column);
    return text ? text : "";
}

const void *db_blob(const struct db_stmt *stmt, int column, size_t *ret_len)
{
    return stmt->db->driver->column_blob(stmt->prepared, column, ret_len);
}

int db_run(struct db *db, const char *sql, const struct db_value *args, size_t count, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(db, sql, args, count, &stmt, err);
    if (rc < 0)
        return rc;
    do
        rc = db_next(stmt, err);
    while (rc > 0);
    return rc < 0 ? rc : db_changes(stmt);
}

int db_number(struct db *db, const char *sql, const struct db_value *args, size_t count, int64_t *ret,
              struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(db, sql, args, count, &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc > 0)
        *ret = db_int(stmt, 0);
    return rc;
}

int db_script(struct db *db, const char *sql, struct err *err)
{
    AUTO_BUF struct buf text;
    struct db_columns none;
    int rc = expand(db, sql, &none, &text, err);
    return rc < 0 ? rc : db->driver->script(db, text.data, err);
}

/* ---- transactions ---- */

int db_begin(struct db *db, struct err *err)
{
    return db->driver->control(db, DB_BEGIN, err);
}

int db_commit(struct db *db, struct err *err)
{
    return db->driver->control(db, DB_COMMIT, err);
}

void db_rollback(struct db *db)
{
    struct err ignored; /* what cannot be rolled back now is when the connection closes */
    if (db_in_transaction(db) && db->driver->control(db, DB_ROLLBACK, &ignored) < 0)
        return;
}

int db_savepoint(struct db *db, struct err *err)
{
    return db->driver->control(db, DB_SAVEPOINT, err);
}

int db_release(struct db *db, struct err *err)
{
    return db->driver->control(db, DB_RELEASE, err);
}

int db_undo(struct db *db, struct err *err)
{
    return db->driver->control(db, DB_UNDO, err);
}

bool db_in_transaction(const struct db *db)
{
    return db->driver->in_transaction(db);
}

bool db_was_conflict(const struct db *db)
{
    return db->was_conflict;
}

void db_set_long(struct db *db, bool is_long)
{
    db->driver->set_wait(db, 0, is_long ? DB_LONG_MS : DB_REPLY_MS);
}

void db_close(struct db *db)
{
    if (!db)
        return;
    for (size_t i = 0; i < DB_CACHE_SIZE; i++)
        stmt_free(db->cache[i]);
    db->driver->close(db);
}
