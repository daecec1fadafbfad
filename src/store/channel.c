/* Channels as people see them; their state is channel_state.c's, their token login.c's. */
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "store/internal.h"

#define SELECT_CHANNEL                                                                                       \
    "select h.id, h.tenant_id, h.client_id, t.name, c.name, h.name, h.yt_channel_id, h.title,"               \
    " h.uploads_playlist, h.state, h.state_reason, h.until_ms, h.added_at_ms,"                               \
    " (select count(*) from token k where k.channel_id = h.id), h.uploads_per_day, s.milliplaces,"           \
    " s.rest_until_ms, now_ms(), h.own_state"                                                                \
    " from channel h join tenant t on t.id = h.tenant_id join client c on c.id = h.client_id"                \
    " join turn s on s.tenant_id = h.tenant_id and s.channel_id = h.id"                                      \
    " where h.removed_at_ms = 0"

static void read_channel(const struct db_stmt *stmt, struct store_channel *ret)
{
    *ret = (struct store_channel){.id = db_int(stmt, 0),
                                  .tenant_id = db_int(stmt, 1),
                                  .client_id = db_int(stmt, 2),
                                  .state = CHANNEL_FROZEN, /* what cannot be read is not sent */
                                  .until_ms = db_int(stmt, 11),
                                  .added_at_ms = db_int(stmt, 12),
                                  .has_token = db_int(stmt, 13) > 0,
                                  .uploads_per_day = (uint32_t)db_int(stmt, 14)};
    struct window window = {.milliplaces = (int32_t)db_int(stmt, 15), .rest_until_ms = db_int(stmt, 16)};
    ret->places = window_places(window, db_int(stmt, 17));
    ret->rest_until_ms = ret->places == 0 ? window.rest_until_ms : 0;
    copy_text(ret->tenant, db_text(stmt, 3));
    copy_text(ret->client, db_text(stmt, 4));
    copy_text(ret->name, db_text(stmt, 5));
    copy_text(ret->yt_channel_id, db_text(stmt, 6));
    copy_text(ret->title, db_text(stmt, 7));
    copy_text(ret->uploads_playlist, db_text(stmt, 8));
    channel_state_parse(db_text(stmt, 9), &ret->state);
    ret->own_state = ret->state;
    ret->is_client_stopped = db_text(stmt, 18)[0] != '\0';
    if (ret->is_client_stopped && !channel_state_parse(db_text(stmt, 18), &ret->own_state))
        ret->own_state = CHANNEL_FROZEN;
    copy_text(ret->state_reason, db_text(stmt, 10));
}

static int read_one(struct db_stmt *stmt, struct store_channel *ret, struct err *err)
{
    int rc = db_next(stmt, err);
    if (rc > 0)
        read_channel(stmt, ret);
    return rc;
}

int store_channel_get(struct store *store, int64_t channel, struct store_channel *ret, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db, SELECT_CHANNEL " and h.id = $1", DB_ARGS(DB_I(channel)), &stmt, err);
    if (rc == 0)
        rc = read_one(stmt, ret, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no channel with id %" PRId64, channel);
    return rc < 0 ? rc : 0;
}

int store_channel_find(struct store *store, const char *tenant, const char *name, struct store_channel *ret,
                       struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db, SELECT_CHANNEL " and t.name = $1 and h.name = $2",
                      DB_ARGS(DB_T(tenant), DB_T(name)), &stmt, err);
    if (rc == 0)
        rc = read_one(stmt, ret, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "tenant %s has no channel %s: see `sluice channel list`", tenant,
                       name);
    return rc < 0 ? rc : 0;
}

int store_channel_list(struct store *store, const char *tenant,
                       int (*row)(void *ctx, const struct store_channel *channel), void *ctx, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db, SELECT_CHANNEL " and ($1 = '' or t.name = $1) order by t.name, h.name",
                      DB_ARGS(DB_T(tenant ? tenant : "")), &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        struct store_channel channel;
        read_channel(stmt, &channel);
        rc = row(ctx, &channel);
        if (rc != 0)
            return rc;
    }
    return rc;
}

/* ---- removing ---- */

static int check_no_jobs(struct store *store, const struct store_channel *channel, struct err *err)
{
    int64_t is_used = 0;
    int rc = db_number(store->db,
                       "select count(*) from (select 1 from job where channel_id = $1 and state in"
                       " ('queued', 'uploading', 'waiting', 'held', 'finishing') limit 1) as used",
                       DB_ARGS(DB_I(channel->id)), &is_used, err);
    if (rc > 0 && is_used)
        return err_set(err, ERR_EXISTS, "channel %s has jobs that are not finished: cancel them first",
                       channel->name);
    return rc < 0 ? rc : 0;
}

/* The row stays for its finished jobs and their trail; the name is free again, the token is gone. */
static int do_channel_remove(struct store *store, int64_t id, const char *who, struct err *err)
{
    struct store_channel channel;
    int64_t ignored;
    int rc =
        db_number(store->db, "select id from channel where id = $1 {lock}", DB_ARGS(DB_I(id)), &ignored, err);
    if (rc >= 0)
        rc = store_channel_get(store, id, &channel, err);
    if (rc == 0)
        rc = check_no_jobs(store, &channel, err);
    if (rc == 0)
        rc = db_run(store->db, "delete from token where channel_id = $1", DB_ARGS(DB_I(id)), err);
    if (rc >= 0)
        rc = db_run(store->db, "update channel set removed_at_ms = now_ms() where id = $1", DB_ARGS(DB_I(id)),
                    err);
    if (rc < 0)
        return rc;
    struct trail trail = {
        .tenant_id = channel.tenant_id, .channel_id = id, .who = who, .what = "channel removed"};
    return do_trail(store, &trail, NULL, err);
}

int store_channel_remove(struct store *store, int64_t channel, const char *who, struct err *err)
{
    return STEP(store, err, do_channel_remove(store, channel, who, err));
}

/* ---- a limit of its own ---- */

static int do_channel_limits(struct store *store, int64_t id, uint32_t uploads_per_day, const char *who,
                             struct err *err)
{
    struct store_channel channel;
    struct audit_note note = {.http_status = 0};
    int rc = store_channel_get(store, id, &channel, err);
    if (rc == 0)
        rc = db_run(store->db, "update channel set uploads_per_day = $2 where id = $1",
                    DB_ARGS(DB_I(id), DB_I(uploads_per_day)), err);
    if (rc >= 0)
        rc = do_recheck_quota_holds(store, channel.client_id, err);
    if (rc < 0)
        return rc;
    snprintf(note.message, sizeof(note.message), "%" PRIu32 " uploads a day", uploads_per_day);
    struct trail trail = {.tenant_id = channel.tenant_id,
                          .channel_id = id,
                          .who = who,
                          .what = "channel limits set",
                          .note = &note};
    return do_trail(store, &trail, NULL, err);
}

int store_channel_limits(struct store *store, int64_t channel, uint32_t uploads_per_day, const char *who,
                         struct err *err)
{
    return STEP(store, err, do_channel_limits(store, channel, uploads_per_day, who, err));
}
