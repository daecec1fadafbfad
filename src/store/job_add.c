/* Accepting a job: one row that is there once, whatever is repeated. */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "store/internal.h"

/* Where a new job begins: its tenant, and the hold that its channel's state makes. */
struct start {
    int64_t tenant_id;
    enum job_state state;
    enum job_cause cause;
    int64_t next_at_ms;
};

static int find_start(struct store *store, int64_t channel, struct start *ret, struct err *err)
{
    struct gate gate;
    *ret = (struct start){.state = JOB_QUEUED};
    int rc = do_keep_gate(store, channel, &gate, err);
    if (rc < 0)
        return rc;
    rc = db_number(store->db, "select tenant_id from channel where id = $1 and removed_at_ms = 0",
                   DB_ARGS(DB_I(channel)), &ret->tenant_id, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no channel with id %" PRId64, channel);
    if (rc > 0 && gate.state != CHANNEL_ACTIVE) {
        ret->state = JOB_HELD;
        ret->cause = channel_state_cause(gate.state);
        ret->next_at_ms = gate.until_ms;
    }
    return rc < 0 ? rc : 0;
}

/* 1 if the row was made, 0 if the key is taken. Not for the key alone: who adds the same job at the same
 * moment brings the same id, too, and Postgres may come upon that one first. */
static int insert_job(struct store *store, const struct store_job_new *job, const struct start *start,
                      struct err *err)
{
    return db_run(
        store->db,
        "insert into job (id, tenant_id, channel_id, region, priority, state, cause, next_at_ms,"
        " size_bytes, added_at_ms, changed_at_ms, storage_path, fingerprint, title,"
        " idempotency_key, params_digest, cdn_url, metadata)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, now_ms(), now_ms(), $10, $11, $12, $13,"
        " $14, $15, $16) on conflict do nothing",
        DB_ARGS(DB_T(job->id.text), DB_I(start->tenant_id), DB_I(job->channel_id),
                DB_T(job->region ? job->region : ""), DB_I(job->priority), DB_T(job_state_text(start->state)),
                DB_T(job_cause_text(start->cause)), DB_I(start->next_at_ms), DB_I(job->size_bytes),
                DB_T(job->storage_path), DB_T(job->fingerprint), DB_T(job->title), DB_T(job->idempotency_key),
                DB_T(job->params_digest), DB_T(job->cdn_url ? job->cdn_url : ""), DB_T(job->metadata)),
        err);
}

static int insert_upload(struct store *store, const struct store_job_new *job, int64_t tenant,
                         struct err *err)
{
    int rc = db_run(store->db, "insert into upload (job_id, tenant_id) values ($1, $2)",
                    DB_ARGS(DB_T(job->id.text), DB_I(tenant)), err);
    return rc < 0 ? rc : 0;
}

static int trail_add(struct store *store, const struct store_job_new *job, const struct start *start,
                     struct err *err)
{
    struct trail trail = {.job = job->id.text,
                          .tenant_id = start->tenant_id,
                          .channel_id = job->channel_id,
                          .who = job->who,
                          .what = "job added",
                          .to = job_state_text(start->state),
                          .cause = job_cause_text(start->cause)};
    return do_trail(store, &trail, NULL, err);
}

/* The job that has the key already: the same one asked for again, or another that is in the way. */
static int find_existing(struct store *store, const struct store_job_new *job, int64_t tenant,
                         struct job_id *ret_id, bool *ret_existed, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc = db_query(store->db,
                      "select id, params_digest, storage_path, title from job"
                      " where tenant_id = $1 and idempotency_key = $2",
                      DB_ARGS(DB_I(tenant), DB_T(job->idempotency_key)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc <= 0)
        return rc < 0 ? rc : err_set(err, ERR_EXISTS, "the id %s belongs to another job", job->id.text);
    copy_text(ret_id->text, db_text(stmt, 0));
    *ret_existed = true;
    if (strcmp(db_text(stmt, 1), job->params_digest) == 0)
        return 0;
    return err_set(
        err, ERR_EXISTS,
        "the key %s belongs to job %s with other parameters (file %s, title \"%s\"): give this one "
        "another --key",
        job->idempotency_key, ret_id->text, db_text(stmt, 2), db_text(stmt, 3));
}

static int check_new(const struct store_job_new *job, struct err *err)
{
    if (!job->id.text[0] || !job->storage_path || !job->fingerprint || !job->title || !job->metadata ||
        !job->idempotency_key || !job->params_digest)
        return err_set(err, ERR_INVALID, "a job needs an id, a file, a title, its metadata and a key");
    if (job->size_bytes == 0 || job->size_bytes > FILE_BYTES_MAX)
        return err_set(err, ERR_INVALID, "%s has %" PRIu64 " bytes: 1 to %" PRIu64 " can be uploaded",
                       job->storage_path, job->size_bytes, (uint64_t)FILE_BYTES_MAX);
    return 0;
}

static int do_job_add(struct store *store, const struct store_job_new *job, struct job_id *ret_id,
                      bool *ret_existed, struct err *err)
{
    struct start start;
    *ret_id = job->id;
    *ret_existed = false;
    int rc = find_start(store, job->channel_id, &start, err);
    if (rc == 0)
        rc = insert_job(store, job, &start, err);
    if (rc == 0)
        return find_existing(store, job, start.tenant_id, ret_id, ret_existed, err);
    if (rc > 0)
        rc = insert_upload(store, job, start.tenant_id, err);
    return rc < 0 ? rc : trail_add(store, job, &start, err);
}

int store_job_add(struct store *store, const struct store_job_new *job, struct job_id *ret_id,
                  bool *ret_existed, struct err *err)
{
    *ret_id = job->id;
    *ret_existed = false;
    int rc = check_new(job, err);
    return rc < 0 ? rc : STEP(store, err, do_job_add(store, job, ret_id, ret_existed, err));
}
