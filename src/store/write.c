/*
 * A worker's write to its job: all of it or nothing, and only under the lease epoch that the worker was
 * given.
 *
 * The row is read (and locked) under the fence, the new values are worked out here, and every part is written
 * in the same step. A job that is given back while its channel may not be sent goes to the channel's hold
 * instead of the queue, so that what is claimable is always sendable.
 */
#include <inttypes.h>

#include "base/text.h"
#include "store/internal.h"

enum { CANCEL_NONE, CANCEL_WANTED, CANCEL_TOLD };

/* The job's row as the write finds it, and then as the write leaves it. */
struct row {
    int64_t tenant_id, channel_id, size_bytes;
    enum job_state from;
    enum job_cause from_cause;
    int64_t cancel_wanted; /* CANCEL_… */
    enum job_state state;
    enum job_cause cause;
    int64_t next_at_ms;
    bool release;
    char video_id[VIDEO_ID_SIZE];
    char error_reason[REASON_SIZE], error_message[MESSAGE_SIZE];
    int64_t waits;
};

/* ---- reading under the fence ---- */

static int read_row(const struct db_stmt *stmt, struct row *ret, struct err *err)
{
    *ret = (struct row){.tenant_id = db_int(stmt, 0),
                        .channel_id = db_int(stmt, 1),
                        .size_bytes = db_int(stmt, 2),
                        .next_at_ms = db_int(stmt, 5),
                        .waits = db_int(stmt, 9),
                        .cancel_wanted = db_int(stmt, 10)};
    if (!job_state_parse(db_text(stmt, 3), &ret->from) ||
        !job_cause_parse(db_text(stmt, 4), &ret->from_cause))
        return err_set(err, ERR_STORE, "unknown job state %s %s", db_text(stmt, 3), db_text(stmt, 4));
    ret->state = ret->from;
    ret->cause = ret->from_cause;
    copy_text(ret->video_id, db_text(stmt, 6));
    copy_text(ret->error_reason, db_text(stmt, 7));
    copy_text(ret->error_message, db_text(stmt, 8));
    return 1;
}

/* 1: the lease is the writer's; 0: it is not. */
static int find_row(struct store *store, const struct job_write *write, struct row *ret, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    int rc =
        db_query(store->db,
                 "select tenant_id, channel_id, size_bytes, state, cause, next_at_ms, video_id, error_reason,"
                 " error_message, waits, cancel_wanted"
                 " from job where id = $1 and lease_epoch = $2 and lease_owner <> '' {lock}",
                 DB_ARGS(DB_T(write->id.text), DB_I(write->lease_epoch)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    return rc > 0 ? read_row(stmt, ret, err) : rc;
}

/* ---- the new values ---- */

static bool state_keeps_lease(enum job_state state)
{
    return state == JOB_UPLOADING || state == JOB_FINISHING;
}

static void plan_state(const struct job_write *write, struct row *row)
{
    row->release = write->release_lease;
    if (!write->set_state)
        return;
    row->state = write->state;
    row->cause = write->state == JOB_HELD ? write->cause : CAUSE_NONE;
    row->next_at_ms = job_state_is_terminal(write->state) ? 0 : write->next_at_ms;
    row->release = row->release || !state_keeps_lease(write->state);
}

static void plan_texts(const struct job_write *write, struct row *row)
{
    if (write->set_video)
        copy_text(row->video_id, write->video_id);
    if (write->set_waits)
        row->waits = write->waits;
    if (write->clear_error || write->set_error)
        row->error_reason[0] = row->error_message[0] = '\0';
    if (write->set_error) {
        copy_text(row->error_reason, write->note.reason);
        copy_text(row->error_message, write->note.message);
    }
}

static bool waits_for_turn(const struct row *row)
{
    return row->state == JOB_QUEUED || row->state == JOB_WAITING || row->state == JOB_UPLOADING ||
           (row->state == JOB_HELD && job_cause_is_timed(row->cause));
}

static bool waits_for_channel(const struct row *row)
{
    return row->state == JOB_HELD && (row->cause == CAUSE_CHANNEL_PAUSED ||
                                      row->cause == CAUSE_CHANNEL_AUTH || row->cause == CAUSE_CHANNEL_FROZEN);
}

static void hold_with_channel(struct row *row, const struct gate *gate)
{
    row->state = JOB_HELD;
    row->cause = channel_state_cause(gate->state);
    row->next_at_ms = gate->until_ms;
}

static void free_with_channel(struct row *row)
{
    row->state = row->video_id[0] ? JOB_FINISHING : JOB_QUEUED;
    row->cause = CAUSE_NONE;
    row->next_at_ms = 0;
}

/* A job that is given back follows its channel as it is now, which may be another than the worker last saw:
 * else it would be claimable and never sendable, or held for a cause that nobody lifts any more. The gate is
 * kept even where it does not count, because whoever moves it also moves the jobs that wait behind it. */
static int follow_channel(struct store *store, struct row *row, struct err *err)
{
    bool is_held_for_it = waits_for_channel(row);
    bool is_sendable = waits_for_turn(row) && !row->cancel_wanted && !row->video_id[0];
    if (!row->release || (!is_held_for_it && !waits_for_turn(row)))
        return 0;
    struct gate gate;
    int rc = do_keep_gate(store, row->channel_id, &gate, err);
    if (rc < 0 || (!is_held_for_it && !is_sendable))
        return rc;
    if (gate.state != CHANNEL_ACTIVE)
        hold_with_channel(row, &gate);
    else if (is_held_for_it)
        free_with_channel(row);
    return 0;
}

/* A hold that a person must lift is a worker's answer to a cancel that it knew of. One that it did not know
 * of is not lost: the job may be claimed for it at once. */
static void plan_cancel(struct row *row)
{
    bool is_answer = row->state == JOB_HELD && !job_cause_is_timed(row->cause);
    if (job_state_is_terminal(row->state) || (is_answer && row->cancel_wanted == CANCEL_TOLD))
        row->cancel_wanted = CANCEL_NONE;
    if (row->release && row->cancel_wanted == CANCEL_WANTED)
        row->next_at_ms = 0;
}

/* ---- job ---- */

static bool touches_job(const struct job_write *write)
{
    return write->set_state || write->release_lease || write->set_video || write->set_waits ||
           write->set_error || write->clear_error;
}

static int write_job(struct store *store, const struct job_write *write, const struct row *row,
                     struct err *err)
{
    int rc = db_run(store->db,
                    "update job set state = $3, cause = $4, next_at_ms = $5, waits = $6, video_id = $7,"
                    " error_reason = $8, error_message = $9, changed_at_ms = now_ms(),"
                    " lease_owner = case when $10 = 1 then '' else lease_owner end,"
                    " lease_until_ms = case when $10 = 1 then 0 else lease_until_ms end,"
                    " cancel_wanted = $11,"
                    " finished_at_ms = case when $12 = 1 then now_ms() else 0 end"
                    " where id = $1 and lease_epoch = $2 and lease_owner <> ''",
                    DB_ARGS(DB_T(write->id.text), DB_I(write->lease_epoch), DB_T(job_state_text(row->state)),
                            DB_T(job_cause_text(row->cause)), DB_I(row->next_at_ms), DB_I(row->waits),
                            DB_T(row->video_id[0] ? row->video_id : NULL), DB_T(row->error_reason),
                            DB_T(row->error_message), DB_I(row->release), DB_I(row->cancel_wanted),
                            DB_I(job_state_is_terminal(row->state))),
                    err);
    return rc < 0 ? rc : 0;
}

/* ---- upload and chunks ---- */

static bool touches_upload(const struct job_write *write)
{
    return write->set_session || write->set_finalizing || write->set_session_dead || write->set_confirmed ||
           write->count_attempt || write->set_reconcile || write->set_check_looks || write->set_video;
}

/* What is not said stays. A session that only got another address keeps its beginning. */
static int write_upload(struct store *store, const struct job_write *write, struct blob sealed,
                        struct err *err)
{
    int rc = db_run(
        store->db,
        "update upload set"
        " session_at_ms = case when $2 = 1 and session_url is null then now_ms() else session_at_ms end,"
        " session_url = case when $2 = 1 then $3 else session_url end,"
        " finalizing = case when $4 = 1 then 1 else finalizing end,"
        " session_dead = case when $5 = 1 then 1 when $2 = 1 then 0 else session_dead end,"
        " last_byte_uploaded = case when $6 = 1 then $7 - 1 else last_byte_uploaded end,"
        " upload_attempts = upload_attempts + $8,"
        " reconcile_looks = case when $9 = 1 then $10 else reconcile_looks end,"
        " reconcile_from_ms = case when $9 = 1 then $11 else reconcile_from_ms end,"
        " check_looks = case when $12 = 1 then $13 else check_looks end,"
        " etag = case when $14 = 1 then $15 else etag end"
        " where job_id = $1",
        DB_ARGS(DB_T(write->id.text), DB_I(write->set_session), DB_B(sealed.data, sealed.len),
                DB_I(write->set_finalizing), DB_I(write->set_session_dead), DB_I(write->set_confirmed),
                DB_I(write->confirmed_bytes), DB_I(write->count_attempt), DB_I(write->set_reconcile),
                DB_I(write->reconcile_looks), DB_I(write->reconcile_from_ms), DB_I(write->set_check_looks),
                DB_I(write->check_looks), DB_I(write->set_video), DB_T(write->etag)),
        err);
    return rc < 0 ? rc : 0;
}

static int forget_session(struct store *store, const char *job, struct err *err)
{
    int rc = db_run(store->db,
                    "update upload set session_url = null, session_at_ms = 0, last_byte_uploaded = -1,"
                    " finalizing = 0, session_dead = 0 where job_id = $1",
                    DB_ARGS(DB_T(job)), err);
    if (rc >= 0)
        rc = db_run(store->db, "delete from chunk where job_id = $1", DB_ARGS(DB_T(job)), err);
    return rc < 0 ? rc : 0;
}

/* A finished job keeps how far it came, not the secret nor what only a resumed upload needs. */
static int drop_session(struct store *store, const char *job, struct err *err)
{
    int rc =
        db_run(store->db, "update upload set session_url = null where job_id = $1", DB_ARGS(DB_T(job)), err);
    if (rc >= 0)
        rc = db_run(store->db, "delete from chunk where job_id = $1", DB_ARGS(DB_T(job)), err);
    return rc < 0 ? rc : 0;
}

static int write_chunk(struct store *store, const struct job_id *job, const struct chunk_digest *chunk,
                       int64_t tenant, struct err *err)
{
    int rc = db_run(store->db,
                    "insert into chunk (job_id, first_byte, tenant_id, size_bytes, digest)"
                    " values ($1, $2, $3, $4, $5) on conflict (job_id, first_byte) do update set"
                    " size_bytes = excluded.size_bytes, digest = excluded.digest",
                    DB_ARGS(DB_T(job->text), DB_I(chunk->first_byte), DB_I(tenant), DB_I(chunk->size_bytes),
                            DB_B(chunk->digest, DIGEST_SIZE)),
                    err);
    return rc < 0 ? rc : 0;
}

static int write_transfer(struct store *store, const struct job_write *write, const struct row *row,
                          struct blob sealed, struct err *err)
{
    int rc = write->clear_session ? forget_session(store, write->id.text, err) : 0;
    if (rc == 0 && touches_upload(write))
        rc = write_upload(store, write, sealed, err);
    for (uint32_t i = 0; i < write->chunks.count && rc == 0; i++)
        rc = write_chunk(store, &write->id, &write->chunks.items[i], row->tenant_id, err);
    if (rc == 0 && job_state_is_terminal(row->state))
        rc = drop_session(store, write->id.text, err);
    return rc;
}

/* ---- channel and trail ---- */

static int write_channel(struct store *store, const char *worker, const struct job_write *write,
                         const struct row *row, struct err *err)
{
    if (!write->set_channel)
        return 0;
    struct channel_change change = {.channel = row->channel_id,
                                    .state = write->channel,
                                    .until_ms = write->channel_until_ms,
                                    .reason = write->note.message,
                                    .who = worker};
    return do_channel_finding(store, &change, err);
}

static int write_trail(struct store *store, const char *worker, const struct job_write *write,
                       const struct row *row, struct err *err)
{
    bool has_moved = row->state != row->from || row->cause != row->from_cause;
    if (!has_moved && !write->note.what[0])
        return 0;
    struct trail trail = {.job = write->id.text,
                          .tenant_id = row->tenant_id,
                          .channel_id = row->channel_id,
                          .who = worker,
                          .what = write->note.what[0] ? write->note.what : "state changed",
                          .from = has_moved ? job_state_text(row->from) : NULL,
                          .to = has_moved ? job_state_text(row->state) : NULL,
                          .cause = has_moved ? job_cause_text(row->cause) : NULL,
                          .lease_epoch = write->lease_epoch,
                          .note = &write->note};
    return do_trail(store, &trail, NULL, err);
}

/* ---- all of it ---- */

static int check_write(const struct job_write *write, const struct row *row, struct blob sealed,
                       struct err *err)
{
    if (write->set_session && sealed.len == 0)
        return err_set(err, ERR_INVALID, "job %s: a session without its sealed URL", write->id.text);
    if (write->set_confirmed && write->confirmed_bytes > (uint64_t)row->size_bytes)
        return err_set(err, ERR_INVALID, "job %s: %" PRIu64 " bytes confirmed of %" PRId64, write->id.text,
                       write->confirmed_bytes, row->size_bytes);
    if (write->set_video && !write->video_id[0])
        return err_set(err, ERR_INVALID, "job %s: a video without its id", write->id.text);
    return 0;
}

static int write_parts(struct store *store, const char *worker, const struct job_write *write,
                       struct row *row, struct blob sealed, struct err *err)
{
    int rc = write_channel(store, worker, write, row, err);
    if (rc == 0 && write->spent != BUCKET_NONE)
        rc = do_note_spent(store, worker, row->channel_id, write, err);
    if (rc == 0)
        rc = do_learn(store, row->tenant_id, row->channel_id, write->feedback, err);
    if (rc == 0)
        rc = follow_channel(store, row, err);
    plan_cancel(row);
    if (rc == 0)
        rc = write_transfer(store, write, row, sealed, err);
    return rc < 0 ? rc : write_trail(store, worker, write, row, err);
}

/* STEP_UNDO with another *ret_result than WRITE_OK: nothing is to be kept. */
static int do_write(struct store *store, const char *worker, const struct job_write *write,
                    struct blob sealed, enum write_result *ret_result, struct err *err)
{
    struct row row;
    bool is_full = false;
    *ret_result = WRITE_OK;
    int rc = find_row(store, write, &row, err);
    if (rc == 0)
        *ret_result = WRITE_LEASE_LOST;
    if (rc <= 0)
        return rc < 0 ? rc : STEP_UNDO;
    rc = check_write(write, &row, sealed, err);
    if (rc == 0 && write->charge != BUCKET_NONE)
        rc = do_charge(store, row.channel_id, write, &is_full, err);
    if (is_full)
        *ret_result = WRITE_QUOTA_FULL;
    if (rc < 0 || is_full)
        return rc < 0 ? rc : STEP_UNDO;
    plan_state(write, &row);
    plan_texts(write, &row);
    rc = write_parts(store, worker, write, &row, sealed, err);
    if (rc < 0 || !touches_job(write))
        return rc;
    rc = write_job(store, write, &row, err);
    if (rc == ERR_EXISTS) /* of what is written here only the video is unique */
        *ret_result = WRITE_VIDEO_TAKEN;
    return rc == ERR_EXISTS ? STEP_UNDO : rc;
}

int store_write(struct store *store, const char *worker, const struct job_write *write,
                struct blob sealed_session, enum write_result *ret_result, struct err *err)
{
    enum write_result result = WRITE_OK;
    *ret_result = WRITE_FAILED;
    int rc = STEP(store, err, do_write(store, worker, write, sealed_session, &result, err));
    if (rc == 0)
        *ret_result = result;
    return rc;
}

/* ---- renewal ---- */

static int do_renew(struct store *store, struct job_id id, int64_t lease_epoch, int64_t lease_ms,
                    struct store_renewal *ret, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    *ret = (struct store_renewal){.result = WRITE_LEASE_LOST};
    int rc = db_query(
        store->db,
        "update job set lease_until_ms = now_ms() + $3,"
        " cancel_wanted = case when cancel_wanted = 0 then 0 else 2 end"
        " where id = $1 and lease_epoch = $2 and lease_owner <> '' returning channel_id, cancel_wanted",
        DB_ARGS(DB_T(id.text), DB_I(lease_epoch), DB_I(lease_ms)), &stmt, err);
    if (rc == 0)
        rc = db_next(stmt, err);
    if (rc <= 0)
        return rc;
    int64_t channel = db_int(stmt, 0);
    struct gate gate;
    *ret = (struct store_renewal){.result = WRITE_OK, .cancel_wanted = db_int(stmt, 1) != 0};
    rc = db_next(stmt, err);
    if (rc == 0)
        rc = do_look_at_gate(store, channel, &gate, err);
    if (rc == 0)
        ret->channel = gate.state;
    return rc;
}

int store_renew(struct store *store, struct job_id id, int64_t lease_epoch, int64_t lease_ms,
                struct store_renewal *ret, struct err *err)
{
    return STEP(store, err, do_renew(store, id, lease_epoch, lease_ms, ret, err));
}

/* ---- the fingerprint of a job that was added without one ---- */

static int do_set_fingerprint(struct store *store, struct job_id id, int64_t lease_epoch,
                              const char *fingerprint, enum write_result *ret_result, struct err *err)
{
    int rc = db_run(store->db,
                    "update job set fingerprint = $3 where id = $1 and lease_epoch = $2 and lease_owner <> ''"
                    " and fingerprint in ('', $3)",
                    DB_ARGS(DB_T(id.text), DB_I(lease_epoch), DB_T(fingerprint)), err);
    *ret_result = rc > 0 ? WRITE_OK : WRITE_LEASE_LOST;
    return rc < 0 ? rc : 0;
}

int store_job_set_fingerprint(struct store *store, struct job_id id, int64_t lease_epoch,
                              const char *fingerprint, enum write_result *ret_result, struct err *err)
{
    int rc = STEP(store, err, do_set_fingerprint(store, id, lease_epoch, fingerprint, ret_result, err));
    if (rc < 0)
        *ret_result = WRITE_FAILED;
    return rc;
}
