/* A rotation of keys: who drives it, and the sealed rows that it goes through. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"
#include "store/internal.h"
#include "store/key.h"

/* ---- sealed rows ---- */

/* Statements are known by the address of their text: one each for every table. */
struct sealed_sql {
    bool has_number; /* the row's id */
    const char *list;
    const char *replace;
};

#define LIST(table, id, column)                                                                              \
    "select tenant_id, " id ", " column " from " table " where " id " > $1 and " column                      \
    " is not null order by " id " limit $2"
/* Whoever has the row just now is not waited for: the next walk comes by again. */
#define REPLACE(table, id, column, more)                                                                     \
    "update " table " set " column " = $2" more " where " id " = (select " id " from " table " where " id    \
    " = $1 and " column " = $3 {take})"

static const struct sealed_sql sealed_sql[] = {
    [SEALED_TOKEN] = {true, LIST("token", "channel_id", "sealed"),
                      REPLACE("token", "channel_id", "sealed", ", key_id = $4")},
    [SEALED_ACCESS] = {true, LIST("token", "channel_id", "access_sealed"),
                       REPLACE("token", "channel_id", "access_sealed", "")},
    [SEALED_CLIENT] = {true, LIST("client", "id", "secret_sealed"),
                       REPLACE("client", "id", "secret_sealed", "")},
    [SEALED_SESSION] = {false, LIST("upload", "job_id", "session_url"),
                        REPLACE("upload", "job_id", "session_url", "")},
};

static struct db_value row_id(enum sealed_table table, const char *row)
{
    int64_t number = 0;
    if (!sealed_sql[table].has_number)
        return DB_T(row);
    if (*row && !parse_i64(row, &number))
        number = -1;
    return DB_I(number);
}

static void read_row(const struct db_stmt *stmt, enum sealed_table table, struct sealed_row *ret)
{
    *ret = (struct sealed_row){.tenant_id = db_int(stmt, 0)};
    if (sealed_sql[table].has_number)
        snprintf(ret->row, sizeof(ret->row), "%" PRId64, db_int(stmt, 1));
    else
        copy_text(ret->row, db_text(stmt, 1));
    copy_blob(stmt, 2, &ret->sealed);
}

int store_sealed_list(struct store *store, enum sealed_table table, const char *after, uint32_t max,
                      struct sealed_row *ret, uint32_t *ret_count, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    *ret_count = 0;
    int rc =
        db_query(store->db, sealed_sql[table].list, DB_ARGS(row_id(table, after), DB_I(max)), &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        read_row(stmt, table, &ret[(*ret_count)++]);
        rc = 0;
    }
    return rc;
}

static int replace(struct store *store, enum sealed_table table, const struct sealed_row *row,
                   struct err *err)
{
    const struct db_value args[] = {row_id(table, row->row), DB_B(row->fresh.data, row->fresh.len),
                                    DB_B(row->sealed.data, row->sealed.len), DB_T(row->key_id)};
    return db_run(store->db, sealed_sql[table].replace, args, table == SEALED_TOKEN ? 4 : 3, err);
}

static int do_replace(struct store *store, enum sealed_table table, const struct sealed_row *rows,
                      uint32_t count, uint32_t *ret_done, struct err *err)
{
    int rc = 0;
    *ret_done = 0;
    for (uint32_t i = 0; i < count && rc >= 0; i++) {
        rc = rows[i].fresh.len ? replace(store, table, &rows[i], err) : 0;
        *ret_done += rc > 0;
    }
    return rc < 0 ? rc : 0;
}

int store_sealed_replace(struct store *store, enum sealed_table table, const struct sealed_row *rows,
                         uint32_t count, uint32_t *ret_done, struct err *err)
{
    return STEP(store, err, do_replace(store, table, rows, count, ret_done, err));
}

/* ---- rotations ---- */

#define SELECT_ROTATION                                                                                      \
    "select id, kind, from_key, owner, started_at_ms, seen_at_ms, ended_at_ms, resealed from key_rotation"

static int read_rotation(struct store *store, const char *sql, struct store_rotation *ret, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db, sql, DB_NO_ARGS, &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc <= 0)
        return rc == 0 ? ERR_NOT_FOUND : rc;
    *ret = (struct store_rotation){.id = db_int(stmt, 0),
                                   .started_at_ms = db_int(stmt, 4),
                                   .seen_at_ms = db_int(stmt, 5),
                                   .ended_at_ms = db_int(stmt, 6),
                                   .resealed = db_int(stmt, 7)};
    copy_text(ret->kind, db_text(stmt, 1));
    copy_text(ret->from, db_text(stmt, 2));
    copy_text(ret->owner, db_text(stmt, 3));
    return 0;
}

static int check_driver(struct store *store, const struct store_rotation *wanted,
                        const struct store_rotation *found, bool (*is_dead)(const char *owner),
                        struct err *err)
{
    int64_t now_ms;
    int rc = store_now(store, &now_ms, err);
    if (rc < 0)
        return rc;
    if (strcmp(found->kind, wanted->kind) != 0)
        return err_set(err, ERR_EXISTS, "a rotation of the %s has begun and must be ended first",
                       strcmp(found->kind, "root") == 0 ? "root key (`sluice key rotate --root`)"
                                                        : "data keys (`sluice key rotate`)");
    if (strcmp(found->owner, wanted->owner) != 0 && now_ms - found->seen_at_ms < ROTATION_SILENT_MS &&
        !(is_dead && is_dead(found->owner)))
        return err_set(err, ERR_BUSY, "keys are being rotated by %s; if that has died, try again in %d s",
                       found->owner, ROTATION_SILENT_MS / 1000);
    return 0;
}

static int take_over(struct store *store, const struct store_rotation *wanted, struct store_rotation *found,
                     struct err *err)
{
    int rc = db_run(store->db,
                    "update key_rotation set owner = $2, seen_at_ms = now_ms()"
                    " where id = $1 and owner = $3 and ended_at_ms = 0",
                    DB_ARGS(DB_I(found->id), DB_T(wanted->owner), DB_T(found->owner)), err);
    if (rc == 0)
        return err_set(err, ERR_BUSY, "keys are being rotated by another process");
    copy_text(found->owner, wanted->owner);
    return rc < 0 ? rc : 0;
}

static int do_rotation_begin(struct store *store, const struct store_rotation *wanted,
                             bool (*is_dead)(const char *owner), struct store_rotation *ret, struct err *err)
{
    static const char under_way[] = SELECT_ROTATION " where ended_at_ms = 0";
    int rc = db_run(store->db,
                    "insert into key_rotation (kind, from_key, owner, started_at_ms, seen_at_ms)"
                    " values ($1, $2, $3, now_ms(), now_ms()) on conflict do nothing",
                    DB_ARGS(DB_T(wanted->kind), DB_T(wanted->from), DB_T(wanted->owner)), err);
    bool is_new = rc > 0;
    if (rc >= 0)
        rc = read_rotation(store, under_way, ret, err);
    if (rc == ERR_NOT_FOUND)
        return err_set(err, ERR_BUSY, "another rotation of keys has just ended: try again");
    if (rc < 0 || is_new)
        return rc;
    rc = check_driver(store, wanted, ret, is_dead, err);
    return rc < 0 ? rc : take_over(store, wanted, ret, err);
}

int store_rotation_begin(struct store *store, const struct store_rotation *wanted,
                         bool (*is_dead)(const char *owner), struct store_rotation *ret, struct err *err)
{
    return STEP(store, err, do_rotation_begin(store, wanted, is_dead, ret, err));
}

static int do_seen(struct store *store, const struct store_rotation *rotation, int64_t ended, struct err *err)
{
    int rc = db_run(store->db,
                    "update key_rotation set seen_at_ms = now_ms(), resealed = $3,"
                    " ended_at_ms = case when $4 = 1 then now_ms() else 0 end"
                    " where id = $1 and owner = $2 and ended_at_ms = 0",
                    DB_ARGS(DB_I(rotation->id), DB_T(rotation->owner), DB_I(rotation->resealed), DB_I(ended)),
                    err);
    if (rc == 0)
        return err_set(err, ERR_BUSY, "another process has taken over the rotation of keys");
    return rc < 0 ? rc : 0;
}

int store_rotation_seen(struct store *store, const struct store_rotation *rotation, struct err *err)
{
    return STEP(store, err, do_seen(store, rotation, 0, err));
}

int store_rotation_end(struct store *store, const struct store_rotation *rotation, struct err *err)
{
    return STEP(store, err, do_seen(store, rotation, 1, err));
}

int store_rotation_is_due(struct store *store, bool *ret, struct err *err)
{
    int64_t found;
    int rc = db_number(store->db, "select 1 from key_rotation where kind = 'former' and ended_at_ms = 0",
                       DB_NO_ARGS, &found, err);
    *ret = rc > 0;
    return rc < 0 ? rc : 0;
}

int store_rotation_last(struct store *store, struct store_rotation *ret, struct err *err)
{
    int rc = read_rotation(store, SELECT_ROTATION " order by id desc limit 1", ret, err);
    return rc == ERR_NOT_FOUND ? err_set(err, rc, "no keys were rotated yet") : rc;
}
