/* Looks at a channel's uploads: whose turn it is, and which videos no job has made. */
#include "store/videos.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/text.h"
#include "store/db_rows.h"
#include "store/internal.h"

/* ---- taking a look ---- */

static int do_begin(struct store *store, int64_t channel, int64_t every_ms, struct store_video_look *ret,
                    bool *ret_is_due, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    *ret_is_due = false;
    int rc = db_run(store->db,
                    "insert into video_look (channel_id, tenant_id, looked_at_ms, judged_ms)"
                    " select id, tenant_id, 0, added_at_ms from channel where id = $1 and removed_at_ms = 0"
                    " on conflict (channel_id) do nothing",
                    DB_ARGS(DB_I(channel)), err);
    /* A time ahead was set by a clock that was wrong. */
    if (rc >= 0)
        rc = db_query(store->db,
                      "update video_look set looked_at_ms = now_ms() where channel_id = $1"
                      " and (looked_at_ms <= now_ms() - $2 or looked_at_ms > now_ms())"
                      " returning judged_ms, looked_at_ms",
                      DB_ARGS(DB_I(channel), DB_I(every_ms)), &stmt, err);
    if (rc >= 0)
        rc = db_next(stmt, err);
    if (rc <= 0)
        return rc;
    *ret_is_due = true;
    *ret = (struct store_video_look){
        .channel_id = channel, .since_ms = db_int(stmt, 0), .begun_at_ms = db_int(stmt, 1)};
    return 0;
}

int store_video_look_begin(struct store *store, int64_t channel, int64_t every_ms,
                           struct store_video_look *ret, bool *ret_is_due, struct err *err)
{
    return STEP(store, err, do_begin(store, channel, every_ms, ret, ret_is_due, err));
}

/* ---- judging ---- */

struct judgement {
    const struct store_video_look *look;
    const struct store_video_list *list;
    int64_t tenant_id;
    int64_t perhaps_ours_ms; /* what was published from then on may be of a job that does not know it yet */
    struct store_video *found;
    uint32_t found_count;
};

static int64_t time_of(const struct store_video *video, const struct store_video_look *look)
{
    return video->published_at_ms ? video->published_at_ms : look->begun_at_ms;
}

/* Nobody else judges the channel until the transaction ends. */
static int lock_look(struct store *store, struct judgement *judgement, struct err *err)
{
    int64_t channel = judgement->look->channel_id;
    int rc = db_number(store->db, "select tenant_id from video_look where channel_id = $1 {lock}",
                       DB_ARGS(DB_I(channel)), &judgement->tenant_id, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "no look at channel %" PRId64 " was begun", channel);
    return rc < 0 ? rc : 0;
}

static int find_perhaps_ours(struct store *store, struct judgement *judgement, struct err *err)
{
    int64_t session_at_ms = -1;
    int rc = db_number(store->db,
                       "select coalesce(min(u.session_at_ms), -1) from upload u join job j on j.id = u.job_id"
                       " where u.finalizing = 1 and u.tenant_id = $1 and j.channel_id = $2"
                       " and j.video_id is null and j.state not in ('failed', 'cancelled')",
                       DB_ARGS(DB_I(judgement->tenant_id), DB_I(judgement->look->channel_id)), &session_at_ms,
                       err);
    judgement->perhaps_ours_ms = session_at_ms < 0 ? INT64_MAX : session_at_ms - RECONCILE_SKEW_MS;
    return rc < 0 ? rc : 0;
}

static void judge(struct judgement *judgement, const char *id, int64_t published_at_ms)
{
    if (published_at_ms >= judgement->perhaps_ours_ms)
        return; /* the next look begins no later than there */
    struct store_video *one = &judgement->found[judgement->found_count++];
    copy_text(one->id, id);
    one->published_at_ms = published_at_ms;
}

static int find_foreign(struct store *store, struct judgement *judgement, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    AUTO_ROWS struct db_rows rows = {.count = 0};
    for (uint32_t i = 0; i < judgement->list->count; i++) {
        const struct store_video *video = &judgement->list->items[i];
        int64_t at_ms = time_of(video, judgement->look);
        if (at_ms >= judgement->look->since_ms)
            db_rows_add(&rows, DB_ARGS(DB_T(video->id), DB_I(at_ms)));
    }
    int rc = db_query_rows(store->db,
                           "select {r.id}, {r.at} {from rows id:text at:int} where not exists"
                           " (select 1 from job j where j.channel_id = $3 and j.video_id = {r.id})"
                           " and not exists"
                           " (select 1 from foreign_video f where f.channel_id = $3 and f.video_id = {r.id})",
                           &rows, DB_ARGS(DB_I(judgement->look->channel_id)), &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        judge(judgement, db_text(stmt, 0), db_int(stmt, 1));
        rc = 0;
    }
    return rc;
}

/* ---- telling ---- */

static int note_found(struct store *store, const struct judgement *judgement, struct err *err)
{
    AUTO_ROWS struct db_rows rows = {.count = 0};
    for (uint32_t i = 0; i < judgement->found_count; i++)
        db_rows_add(&rows, DB_ARGS(DB_T(judgement->found[i].id), DB_I(judgement->found[i].published_at_ms)));
    int rc = db_run_rows(store->db,
                         "insert into foreign_video (channel_id, tenant_id, video_id, published_at_ms,"
                         " found_at_ms) select $3, $4, {r.id}, {r.at}, now_ms() {from rows id:text at:int}"
                         " where true on conflict (channel_id, video_id) do nothing",
                         &rows, DB_ARGS(DB_I(judgement->look->channel_id), DB_I(judgement->tenant_id)), err);
    return rc < 0 ? rc : 0;
}

static int trail_found(struct store *store, const struct judgement *judgement, struct err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < judgement->found_count && rc == 0; i++) {
        const struct store_video *video = &judgement->found[i];
        struct audit_note note = {.http_status = 0};
        struct trail trail = {.tenant_id = judgement->tenant_id,
                              .channel_id = judgement->look->channel_id,
                              .who = "broker",
                              .what = "foreign video",
                              .note = &note};
        char when[TIME_TEXT_SIZE];
        format_time(when, video->published_at_ms);
        copy_text(note.reason, video->id);
        snprintf(note.message, sizeof(note.message),
                 "no job of this channel has made it; it was published %s", when);
        rc = do_trail(store, &trail, NULL, err);
    }
    return rc;
}

static int move_on(struct store *store, const struct judgement *judgement, struct err *err)
{
    int64_t judged_ms = judgement->list->is_cut ? 0 : judgement->look->begun_at_ms - VIDEO_LATE_MS;
    if (judgement->perhaps_ours_ms < judged_ms)
        judged_ms = judgement->perhaps_ours_ms;
    int rc = db_run(store->db,
                    "update video_look set judged_ms = case when judged_ms < $2 then $2 else judged_ms end,"
                    " trouble = '' where channel_id = $1",
                    DB_ARGS(DB_I(judgement->look->channel_id), DB_I(judged_ms)), err);
    return rc < 0 ? rc : 0;
}

/* What may be ours is found before what is: a job that stores its video's id in between is among these. */
static int do_end(struct store *store, struct judgement *judgement, struct err *err)
{
    judgement->found_count = 0;
    int rc = lock_look(store, judgement, err);
    if (rc == 0)
        rc = find_perhaps_ours(store, judgement, err);
    if (rc == 0)
        rc = find_foreign(store, judgement, err);
    if (rc == 0)
        rc = note_found(store, judgement, err);
    if (rc == 0)
        rc = trail_found(store, judgement, err);
    return rc < 0 ? rc : move_on(store, judgement, err);
}

int store_video_look_end(struct store *store, const struct store_video_look *look,
                         const struct store_video_list *list, uint32_t *ret_found, struct err *err)
{
    AUTO_FREE struct store_video *found = mem_alloc_array(list->count + 1, sizeof(*found));
    struct judgement judgement = {.look = look, .list = list, .found = found};
    int rc = STEP(store, err, do_end(store, &judgement, err));
    *ret_found = judgement.found_count;
    return rc;
}

/* ---- what cannot be looked at ---- */

static int do_refused(struct store *store, int64_t channel, const char *trouble, bool *ret_is_news,
                      struct err *err)
{
    int rc = db_run(store->db, "update video_look set trouble = $2 where channel_id = $1 and trouble <> $2",
                    DB_ARGS(DB_I(channel), DB_T(trouble)), err);
    *ret_is_news = rc > 0;
    return rc < 0 ? rc : 0;
}

int store_video_look_refused(struct store *store, int64_t channel, const char *trouble, bool *ret_is_news,
                             struct err *err)
{
    return STEP(store, err, do_refused(store, channel, trouble, ret_is_news, err));
}

int store_video_trouble_list(struct store *store,
                             int (*row)(void *ctx, const struct store_channel *channel, const char *trouble),
                             void *ctx, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc =
        db_query(store->db,
                 "select t.name, h.name, v.trouble from video_look v join channel h on h.id = v.channel_id"
                 " join tenant t on t.id = v.tenant_id where v.trouble <> '' and h.removed_at_ms = 0"
                 " order by t.name, h.name",
                 DB_NO_ARGS, &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        struct store_channel channel = {.id = 0};
        copy_text(channel.tenant, db_text(stmt, 0));
        copy_text(channel.name, db_text(stmt, 1));
        rc = row(ctx, &channel, db_text(stmt, 2));
    }
    return rc;
}
