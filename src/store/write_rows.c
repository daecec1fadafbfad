/* The statements of workers' writes: each carries out one part for all jobs of a batch. */
#include "base/mem.h"
#include "base/text.h"
#include "store/db_rows.h"
#include "store/write.h"

/* ---- reading under the fence ---- */

static int read_row(const struct db_stmt *stmt, struct write_row *ret, struct err *err)
{
    *ret = (struct write_row){.tenant_id = db_int(stmt, 1),
                              .channel_id = db_int(stmt, 2),
                              .size_bytes = db_int(stmt, 3),
                              .next_at_ms = db_int(stmt, 6),
                              .waits = db_int(stmt, 10),
                              .cancel_wanted = db_int(stmt, 11),
                              .client_id = db_int(stmt, 12)};
    if (!job_state_parse(db_text(stmt, 4), &ret->from) ||
        !job_cause_parse(db_text(stmt, 5), &ret->from_cause))
        return err_set(err, ERR_STORE, "unknown job state %s %s", db_text(stmt, 4), db_text(stmt, 5));
    ret->state = ret->from;
    ret->cause = ret->from_cause;
    copy_text(ret->video_id, db_text(stmt, 7));
    copy_text(ret->error_reason, db_text(stmt, 8));
    copy_text(ret->error_message, db_text(stmt, 9));
    return 0;
}

/* In the order of their ids: whoever locks several jobs does so in that order. */
int batch_read_rows(const struct write_batch *batch, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    AUTO_ROWS struct db_rows rows = {.count = 0};
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct job_write *write = batch->items[i].item->write;
        batch->items[i].item->result = WRITE_LEASE_LOST;
        db_rows_add(&rows, DB_ARGS(DB_T(write->id.text), DB_I(write->lease_epoch), DB_I(i)));
    }
    int rc = db_query_rows(
        batch->store->db,
        "select {r.n}, job.tenant_id, job.channel_id, job.size_bytes, job.state, job.cause, job.next_at_ms,"
        " job.video_id, job.error_reason, job.error_message, job.waits, job.cancel_wanted,"
        " (select h.client_id from channel h where h.id = job.channel_id)"
        " from job {join rows id:text epoch:int n:int}"
        " where job.id = {r.id} and job.lease_epoch = {r.epoch} and job.lease_owner = $4"
        " order by job.id {lock}",
        &rows, DB_ARGS(DB_T(batch->worker)), &stmt, err);
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        struct one_write *one = &batch->items[db_int(stmt, 0)];
        rc = read_row(stmt, &one->row, err);
        one->is_live = true;
        one->item->result = WRITE_OK;
    }
    return rc;
}

/* ---- upload ---- */

static bool touches_upload(const struct one_write *one)
{
    const struct job_write *write = one->item->write;
    return write->clear_session || write->set_session || write->set_finalizing || write->set_session_dead ||
           write->set_confirmed || write->count_attempt || write->set_reconcile || write->set_check_looks ||
           write->set_video || job_state_is_terminal(one->row.state);
}

enum { SESSION_STAYS, SESSION_SET, SESSION_DROPPED };

/* A finished job keeps how far it came, not the secret nor what only a resumed upload needs. */
static int session_change(const struct one_write *one)
{
    const struct job_write *write = one->item->write;
    if (job_state_is_terminal(one->row.state))
        return SESSION_DROPPED;
    return write->set_session ? SESSION_SET : write->clear_session ? SESSION_DROPPED : SESSION_STAYS;
}

static void add_upload(struct db_rows *rows, const struct one_write *one)
{
    const struct job_write *write = one->item->write;
    struct blob sealed = one->item->sealed_session;
    db_rows_add(rows, DB_ARGS(DB_T(write->id.text), DB_I(write->clear_session), DB_I(write->set_session),
                              DB_I(session_change(one)), DB_B(sealed.data, sealed.len),
                              DB_I(write->set_finalizing), DB_I(write->set_session_dead),
                              DB_I(write->set_confirmed ? (int64_t)write->confirmed_bytes : -1),
                              DB_I(write->count_attempt), DB_I(write->set_reconcile),
                              DB_I(write->reconcile_looks), DB_I(write->reconcile_from_ms),
                              DB_I(write->set_check_looks ? (int64_t)write->check_looks : -1),
                              DB_T(write->set_video ? write->etag : NULL)));
}

/* What is not said stays. A session that only got another address keeps its beginning. */
int batch_write_uploads(const struct write_batch *batch, struct err *err)
{
    AUTO_ROWS struct db_rows rows = {.count = 0};
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->items[i].is_live && touches_upload(&batch->items[i]))
            add_upload(&rows, &batch->items[i]);
    int rc = db_run_rows(
        batch->store->db,
        "update upload set"
        " session_at_ms = case when {r.opened} = 1 and (upload.session_url is null or {r.cleared} = 1)"
        "  then now_ms() when {r.cleared} = 1 then 0 else upload.session_at_ms end,"
        " session_url = case {r.session} when 1 then {r.url} when 2 then null else upload.session_url end,"
        " finalizing = case when {r.final} = 1 then 1 when {r.cleared} = 1 then 0 else upload.finalizing end,"
        " session_dead = case when {r.dead} = 1 then 1 when {r.opened} = 1 or {r.cleared} = 1 then 0"
        "  else upload.session_dead end,"
        " last_byte_uploaded = case when {r.confirmed} >= 0 then {r.confirmed} - 1 when {r.cleared} = 1 then "
        "-1"
        "  else upload.last_byte_uploaded end,"
        " upload_attempts = upload.upload_attempts + {r.attempts},"
        " reconcile_looks = case when {r.reconcile} = 1 then {r.looks} else upload.reconcile_looks end,"
        " reconcile_from_ms = case when {r.reconcile} = 1 then {r.from_ms} else upload.reconcile_from_ms end,"
        " check_looks = case when {r.checks} >= 0 then {r.checks} else upload.check_looks end,"
        " etag = coalesce({r.etag}, upload.etag)"
        " {from rows id:text cleared:int opened:int session:int url:blob final:int dead:int confirmed:int"
        " attempts:int reconcile:int looks:int from_ms:int checks:int etag:text} where upload.job_id = "
        "{r.id}",
        &rows, DB_NO_ARGS, err);
    return rc < 0 ? rc : 0;
}

/* ---- chunks ---- */

static int forget_chunks(const struct write_batch *batch, struct err *err)
{
    AUTO_ROWS struct db_rows rows = {.count = 0};
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct one_write *one = &batch->items[i];
        if (one->is_live && (one->item->write->clear_session || job_state_is_terminal(one->row.state)))
            db_rows_add(&rows, DB_ARGS(DB_T(one->item->write->id.text)));
    }
    int rc =
        db_run_rows(batch->store->db, "delete from chunk where job_id in (select {r.id} {from rows id:text})",
                    &rows, DB_NO_ARGS, err);
    return rc < 0 ? rc : 0;
}

/* Of the same bytes sent twice the later counts. */
static bool is_replaced(const struct chunk_digests *chunks, uint32_t at)
{
    for (uint32_t i = at + 1; i < chunks->count; i++)
        if (chunks->items[i].first_byte == chunks->items[at].first_byte)
            return true;
    return false;
}

static void add_chunks(struct db_rows *rows, const struct one_write *one)
{
    const struct job_write *write = one->item->write;
    for (uint32_t i = 0; i < write->chunks.count; i++) {
        const struct chunk_digest *chunk = &write->chunks.items[i];
        if (is_replaced(&write->chunks, i))
            continue;
        db_rows_add(rows, DB_ARGS(DB_T(write->id.text), DB_I(chunk->first_byte), DB_I(one->row.tenant_id),
                                  DB_I(chunk->size_bytes), DB_B(chunk->digest, DIGEST_SIZE)));
    }
}

int batch_write_chunks(const struct write_batch *batch, struct err *err)
{
    AUTO_ROWS struct db_rows rows = {.count = 0};
    int rc = forget_chunks(batch, err);
    for (uint32_t i = 0; i < batch->count && rc == 0; i++)
        if (batch->items[i].is_live && !job_state_is_terminal(batch->items[i].row.state))
            add_chunks(&rows, &batch->items[i]);
    if (rc == 0)
        rc = db_run_rows(batch->store->db,
                         "insert into chunk (job_id, first_byte, tenant_id, size_bytes, digest)"
                         " select {r.id}, {r.first_byte}, {r.tenant}, {r.size}, {r.digest}"
                         " {from rows id:text first_byte:int tenant:int size:int digest:blob} where true"
                         " on conflict (job_id, first_byte) do update set size_bytes = excluded.size_bytes,"
                         " digest = excluded.digest",
                         &rows, DB_NO_ARGS, err);
    return rc < 0 ? rc : 0;
}

/* ---- trail ---- */

static bool has_line(const struct one_write *one)
{
    const struct write_row *row = &one->row;
    bool has_moved = row->state != row->from || row->cause != row->from_cause;
    return one->is_live && (has_moved || one->item->write->note.what[0]);
}

static struct trail make_trail(const char *worker, const struct one_write *one)
{
    const struct write_row *row = &one->row;
    const struct job_write *write = one->item->write;
    bool has_moved = row->state != row->from || row->cause != row->from_cause;
    return (struct trail){.job = write->id.text,
                          .tenant_id = row->tenant_id,
                          .channel_id = row->channel_id,
                          .who = worker,
                          .what = write->note.what[0] ? write->note.what : "state changed",
                          .from = has_moved ? job_state_text(row->from) : NULL,
                          .to = has_moved ? job_state_text(row->state) : NULL,
                          .cause = has_moved ? job_cause_text(row->cause) : NULL,
                          .lease_epoch = write->lease_epoch,
                          .note = &write->note};
}

int batch_write_trail(const struct write_batch *batch, struct err *err)
{
    AUTO_FREE struct trail *lines = mem_alloc_array(batch->count, sizeof(*lines));
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->count; i++)
        if (has_line(&batch->items[i]))
            lines[count++] = make_trail(batch->worker, &batch->items[i]);
    return do_trail_many(batch->store, lines, count, NULL, err);
}

/* ---- job ---- */

static bool touches_job(const struct job_write *write)
{
    return write->set_state || write->release_lease || write->set_video || write->set_waits ||
           write->set_error || write->clear_error;
}

static void add_job(struct db_rows *rows, const struct one_write *one)
{
    const struct write_row *row = &one->row;
    db_rows_add(rows, DB_ARGS(DB_T(one->item->write->id.text), DB_T(job_state_text(row->state)),
                              DB_T(job_cause_text(row->cause)), DB_I(row->next_at_ms), DB_I(row->waits),
                              DB_T(row->video_id[0] ? row->video_id : NULL), DB_T(row->error_reason),
                              DB_T(row->error_message), DB_I(row->release), DB_I(row->cancel_wanted),
                              DB_I(job_state_is_terminal(row->state))));
}

int batch_write_jobs(const struct write_batch *batch, struct err *err)
{
    AUTO_ROWS struct db_rows rows = {.count = 0};
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->items[i].is_live && touches_job(batch->items[i].item->write))
            add_job(&rows, &batch->items[i]);
    int rc = db_run_rows(
        batch->store->db,
        "update job set state = {r.state}, cause = {r.cause}, next_at_ms = {r.next_at_ms}, waits = {r.waits},"
        " video_id = {r.video_id}, error_reason = {r.reason}, error_message = {r.message},"
        " changed_at_ms = now_ms(),"
        " lease_owner = case when {r.released} = 1 then '' else job.lease_owner end,"
        " lease_until_ms = case when {r.released} = 1 then 0 else job.lease_until_ms end,"
        " cancel_wanted = {r.cancel}, finished_at_ms = case when {r.finished} = 1 then now_ms() else 0 end"
        " {from rows id:text state:text cause:text next_at_ms:int waits:int video_id:text reason:text"
        " message:text released:int cancel:int finished:int} where job.id = {r.id}",
        &rows, DB_NO_ARGS, err);
    return rc < 0 ? rc : 0;
}
