/* A channel's row of sealed tokens: reading it, the access token that all brokers share, and the turn to get
 * the next one. */
#include "store/token.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "store/internal.h"

static int find_token(struct store *store, const char *sql, int64_t channel, struct db_stmt **ret,
                      struct err *err)
{
    int rc = db_query(store->db, sql, DB_ARGS(DB_I(channel)), ret, err);
    if (rc == 0)
        rc = db_next(*ret, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "channel %" PRId64 " has no login: run `sluice channel login`",
                       channel);
    return rc < 0 ? rc : 0;
}

int store_token_get(struct store *store, int64_t channel, struct store_token *ret, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = find_token(store, "select sealed, scopes, key_id from token where channel_id = $1", channel,
                        &stmt, err);
    if (rc < 0)
        return rc;
    *ret = (struct store_token){.scopes = ""};
    copy_blob(stmt, 0, &ret->sealed);
    copy_text(ret->scopes, db_text(stmt, 1));
    copy_text(ret->key_id, db_text(stmt, 2));
    return 0;
}

int store_access_get(struct store *store, int64_t channel, const char *owner, struct store_access *ret,
                     struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = find_token(store,
                        "select access_sealed, access_serial, access_until_ms - now_ms(),"
                        " refresh_until_ms - now_ms(), refresh_owner from token where channel_id = $1",
                        channel, &stmt, err);
    if (rc < 0)
        return rc;
    const char *holder = db_text(stmt, 4);
    *ret =
        (struct store_access){.serial = db_int(stmt, 1), .life_ms = db_int(stmt, 2), .is_pause = !holder[0]};
    int64_t wait_ms = db_int(stmt, 3);
    bool is_other = !holder[0] || strcmp(holder, owner) != 0;
    ret->wait_ms = is_other && wait_ms > 0 && wait_ms <= REFRESH_WAIT_MS_MAX ? wait_ms : 0;
    copy_blob(stmt, 0, &ret->sealed);
    return 0;
}

static int do_begin(struct store *store, int64_t channel, const char *owner, int64_t serial, int64_t turn_ms,
                    bool *ret_is_mine, struct err *err)
{
    int rc = db_run(
        store->db,
        "update token set refresh_owner = $2, refresh_until_ms = now_ms() + $4"
        " where channel_id = $1 and access_serial = $3 and (refresh_owner = $2"
        " or refresh_until_ms <= now_ms() or refresh_until_ms > now_ms() + $5)",
        DB_ARGS(DB_I(channel), DB_T(owner), DB_I(serial), DB_I(turn_ms), DB_I(REFRESH_WAIT_MS_MAX)), err);
    *ret_is_mine = rc > 0;
    return rc < 0 ? rc : 0;
}

int store_refresh_begin(struct store *store, int64_t channel, const char *owner, int64_t serial,
                        int64_t turn_ms, bool *ret_is_mine, struct err *err)
{
    return STEP(store, err, do_begin(store, channel, owner, serial, turn_ms, ret_is_mine, err));
}

static int do_end(struct store *store, int64_t channel, const char *owner, struct blob sealed,
                  int64_t life_ms, bool *ret_done, struct err *err)
{
    int rc = db_run(store->db,
                    "update token set access_sealed = $3, access_until_ms = now_ms() + $4,"
                    " access_serial = access_serial + 1, refresh_owner = '', refresh_until_ms = 0"
                    " where channel_id = $1 and refresh_owner = $2",
                    DB_ARGS(DB_I(channel), DB_T(owner), DB_B(sealed.data, sealed.len), DB_I(life_ms)), err);
    *ret_done = rc > 0;
    return rc < 0 ? rc : 0;
}

int store_refresh_end(struct store *store, int64_t channel, const char *owner, struct blob sealed,
                      int64_t life_ms, bool *ret_done, struct err *err)
{
    return STEP(store, err, do_end(store, channel, owner, sealed, life_ms, ret_done, err));
}

static int do_fail(struct store *store, int64_t channel, const char *owner, int64_t pause_ms, struct err *err)
{
    int rc = db_run(store->db,
                    "update token set refresh_owner = '', refresh_until_ms = now_ms() + $3"
                    " where channel_id = $1 and refresh_owner = $2",
                    DB_ARGS(DB_I(channel), DB_T(owner), DB_I(pause_ms)), err);
    return rc < 0 ? rc : 0;
}

int store_refresh_fail(struct store *store, int64_t channel, const char *owner, int64_t pause_ms,
                       struct err *err)
{
    return STEP(store, err, do_fail(store, channel, owner, pause_ms, err));
}
