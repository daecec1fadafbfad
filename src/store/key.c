/* Data keys as they rest, wrapped, and the root keys that they are wrapped with. */
#include "store/key.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/internal.h"

static const char *const state_texts[] = {
#define X(name, text) text,
    KEY_STATE_TABLE(X)
#undef X
};

const char *key_state_text(enum key_state state)
{
    return state_texts[state];
}

static enum key_state parse_state(const char *text)
{
    int state = 0;
    while (state < KEY_RETIRED && strcmp(state_texts[state], text) != 0)
        state++;
    return (enum key_state)state;
}

/* ---- reading ---- */

#define KEY_COLUMNS "tenant_id, id, root_key_id, state, added_at_ms, retired_at_ms"

static void read_key(const struct db_stmt *stmt, struct store_key *ret)
{
    *ret = (struct store_key){.tenant_id = db_int(stmt, 0),
                              .state = parse_state(db_text(stmt, 3)),
                              .added_at_ms = db_int(stmt, 4),
                              .retired_at_ms = db_int(stmt, 5)};
    copy_text(ret->id, db_text(stmt, 1));
    copy_text(ret->root_id, db_text(stmt, 2));
}

int store_key_get(struct store *store, int64_t tenant, const char *id, struct store_key *ret, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db,
                      "select " KEY_COLUMNS ", wrapped from tenant_key where tenant_id = $1 and id = $2",
                      DB_ARGS(DB_I(tenant), DB_T(id)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "tenant %" PRId64 " has no data key %s", tenant, id);
    if (rc < 0)
        return rc;
    read_key(stmt, ret);
    copy_blob(stmt, 6, &ret->wrapped);
    return 0;
}

int store_key_active(struct store *store, int64_t tenant, char ret_id[KEY_ID_SIZE], struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db, "select id from tenant_key where tenant_id = $1 and state = 'active'",
                      DB_ARGS(DB_I(tenant)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "tenant %" PRId64 " has no data key", tenant);
    if (rc > 0)
        text_copy(ret_id, KEY_ID_SIZE, db_text(stmt, 0));
    return rc < 0 ? rc : 0;
}

int store_key_list(struct store *store, int (*row)(void *ctx, const struct store_key *key), void *ctx,
                   struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db, "select " KEY_COLUMNS " from tenant_key order by tenant_id, added_at_ms, id",
                      DB_NO_ARGS, &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        struct store_key key;
        read_key(stmt, &key);
        rc = row(ctx, &key);
        if (rc != 0)
            return rc;
    }
    return rc;
}

int store_key_stale_tenants(struct store *store, int64_t before_ms, int64_t after, uint32_t max, int64_t *ret,
                            uint32_t *ret_count, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    *ret_count = 0;
    int rc = db_query(store->db,
                      "select tenant_id from tenant_key where state = 'active' and added_at_ms < $1"
                      " and tenant_id > $2 order by tenant_id limit $3",
                      DB_ARGS(DB_I(before_ms), DB_I(after), DB_I(max)), &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        ret[(*ret_count)++] = db_int(stmt, 0);
        rc = 0;
    }
    return rc;
}

int store_key_other_root(struct store *store, const char *root_id, const struct store_key *after,
                         uint32_t max, struct store_key *ret, uint32_t *ret_count, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    *ret_count = 0;
    int rc = db_query(store->db,
                      "select " KEY_COLUMNS ", wrapped from tenant_key where root_key_id <> $1"
                      " and (tenant_id > $2 or (tenant_id = $2 and id > $3)) order by tenant_id, id limit $4",
                      DB_ARGS(DB_T(root_id), DB_I(after->tenant_id), DB_T(after->id), DB_I(max)), &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        read_key(stmt, &ret[*ret_count]);
        copy_blob(stmt, 6, &ret[(*ret_count)++].wrapped);
        rc = 0;
    }
    return rc;
}

/* ---- writing ---- */

/* One that was retired stays so. */
static int know_root(struct store *store, const char *root_id, struct err *err)
{
    int rc = db_run(store->db,
                    "insert into root_key (id, live_id, added_at_ms) values ($1, $1, now_ms())"
                    " on conflict (id) do nothing",
                    DB_ARGS(DB_T(root_id)), err);
    return rc < 0 ? rc : 0;
}

static int explain(int rc, const char *root_id, struct err *err)
{
    if (rc == ERR_INVALID)
        return err_set(err, rc, "the key %s was retired: nothing may be wrapped with it any more", root_id);
    return rc < 0 ? rc : 0;
}

static int trail_key(struct store *store, int64_t tenant, const char *who, const char *what, const char *id,
                     struct err *err)
{
    struct audit_note note = {.http_status = 0};
    copy_text(note.message, id);
    struct trail trail = {.tenant_id = tenant, .who = who, .what = what, .note = &note};
    return do_trail(store, &trail, NULL, err);
}

static int do_key_add(struct store *store, const struct store_key *key, struct err *err)
{
    int rc = know_root(store, key->root_id, err);
    if (rc < 0)
        return rc;
    rc = db_run(store->db,
                "insert into tenant_key (tenant_id, id, root_key_id, state, wrapped, added_at_ms)"
                " values ($1, $2, $3, $4, $5, now_ms()) on conflict do nothing",
                DB_ARGS(DB_I(key->tenant_id), DB_T(key->id), DB_T(key->root_id),
                        DB_T(key_state_text(key->state)), DB_B(key->wrapped.data, key->wrapped.len)),
                err);
    if (rc == 0)
        return err_set(err, ERR_EXISTS, "the tenant has a data key in that state");
    rc = explain(rc, key->root_id, err);
    return rc < 0 ? rc : trail_key(store, key->tenant_id, "broker", "data key added", key->id, err);
}

int store_key_add(struct store *store, const struct store_key *key, struct err *err)
{
    return STEP(store, err, do_key_add(store, key, err));
}

static int do_promote(struct store *store, int64_t tenant, const char *who, struct err *err)
{
    int64_t waiting;
    int rc =
        db_number(store->db, "select 1 from tenant_key where tenant_id = $1 and state = 'pending' {lock}",
                  DB_ARGS(DB_I(tenant)), &waiting, err);
    if (rc <= 0)
        return rc;
    rc = db_run(store->db,
                "update tenant_key set state = 'retired', retired_at_ms = now_ms()"
                " where tenant_id = $1 and state = 'active'",
                DB_ARGS(DB_I(tenant)), err);
    if (rc >= 0)
        rc = db_run(store->db,
                    "update tenant_key set state = 'active' where tenant_id = $1 and state = 'pending'",
                    DB_ARGS(DB_I(tenant)), err);
    return rc < 0 ? rc : trail_key(store, tenant, who, "data key changed", "", err);
}

int store_key_promote(struct store *store, int64_t tenant, const char *who, struct err *err)
{
    return STEP(store, err, do_promote(store, tenant, who, err));
}

static int do_rewrap(struct store *store, const struct store_key *key, const char *old_root_id,
                     struct err *err)
{
    int rc = know_root(store, key->root_id, err);
    if (rc < 0)
        return rc;
    rc = db_run(store->db,
                "update tenant_key set root_key_id = $3, wrapped = $4"
                " where tenant_id = $1 and id = $2 and root_key_id = $5",
                DB_ARGS(DB_I(key->tenant_id), DB_T(key->id), DB_T(key->root_id),
                        DB_B(key->wrapped.data, key->wrapped.len), DB_T(old_root_id)),
                err);
    return explain(rc, key->root_id, err);
}

int store_key_rewrap(struct store *store, const struct store_key *key, const char *old_root_id,
                     struct err *err)
{
    return STEP(store, err, do_rewrap(store, key, old_root_id, err));
}

static int do_forget(struct store *store, int64_t before_ms, const char *who, uint32_t *ret_count,
                     struct err *err)
{
    int rc = db_run(store->db,
                    "insert into event (at_ms, tenant_id, who, what, message)"
                    " select now_ms(), tenant_id, $2, 'data key forgotten', id from tenant_key"
                    " where state = 'retired' and retired_at_ms < $1",
                    DB_ARGS(DB_I(before_ms), DB_T(who)), err);
    if (rc > 0)
        rc = db_run(store->db, "delete from tenant_key where state = 'retired' and retired_at_ms < $1",
                    DB_ARGS(DB_I(before_ms)), err);
    *ret_count = rc > 0 ? (uint32_t)rc : 0;
    return rc < 0 ? rc : 0;
}

int store_key_forget(struct store *store, int64_t before_ms, const char *who, uint32_t *ret_count,
                     struct err *err)
{
    return STEP(store, err, do_forget(store, before_ms, who, ret_count, err));
}

/* ---- root keys ---- */

int store_root_list(struct store *store, int (*row)(void *ctx, const char *root_id), void *ctx,
                    struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db, "select id from root_key where live_id is not null order by added_at_ms, id",
                      DB_NO_ARGS, &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        rc = row(ctx, db_text(stmt, 0));
        if (rc != 0)
            return rc;
    }
    return rc;
}

int store_root_is_live(struct store *store, const char *root_id, bool *ret, struct err *err)
{
    int64_t found;
    int rc = db_number(store->db, "select 1 from root_key where live_id = $1", DB_ARGS(DB_T(root_id)), &found,
                       err);
    *ret = rc > 0;
    return rc < 0 ? rc : 0;
}

static int do_retire(struct store *store, const char *root_id, struct err *err)
{
    int rc = db_run(store->db,
                    "update root_key set live_id = null, retired_at_ms = now_ms()"
                    " where id = $1 and live_id is not null",
                    DB_ARGS(DB_T(root_id)), err);
    if (rc == ERR_INVALID)
        return err_set(err, rc, "data keys are still wrapped with the key %s", root_id);
    return rc < 0 ? rc : 0;
}

int store_root_retire(struct store *store, const char *root_id, struct err *err)
{
    return STEP(store, err, do_retire(store, root_id, err));
}
