/* The lease: epoch + 1, state, owner and end, and an audit line whose id says whose turn it was last. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/claim.h"
#include "store/db_rows.h"

int head_read(const struct db_stmt *stmt, int column, struct head *ret, struct err *err)
{
    copy_text(ret->id, db_text(stmt, column));
    ret->priority = db_int(stmt, column + 1);
    ret->has_video = db_int(stmt, column + 3) != 0;
    copy_text(ret->lease_owner, db_text(stmt, column + 4));
    if (!job_state_parse(db_text(stmt, column + 2), &ret->state))
        return err_set(err, ERR_STORE, "job %s has the unknown state %s", ret->id, db_text(stmt, column + 2));
    return 0;
}

/* A hold is left for the steps if the video exists; only `uploading` and `finishing` are leased. */
static enum job_state leased_state(const struct head *head)
{
    return head->has_video && head->state != JOB_QUEUED && head->state != JOB_WAITING ? JOB_FINISHING
                                                                                      : JOB_UPLOADING;
}

/* Rows come in about the order in which they were asked for. */
static uint32_t find_head(const struct head *heads, uint32_t count, uint32_t at, const char *id)
{
    for (uint32_t n = 0; n < count && strcmp(heads[at].id, id) != 0; n++)
        at = (at + 1) % count;
    return at;
}

static int take_leases(const struct claim *claim, const struct head *heads, uint32_t count,
                       int64_t *ret_epochs, struct err *err)
{
    AUTO_STMT struct db_stmt *stmt = NULL;
    AUTO_ROWS struct db_rows rows = {.count = 0};
    for (uint32_t i = 0; i < count; i++)
        db_rows_add(&rows, DB_ARGS(DB_T(heads[i].id), DB_T(job_state_text(leased_state(&heads[i])))));
    int rc = db_query_rows(
        claim->store->db,
        "update job set state = {r.state}, cause = '', next_at_ms = 0, lease_owner = $3,"
        " lease_epoch = job.lease_epoch + 1, passed_ms = " PASSED_MS
        ", lease_until_ms = now_ms() + $4, changed_at_ms = now_ms(),"
        " cancel_wanted = case when job.cancel_wanted = 0 then 0 else 2 end"
        " {from rows id:text state:text} where job.id = {r.id} returning job.id, job.lease_epoch",
        &rows, DB_ARGS(DB_T(claim->worker), DB_I(claim->lease_ms)), &stmt, err);
    uint32_t at = 0;
    while (rc == 0 && (rc = db_next(stmt, err)) > 0) {
        at = find_head(heads, count, at, db_text(stmt, 0));
        ret_epochs[at] = db_int(stmt, 1);
        rc = 0;
    }
    return rc;
}

/* ---- trail ---- */

static void fill_note(const struct head *head, struct audit_note *ret)
{
    if (head->lease_owner[0])
        snprintf(ret->message, sizeof(ret->message), "the lease of %s ran out", head->lease_owner);
}

static int trail_leases(const struct claim *claim, const struct head *heads, uint32_t count,
                        const int64_t *epochs, int64_t *ret_ids, struct err *err)
{
    AUTO_FREE struct audit_note *notes = mem_alloc_array(count, sizeof(*notes));
    AUTO_FREE struct trail *lines = mem_alloc_array(count, sizeof(*lines));
    for (uint32_t i = 0; i < count; i++) {
        fill_note(&heads[i], &notes[i]);
        lines[i] = (struct trail){.job = heads[i].id,
                                  .tenant_id = heads[i].tenant_id,
                                  .channel_id = heads[i].channel_id,
                                  .who = claim->worker,
                                  .what = heads[i].lease_owner[0] ? "taken over" : "claimed",
                                  .from = job_state_text(heads[i].state),
                                  .to = job_state_text(leased_state(&heads[i])),
                                  .lease_epoch = epochs[i],
                                  .note = &notes[i]};
    }
    return do_trail_many(claim->store, lines, count, ret_ids, err);
}

/* ---- turns ---- */

static bool is_last_of_tenant(const struct head *heads, uint32_t count, uint32_t at)
{
    for (uint32_t i = at + 1; i < count; i++)
        if (heads[i].tenant_id == heads[at].tenant_id)
            return false;
    return true;
}

static bool is_last_of_channel(const struct head *heads, uint32_t count, uint32_t at)
{
    for (uint32_t i = at + 1; i < count; i++)
        if (heads[i].channel_id == heads[at].channel_id)
            return false;
    return true;
}

/* Whose turn it was is advice: where another claim writes it just now, its word stands. */
static int count_turns(const struct claim *claim, const struct head *heads, uint32_t count,
                       const int64_t *seqs, struct err *err)
{
    AUTO_ROWS struct db_rows rows = {.count = 0};
    for (uint32_t i = 0; i < count; i++) {
        struct db_value tenant = DB_I(heads[i].tenant_id), channel = DB_I(heads[i].channel_id);
        if (is_last_of_tenant(heads, count, i))
            db_rows_add(&rows, DB_ARGS(tenant, DB_I(0), DB_I(seqs[i]), channel));
        if (is_last_of_channel(heads, count, i))
            db_rows_add(&rows, DB_ARGS(tenant, channel, DB_I(seqs[i]), channel));
    }
    int rc = db_run_rows(
        claim->store->db,
        "with mine (tenant_id, channel_id, seq, served) as materialized (select t.tenant_id, t.channel_id,"
        "  {r.seq}, {r.served} from turn t {join rows tenant:int channel:int seq:int served:int}"
        "  where t.tenant_id = {r.tenant} and t.channel_id = {r.channel} order by t.tenant_id, t.channel_id "
        "{take})"
        " update turn set served_seq = mine.seq, served_channel_id = mine.served from mine"
        " where turn.tenant_id = mine.tenant_id and turn.channel_id = mine.channel_id",
        &rows, DB_NO_ARGS, err);
    return rc < 0 ? rc : 0;
}

int heads_lease(const struct claim *claim, const struct head *heads, uint32_t count, struct err *err)
{
    AUTO_FREE int64_t *epochs = mem_alloc_array(count + 1, sizeof(*epochs));
    AUTO_FREE int64_t *seqs = mem_alloc_array(count + 1, sizeof(*seqs));
    int rc = take_leases(claim, heads, count, epochs, err);
    if (rc == 0)
        rc = trail_leases(claim, heads, count, epochs, seqs, err);
    return rc < 0 ? rc : count_turns(claim, heads, count, seqs, err);
}
