/* Jobs as people see them. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/internal.h"

#define SELECT_JOB                                                                                           \
    "select j.id, t.name, h.name, j.region, j.tenant_id, h.client_id, j.channel_id, j.priority, j.state,"    \
    " j.cause, j.next_at_ms, j.added_at_ms, j.changed_at_ms, j.finished_at_ms, j.storage_path,"              \
    " j.fingerprint, j.title, j.metadata, j.idempotency_key, j.params_digest, j.cdn_url, j.size_bytes,"      \
    " u.last_byte_uploaded + 1, u.upload_attempts, j.waits, u.session_url is not null, u.finalizing,"        \
    " u.session_dead, j.cancel_wanted, j.lease_owner, j.lease_epoch, j.lease_until_ms, u.session_at_ms,"     \
    " j.video_id, u.etag, j.error_reason, j.error_message, h.state, h.state_reason"                          \
    " from job j join upload u on u.job_id = j.id join channel h on h.id = j.channel_id"                     \
    " join tenant t on t.id = j.tenant_id"

static void read_numbers(const struct db_stmt *stmt, struct store_job *ret)
{
    *ret = (struct store_job){.tenant_id = db_int(stmt, 4),
                              .client_id = db_int(stmt, 5),
                              .channel_id = db_int(stmt, 6),
                              .priority = (int)db_int(stmt, 7),
                              .next_at_ms = db_int(stmt, 10),
                              .added_at_ms = db_int(stmt, 11),
                              .changed_at_ms = db_int(stmt, 12),
                              .finished_at_ms = db_int(stmt, 13),
                              .size_bytes = (uint64_t)db_int(stmt, 21),
                              .confirmed_bytes = (uint64_t)db_int(stmt, 22),
                              .upload_attempts = (uint32_t)db_int(stmt, 23),
                              .waits = (uint32_t)db_int(stmt, 24),
                              .has_session = db_int(stmt, 25) != 0,
                              .finalizing = db_int(stmt, 26) != 0,
                              .session_dead = db_int(stmt, 27) != 0,
                              .cancel_wanted = db_int(stmt, 28) != 0,
                              .lease_epoch = db_int(stmt, 30),
                              .lease_until_ms = db_int(stmt, 31),
                              .session_at_ms = db_int(stmt, 32)};
}

static void read_fixed_texts(const struct db_stmt *stmt, struct store_job *ret)
{
    copy_text(ret->id.text, db_text(stmt, 0));
    copy_text(ret->tenant, db_text(stmt, 1));
    copy_text(ret->channel, db_text(stmt, 2));
    copy_text(ret->region, db_text(stmt, 3));
    copy_text(ret->lease_owner, db_text(stmt, 29));
    copy_text(ret->video_id, db_text(stmt, 33));
    copy_text(ret->etag, db_text(stmt, 34));
    copy_text(ret->error_reason, db_text(stmt, 35));
    copy_text(ret->error_message, db_text(stmt, 36));
    copy_text(ret->channel_reason, db_text(stmt, 38));
}

static void read_owned_texts(const struct db_stmt *stmt, struct store_job *ret)
{
    ret->storage_path = mem_dup(db_text(stmt, 14));
    ret->fingerprint = mem_dup(db_text(stmt, 15));
    ret->title = mem_dup(db_text(stmt, 16));
    ret->metadata = mem_dup(db_text(stmt, 17));
    ret->idempotency_key = mem_dup(db_text(stmt, 18));
    ret->params_digest = mem_dup(db_text(stmt, 19));
    ret->cdn_url = mem_dup(db_text(stmt, 20));
}

static int read_job(const struct db_stmt *stmt, struct store_job *ret, struct err *err)
{
    read_numbers(stmt, ret);
    read_fixed_texts(stmt, ret);
    if (!job_state_parse(db_text(stmt, 8), &ret->state) || !job_cause_parse(db_text(stmt, 9), &ret->cause))
        return err_set(err, ERR_STORE, "job %s has the unknown state %s %s", ret->id.text, db_text(stmt, 8),
                       db_text(stmt, 9));
    if (!channel_state_parse(db_text(stmt, 37), &ret->channel_state))
        ret->channel_state = CHANNEL_FROZEN; /* what cannot be read is not sent */
    read_owned_texts(stmt, ret);
    return 0;
}

void store_job_release(struct store_job *job)
{
    char **texts[] = {&job->storage_path,    &job->fingerprint,   &job->title,  &job->metadata,
                      &job->idempotency_key, &job->params_digest, &job->cdn_url};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        mem_free(*texts[i]);
        *texts[i] = NULL;
    }
}

/* ---- one ---- */

enum { PREFIX_LEN_MIN = 6 };

/* The job with exactly this id, or else the two first that begin with it. */
static int query_prefix(struct store *store, const char *id, struct db_stmt **ret, struct err *err)
{
    char last[JOB_ID_SIZE + 1];
    snprintf(last, sizeof(last), "%s\x7f", id);
    return db_query(store->db, SELECT_JOB " where j.id >= $1 and j.id < $2 order by j.id limit 2",
                    DB_ARGS(DB_T(id), DB_T(last)), ret, err);
}

static int read_only_match(struct db_stmt *stmt, const char *id, struct store_job *ret, struct err *err)
{
    int rc = db_next(stmt, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no job %s: see `sluice job list`", id);
    if (rc > 0)
        rc = read_job(stmt, ret, err);
    if (rc < 0 || strcmp(ret->id.text, id) == 0)
        return rc;
    rc = db_next(stmt, err);
    if (rc > 0)
        rc = err_set(err, ERR_USAGE, "several jobs begin with %s: give more of the id", id);
    if (rc < 0)
        store_job_release(ret);
    return rc;
}

int store_job_find(struct store *store, const char *id, struct store_job *ret, struct err *err)
{
    if (strlen(id) < PREFIX_LEN_MIN)
        return err_set(err, ERR_USAGE, "a job id needs at least its first %d characters", PREFIX_LEN_MIN);
    if (strlen(id) >= JOB_ID_SIZE)
        return err_set(err, ERR_NOT_FOUND, "there is no job %s: an id has %d characters", id,
                       JOB_ID_SIZE - 1);
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = query_prefix(store, id, &stmt, err);
    return rc < 0 ? rc : read_only_match(stmt, id, ret, err);
}

/* ---- many ---- */

#define NEWEST_FIRST " order by j.id desc limit $2"

static int query_list(struct store *store, const struct store_job_filter *filter, struct db_stmt **ret,
                      struct err *err)
{
    int64_t limit = filter->limit ? filter->limit : INT64_MAX;
    const char *state = filter->state >= 0 ? job_state_text((enum job_state)filter->state) : "";
    if (filter->channel_id)
        return db_query(store->db,
                        SELECT_JOB " where j.channel_id = $1 and ($3 = '' or j.state = $3)" NEWEST_FIRST,
                        DB_ARGS(DB_I(filter->channel_id), DB_I(limit), DB_T(state)), ret, err);
    if (filter->tenant)
        return db_query(store->db,
                        SELECT_JOB " where j.tenant_id = (select id from tenant where name = $1)"
                                   " and ($3 = '' or j.state = $3)" NEWEST_FIRST,
                        DB_ARGS(DB_T(filter->tenant), DB_I(limit), DB_T(state)), ret, err);
    return db_query(store->db, SELECT_JOB " where ($1 = '' or j.state = $1)" NEWEST_FIRST,
                    DB_ARGS(DB_T(state), DB_I(limit)), ret, err);
}

static int walk_job(const struct db_stmt *stmt, int (*row)(void *ctx, const struct store_job *job), void *ctx,
                    struct err *err)
{
    struct store_job job;
    int rc = read_job(stmt, &job, err);
    if (rc < 0)
        return rc;
    rc = row(ctx, &job);
    store_job_release(&job);
    return rc;
}

int store_job_list(struct store *store, const struct store_job_filter *filter,
                   int (*row)(void *ctx, const struct store_job *job), void *ctx, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = query_list(store, filter, &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        rc = walk_job(stmt, row, ctx, err);
        if (rc != 0)
            return rc;
    }
    return rc;
}
