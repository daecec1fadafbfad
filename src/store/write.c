/*
 * Workers' writes to their jobs: each whole or not at all, and only under the lease epoch that the worker was
 * given.
 *
 * Many at once cost little more than one: a batch reads all its rows under their fences, works out the new
 * values here, and carries out each part for all its jobs in one statement (write_rows.c). A job is in a
 * batch once; of several writes to a job each next one is in a batch of its own. Where the database refuses
 * something, the batch is undone and each write done alone, so that the one that is wrong fails alone; where
 * quota is missing, it is undone and done again without the writes that would have taken it.
 *
 * A job that is given back while its channel may not be sent goes to the channel's hold instead of the queue,
 * so that what is claimable is always sendable.
 */
#include "store/write.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

enum { CANCEL_NONE, CANCEL_WANTED, CANCEL_TOLD };

/* ---- the new values ---- */

static bool state_keeps_lease(enum job_state state)
{
    return state == JOB_UPLOADING || state == JOB_FINISHING;
}

static void plan_state(const struct job_write *write, struct write_row *row)
{
    row->release = write->release_lease;
    if (!write->set_state)
        return;
    row->state = write->state;
    row->cause = write->state == JOB_HELD ? write->cause : CAUSE_NONE;
    row->next_at_ms = job_state_is_terminal(write->state) ? 0 : write->next_at_ms;
    row->release = row->release || !state_keeps_lease(write->state);
}

static void plan_texts(const struct job_write *write, struct write_row *row)
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
        text_mend(row->error_reason); /* others' words, perhaps cut: Postgres would refuse the whole write */
        text_mend(row->error_message);
    }
}

static bool waits_for_turn(const struct write_row *row)
{
    return row->state == JOB_QUEUED || row->state == JOB_WAITING || row->state == JOB_UPLOADING ||
           (row->state == JOB_HELD && job_cause_is_timed(row->cause));
}

static bool waits_for_channel(const struct write_row *row)
{
    return row->state == JOB_HELD && (row->cause == CAUSE_CHANNEL_PAUSED ||
                                      row->cause == CAUSE_CHANNEL_AUTH || row->cause == CAUSE_CHANNEL_FROZEN);
}

static void hold_with_channel(struct write_row *row, const struct gate *gate)
{
    row->state = JOB_HELD;
    row->cause = channel_state_cause(gate->state);
    row->next_at_ms = gate->until_ms;
}

static void free_with_channel(struct write_row *row)
{
    row->state = row->video_id[0] ? JOB_FINISHING : JOB_QUEUED;
    row->cause = CAUSE_NONE;
    row->next_at_ms = 0;
}

/* Whether the channel's state counts: the gate is kept even where it does not change the job, because whoever
 * moves it also moves the jobs that wait behind it. */
static bool needs_gate(const struct write_row *row)
{
    return row->release && (waits_for_channel(row) || waits_for_turn(row));
}

/* A job that is given back follows its channel as it is now, which may be another than the worker last saw:
 * else it would be claimable and never sendable, or held for a cause that nobody lifts any more. */
static void follow_channel(struct write_row *row, const struct gate *gate)
{
    bool is_held_for_it = waits_for_channel(row);
    bool is_sendable = waits_for_turn(row) && !row->cancel_wanted && !row->video_id[0];
    if (!is_held_for_it && !is_sendable)
        return;
    if (gate->state != CHANNEL_ACTIVE)
        hold_with_channel(row, gate);
    else if (is_held_for_it)
        free_with_channel(row);
}

/* A hold that a person must lift is a worker's answer to a cancel that it knew of. One that it did not know
 * of is not lost: the job may be claimed for it at once. */
static void plan_cancel(struct write_row *row)
{
    bool is_answer = row->state == JOB_HELD && !job_cause_is_timed(row->cause);
    if (job_state_is_terminal(row->state) || (is_answer && row->cancel_wanted == CANCEL_TOLD))
        row->cancel_wanted = CANCEL_NONE;
    if (row->release && row->cancel_wanted == CANCEL_WANTED)
        row->next_at_ms = 0;
}

/* ---- what is checked before anything is written ---- */

static int check_write(const struct store_write_item *item, const struct write_row *row, struct err *err)
{
    const struct job_write *write = item->write;
    if (write->set_session && item->sealed_session.len == 0)
        return err_set(err, ERR_INVALID, "job %s: a session without its sealed URL", write->id.text);
    if (write->set_confirmed && write->confirmed_bytes > (uint64_t)row->size_bytes)
        return err_set(err, ERR_INVALID, "job %s: %" PRIu64 " bytes confirmed of %" PRId64, write->id.text,
                       write->confirmed_bytes, row->size_bytes);
    if (write->set_video && !write->video_id[0])
        return err_set(err, ERR_INVALID, "job %s: a video without its id", write->id.text);
    return 0;
}

static void refuse(struct one_write *one, int rc)
{
    one->item->rc = rc;
    one->item->result = WRITE_FAILED;
    one->is_live = false;
}

static void check_all(const struct write_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        struct one_write *one = &batch->items[i];
        int rc = one->is_live ? check_write(one->item, &one->row, &one->item->err) : 0;
        if (rc < 0)
            refuse(one, rc);
    }
}

/* ---- the parts of a batch ---- */

static int charge_all(const struct write_batch *batch, bool *ret_is_full, struct err *err)
{
    *ret_is_full = false;
    AUTO_FREE struct charge *charges = mem_alloc_array(batch->count, sizeof(*charges));
    AUTO_FREE struct one_write **charged = mem_alloc_array(batch->count, sizeof(struct one_write *));
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct one_write *one = &batch->items[i];
        if (!one->is_live || one->item->write->charge == BUCKET_NONE)
            continue;
        charged[count] = one;
        charges[count++] = (struct charge){
            .write = one->item->write, .client_id = one->row.client_id, .channel_id = one->row.channel_id};
    }
    int rc = do_charge_many(batch->store, charges, count, err);
    for (uint32_t i = 0; i < count && rc == 0; i++)
        if (charges[i].is_full) {
            charged[i]->item->result = WRITE_QUOTA_FULL;
            charged[i]->is_live = false;
            *ret_is_full = true;
        }
    return rc;
}

/* What workers found out about their channels, then about clients: rare, and one by one. */
static int write_channel_finding(const struct write_batch *batch, const struct one_write *one,
                                 struct err *err)
{
    const struct job_write *write = one->item->write;
    struct channel_change change = {.channel = one->row.channel_id,
                                    .state = write->channel,
                                    .until_ms = write->channel_until_ms,
                                    .reason = write->note.message,
                                    .who = batch->worker,
                                    .is_to_be_told = !misuse_is_told(&(struct misuse_line){
                                        .what = write->note.what, .reason = write->note.reason})};
    return write->set_channel ? do_channel_finding(batch->store, &change, err) : 0;
}

static int write_client_finding(const struct write_batch *batch, const struct one_write *one, struct err *err)
{
    const struct job_write *write = one->item->write;
    int rc = 0;
    if (write->client_is_refused)
        rc = do_client_refused(batch->store, one->row.channel_id, write->note.message, batch->worker, err);
    if (rc < 0 || write->spent == BUCKET_NONE)
        return rc;
    return do_note_spent(batch->store, batch->worker, one->row.channel_id, write, err);
}

static int write_findings(const struct write_batch *batch, struct err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < batch->count && rc == 0; i++)
        if (batch->items[i].is_live)
            rc = write_channel_finding(batch, &batch->items[i], err);
    for (uint32_t i = 0; i < batch->count && rc == 0; i++)
        if (batch->items[i].is_live)
            rc = write_client_finding(batch, &batch->items[i], err);
    return rc;
}

static int learn_all(const struct write_batch *batch, struct err *err)
{
    AUTO_FREE struct lesson *lessons = mem_alloc_array(batch->count, sizeof(*lessons));
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct one_write *one = &batch->items[i];
        if (one->is_live && one->item->write->feedback != FEEDBACK_NONE)
            lessons[count++] = (struct lesson){.tenant_id = one->row.tenant_id,
                                               .channel_id = one->row.channel_id,
                                               .feedback = one->item->write->feedback};
    }
    return do_learn_many(batch->store, lessons, count, err);
}

static int follow_all(const struct write_batch *batch, struct err *err)
{
    AUTO_FREE struct channel_gate *gates = mem_alloc_array(batch->count, sizeof(*gates));
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->items[i].is_live && needs_gate(&batch->items[i].row))
            gates_add(gates, &count, batch->items[i].row.channel_id);
    int rc = do_keep_gates(batch->store, gates, count, err);
    for (uint32_t i = 0; i < batch->count && rc == 0; i++) {
        struct write_row *row = &batch->items[i].row;
        if (batch->items[i].is_live && needs_gate(row))
            follow_channel(row, &gates_find(gates, count, row->channel_id)->gate);
    }
    return rc;
}

static int plan_all(const struct write_batch *batch, struct err *err)
{
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->items[i].is_live) {
            plan_state(batch->items[i].item->write, &batch->items[i].row);
            plan_texts(batch->items[i].item->write, &batch->items[i].row);
        }
    int rc = follow_all(batch, err);
    for (uint32_t i = 0; i < batch->count && rc == 0; i++)
        plan_cancel(&batch->items[i].row);
    return rc;
}

static bool is_any_live(const struct write_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->items[i].is_live)
            return true;
    return false;
}

static int write_parts(const struct write_batch *batch, struct err *err)
{
    int rc = write_findings(batch, err);
    if (rc == 0)
        rc = learn_all(batch, err);
    if (rc == 0)
        rc = plan_all(batch, err);
    if (rc == 0)
        rc = batch_write_uploads(batch, err);
    if (rc == 0)
        rc = batch_write_chunks(batch, err);
    return rc < 0 ? rc : batch_write_trail(batch, err);
}

static int write_all(const struct write_batch *batch, struct err *err)
{
    int rc = write_parts(batch, err);
    if (rc == 0)
        rc = batch_write_jobs(batch, err);
    if (rc != ERR_EXISTS || batch->count > 1)
        return rc;
    batch->items[0].item->result = WRITE_VIDEO_TAKEN; /* of what is written here only the video is unique */
    return STEP_UNDO;
}

static int begin_batch(const struct write_batch *batch, struct err *err)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        struct store_write_item *item = batch->items[i].item;
        batch->items[i] = (struct one_write){.item = item};
        item->rc = 0;
    }
    int rc = batch_read_rows(batch, err);
    check_all(batch);
    return rc;
}

/* STEP_UNDO: no write came through, nothing is to be kept. */
static int do_batch(const struct write_batch *batch, struct err *err)
{
    bool is_full;
    int rc = begin_batch(batch, err);
    if (rc == 0)
        rc = charge_all(batch, &is_full, err);
    if (rc < 0 || !is_any_live(batch))
        return rc < 0 ? rc : STEP_UNDO;
    return write_all(batch, err);
}

/* As if no bucket were full; *ret_is_full: one is, and nothing is kept. The clients' rows, which all workers
 * charge, are then locked for no longer than it takes to commit. */
static int do_batch_hopefully(const struct write_batch *batch, bool *ret_is_full, struct err *err)
{
    *ret_is_full = false;
    int rc = begin_batch(batch, err);
    if (rc < 0 || !is_any_live(batch))
        return rc < 0 ? rc : STEP_UNDO;
    rc = write_all(batch, err);
    if (rc == 0)
        rc = charge_all(batch, ret_is_full, err);
    return rc == 0 && *ret_is_full ? STEP_UNDO : rc;
}

/* ---- batches ---- */

static int run_batch(const struct write_batch *batch, struct err *err)
{
    bool is_full;
    int rc = STEP(batch->store, err, do_batch_hopefully(batch, &is_full, err));
    return rc == 0 && is_full ? STEP(batch->store, err, do_batch(batch, err)) : rc;
}

static bool is_refusal(int rc)
{
    return rc < 0 && rc != ERR_STORE && rc != ERR_BUSY && rc != ERR_SCHEMA && rc != ERR_INTERNAL;
}

/* Something of the batch was refused: what it was fails alone. */
static int run_alone(const struct write_batch *batch, struct err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < batch->count && rc == 0; i++) {
        struct write_batch one = {
            .store = batch->store, .worker = batch->worker, .items = &batch->items[i], .count = 1};
        struct err *item_err = &batch->items[i].item->err;
        rc = run_batch(&one, item_err);
        if (is_refusal(rc)) {
            refuse(&batch->items[i], rc);
            rc = 0;
        } else if (rc < 0) {
            err_set(err, rc, "%s", item_err->message);
        }
    }
    return rc;
}

static int run_wave(const struct write_batch *batch, struct err *err)
{
    if (batch->count == 1)
        return run_alone(batch, err);
    int rc = run_batch(batch, err);
    return is_refusal(rc) ? run_alone(batch, err) : rc;
}

static int compare_items(const void *a, const void *b)
{
    const struct store_write_item *one = *(struct store_write_item *const *)a;
    const struct store_write_item *other = *(struct store_write_item *const *)b;
    int order = strcmp(one->write->id.text, other->write->id.text);
    return order ? order : one < other ? -1 : 1;
}

/* Takes from `left` the first item of each job; returns how many stay there. */
static uint32_t take_wave(struct store_write_item **left, uint32_t count, struct write_batch *wave)
{
    uint32_t stay = 0;
    wave->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct store_write_item *last = wave->count > 0 ? wave->items[wave->count - 1].item : NULL;
        if (last && strcmp(last->write->id.text, left[i]->write->id.text) == 0)
            left[stay++] = left[i];
        else
            wave->items[wave->count++].item = left[i];
    }
    return stay;
}

static int run_waves(struct store *store, const char *worker, struct store_write_item *items, uint32_t count,
                     struct err *err)
{
    AUTO_FREE struct store_write_item **left = mem_alloc_array(count, sizeof(struct store_write_item *));
    AUTO_FREE struct one_write *ones = mem_alloc_array(count, sizeof(*ones));
    struct write_batch wave = {.store = store, .worker = worker, .items = ones};
    int rc = 0;
    for (uint32_t i = 0; i < count; i++)
        left[i] = &items[i];
    qsort(left, count, sizeof(struct store_write_item *), compare_items);
    while (count > 0 && rc == 0) {
        count = take_wave(left, count, &wave);
        rc = run_wave(&wave, err);
    }
    return rc;
}

int store_write_many(struct store *store, const char *worker, struct store_write_item *items, uint32_t count,
                     struct err *err)
{
    int rc = count > 0 ? run_waves(store, worker, items, count, err) : 0;
    for (uint32_t i = 0; i < count && rc < 0; i++)
        items[i].result = WRITE_FAILED;
    return rc;
}

int store_write(struct store *store, const char *worker, const struct job_write *write,
                struct blob sealed_session, enum write_result *ret_result, struct err *err)
{
    struct store_write_item item = {.write = write, .sealed_session = sealed_session};
    int rc = store_write_many(store, worker, &item, 1, err);
    *ret_result = item.result;
    if (rc < 0 || item.rc == 0)
        return rc;
    return err_set(err, item.rc, "%s", item.err.message);
}
