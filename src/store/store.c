#include "store/store.h"

#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "store/internal.h"
#include "store/schema.h"

enum { STEP_TRIES_MAX = 4 };

/* ---- open and close ---- */

static const char *sqlite_path(const char *url)
{
    const char prefix[] = "sqlite:";
    return text_starts_with(url, prefix) && url[sizeof(prefix) - 1] ? url + sizeof(prefix) - 1 : NULL;
}

/* A URL may hold a password: of one that is not understood only the beginning is told. */
static int unknown_url(const char *url, struct err *err)
{
    int len = (int)strcspn(url, ":/");
    return err_set(err, ERR_INVALID, "store = %.*s…: this sluice knows sqlite:PATH and postgres://…",
                   url[len] == ':' && len < 16 ? len : 0, url);
}

static int open_db(const char *url, enum store_mode mode, struct db **ret, struct err *err)
{
    const char *path = sqlite_path(url);
    if (path)
        return db_sqlite_open(path, mode == STORE_CREATE, ret, err);
    if (text_starts_with(url, "postgres://") || text_starts_with(url, "postgresql://"))
        return db_postgres_open(url, mode == STORE_CREATE, ret, err);
    return unknown_url(url, err);
}

int store_open(const char *url, enum store_mode mode, struct store **ret, struct err *err)
{
    struct db *db;
    int rc = open_db(url, mode, &db, err);
    if (rc < 0)
        return rc;
    if (mode == STORE_CREATE)
        rc = migrate(db, schema_migrations, schema_version, err);
    if (rc == 0)
        rc = migrate_check(db, schema_version, err);
    if (rc < 0) {
        db_close(db);
        return rc;
    }
    *ret = mem_alloc(sizeof(**ret));
    (*ret)->db = db;
    return 0;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    store_rollback(store);
    db_close(store->db);
    mem_free(store);
}

/* ---- groups ---- */

int store_begin(struct store *store, struct err *err)
{
    if (store->in_group)
        return err_set(err, ERR_INTERNAL, "a transaction has begun already");
    int rc = db_begin(store->db, err);
    if (rc == 0)
        store->in_group = true;
    return rc;
}

/* The engine may end a transaction by itself (disk full, I/O error); what comes after must not begin another.
 */
static bool group_is_lost(const struct store *store)
{
    return store->group_lost || !db_in_transaction(store->db);
}

static int lost_error(struct err *err)
{
    return err_set(err, ERR_STORE, "the transaction was lost to an earlier failure: nothing of it was kept");
}

int store_commit(struct store *store, struct err *err)
{
    if (!store->in_group)
        return err_set(err, ERR_INTERNAL, "no transaction has begun");
    int rc = group_is_lost(store) ? lost_error(err) : db_commit(store->db, err);
    if (rc == 0)
        store->in_group = false;
    else
        store_rollback(store);
    return rc;
}

void store_rollback(struct store *store)
{
    db_rollback(store->db);
    store->in_group = false;
    store->group_lost = false;
}

int store_end(struct store *store, int code, struct err *err)
{
    if (code == 0)
        return store_commit(store, err);
    store_rollback(store);
    return code;
}

/* ---- steps ---- */

int step_begin(struct store *store, struct err *err)
{
    if (!store->in_group)
        return db_begin(store->db, err);
    if (group_is_lost(store))
        return lost_error(err);
    return db_savepoint(store->db, err);
}

static int end_alone(struct store *store, int rc, struct err *err)
{
    if (rc == 0)
        rc = db_commit(store->db, err);
    if (rc != 0)
        db_rollback(store->db);
    return rc;
}

/* A savepoint that cannot be undone leaves half a step behind: the group must not be committed any more. */
static int end_in_group(struct store *store, int rc, struct err *err)
{
    struct err undo_err;
    if (rc == 0)
        rc = db_release(store->db, err);
    if (rc != 0 && db_undo(store->db, &undo_err) < 0)
        store->group_lost = true;
    return rc;
}

int step_end(struct store *store, int rc, struct err *err)
{
    rc = store->in_group ? end_in_group(store, rc, err) : end_alone(store, rc, err);
    return rc == STEP_UNDO ? 0 : rc;
}

/* A wait of its own length lets the other transaction come to its end. */
bool step_again(struct store *store, int rc, int *tries)
{
    if (rc != ERR_BUSY || store->in_group || !db_was_conflict(store->db) || ++*tries >= STEP_TRIES_MAX)
        return false;
    struct timespec span = {.tv_nsec = (long)(random_u64() % 20000000) * *tries};
    nanosleep(&span, NULL);
    return true;
}

bool store_was_conflict(const struct store *store)
{
    return db_was_conflict(store->db);
}

/* ---- small ones ---- */

void store_set_clock(struct store *store, int64_t (*now_ms)(void *ctx), void *ctx)
{
    store->db->now_ms = now_ms;
    store->db->now_ctx = ctx;
}

void store_set_busy_wait(struct store *store, int wait_ms)
{
    store->db->driver->set_wait(store->db, wait_ms, 4 * wait_ms);
}

int store_now(struct store *store, int64_t *ret_wall_ms, struct err *err)
{
    int rc = db_number(store->db, "select now_ms()", DB_NO_ARGS, ret_wall_ms, err);
    return rc < 0 ? rc : 0;
}

int copy_blob(const struct db_stmt *stmt, int column, struct blob *ret)
{
    size_t len;
    const void *data = db_blob(stmt, column, &len);
    *ret = (struct blob){0};
    if (!data || len == 0)
        return 0;
    void *copy = memcpy(mem_alloc(len), data, len);
    *ret = (struct blob){.data = copy, .len = len};
    return 1;
}
