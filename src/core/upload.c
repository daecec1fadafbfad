/*
 * The upload machine: what follows from a slot's facts. Read upload_next() first; its order is the order of
 * precautions.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "core/pacific.h"
#include "core/slot.h"

/* Charged in advance: the ledger never under-counts [quota]. */
enum { LOOK_UNITS = 2 * LOOK_PAGES_MAX };

void upload_begin(struct engine *engine, struct slot *slot, const struct job_claim *job)
{
    slot->job = *job;
    slot->best_bytes = job->confirmed_bytes;
    slot->last_byte_may_be_out = job->finalizing;
    /* Whoever had the job before may have sent more than was stored: the first thing said to a session is a
     * question. */
    slot->in_doubt = job->has_session;
    slot->wake_mono_ms = engine->now.mono_ms;
    slot->progress_at_mono_ms = engine->now.mono_ms;
    slot->progress_due_mono_ms = INT64_MAX;
    trace(engine, slot, "claimed");
}

/* ---- quota ---- */

/* A line of the trail tells what is charged, and the token that is about to be used: a year later it must be
 * known. */
PRINTF_LIKE(2, 3) static void tell(struct audit_note *note, const char *format, ...)
{
    const size_t size = sizeof(note->message);
    size_t len = strlen(note->message);
    if (len > 0)
        len += (size_t)snprintf(note->message + len, size - len, ", ");
    if (len >= size)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(note->message + len, size - len, format, args);
    va_end(args);
}

static void charge(struct engine *engine, struct job_write *write, enum quota_bucket bucket, uint32_t amount,
                   uint32_t limit)
{
    write->charge = bucket;
    write->charge_amount = amount;
    write->charge_limit = limit;
    write->pacific_day = pacific_day(engine->now.wall_ms);
    tell(&write->note, CHARGED_FORMAT, amount, quota_bucket_text(bucket));
}

static void tell_token(struct slot *slot, struct job_write *write)
{
    tell(&write->note, TOKEN_FORMAT, slot->token_id);
    slot->token_untold = false;
}

/* The soft limit keeps the last part of the day's uploads for raised priority; a small limit is not cut to
 * nothing. */
static uint32_t uploads_limit(const struct engine *engine, const struct slot *slot)
{
    uint32_t limit = slot->job.uploads_per_day;
    uint64_t kept = (uint64_t)limit * (100 - engine->config.quota_soft_percent) / 100;
    return slot->job.priority > 0 ? limit : limit - (uint32_t)kept;
}

/* A start is refused here when the day's uploads are spent; looks are only counted, since a video's fate
 * hangs on them. */
static void reserve_start(struct engine *engine, struct slot *slot)
{
    struct job_write write = save_write(slot);
    write.note = note_make("attempt started", "", "");
    charge(engine, &write, BUCKET_UPLOADS, 1, uploads_limit(engine, slot));
    write.charge_channel_limit = slot->job.channel_uploads_per_day;
    write.count_attempt = true;
    tell_token(slot, &write);
    save_begin(engine, slot, STORE_RESERVE, &write);
}

static void reserve_look(struct engine *engine, struct slot *slot, const char *calls, uint32_t units)
{
    struct job_write write = save_write(slot);
    write.note = note_make("look started", "", calls);
    charge(engine, &write, BUCKET_UNITS, units, 0);
    tell_token(slot, &write);
    save_begin(engine, slot, STORE_RESERVE, &write);
}

static void save_token(struct engine *engine, struct slot *slot)
{
    struct job_write write = save_write(slot);
    write.note = note_make("token taken", "", "");
    tell_token(slot, &write);
    save_begin(engine, slot, STORE_TOKEN, &write);
}

/* ---- single steps; each ends with one main action under way ---- */

static void ask_token(struct engine *engine, struct slot *slot)
{
    slot_start(engine, slot, ACTION_TOKEN)->token.fresh = slot->want_fresh_token;
}

static void start_session(struct engine *engine, struct slot *slot)
{
    slot->reserved = false;
    slot_count_request(engine, slot);
    slot_start(engine, slot, ACTION_START);
}

/* Where the first PUT can complete the upload, the intent is stored together with the session. */
static void save_session(struct engine *engine, struct slot *slot)
{
    struct job_write write = save_write(slot);
    write.set_session = true;
    bool is_new = !slot->job.has_session;
    if (is_new) {
        write.set_confirmed = true;
        write.set_finalizing = slot_put_completes(engine, slot);
    }
    write.note = note_make(is_new ? "session opened" : "session moved", "", "");
    save_begin(engine, slot, STORE_SESSION, &write);
}

static void save_finalizing(struct engine *engine, struct slot *slot)
{
    struct job_write write = save_write(slot);
    write.set_finalizing = true;
    write.set_confirmed = true;
    write.confirmed_bytes = slot->job.confirmed_bytes;
    write.chunks = slot->digests;
    write.note = note_make("finalizing", "", "");
    slot->digests.count = 0;
    slot->progress_unsaved = false;
    save_begin(engine, slot, STORE_FINALIZE, &write);
}

static void check_source(struct engine *engine, struct slot *slot)
{
    slot_start(engine, slot, ACTION_CHECK_SOURCE)->source.confirmed_bytes = slot->job.confirmed_bytes;
}

static void query(struct engine *engine, struct slot *slot)
{
    slot_count_request(engine, slot);
    slot_start(engine, slot, ACTION_QUERY);
}

static void put(struct engine *engine, struct slot *slot)
{
    slot->put_first_byte = slot->job.confirmed_bytes;
    slot->put_size_bytes = slot_chunk_bytes(engine, slot);
    bool completes = slot_put_completes(engine, slot);
    assert(!completes || slot->job.finalizing);
    assert(slot->put_size_bytes > 0);
    slot->had_last_byte_out = slot->last_byte_may_be_out;
    slot->last_byte_may_be_out |= completes;
    slot_count_request(engine, slot);
    struct action *action = slot_start(engine, slot, ACTION_PUT);
    action->put.first_byte = slot->put_first_byte;
    action->put.size_bytes = slot->put_size_bytes;
    action->put.completes = completes;
}

static void send(struct engine *engine, struct slot *slot)
{
    if (slot->digests.count == PROGRESS_DIGESTS_MAX && slot->progress_op)
        return; /* the store is far behind: let it catch up */
    if (!slot->source_checked)
        check_source(engine, slot);
    else if (slot_put_completes(engine, slot) && !slot->job.finalizing && !slot->progress_op)
        save_finalizing(engine, slot);
    else if (!slot_put_completes(engine, slot) || slot->job.finalizing)
        put(engine, slot);
}

static void save_video(struct engine *engine, struct slot *slot)
{
    struct job_write write = save_write(slot);
    write.set_video = true;
    memcpy(write.video_id, slot->job.video_id, sizeof(write.video_id));
    memcpy(write.etag, slot->etag, sizeof(write.etag));
    write.set_state = true;
    write.state = JOB_FINISHING;
    write.set_confirmed = true;
    write.confirmed_bytes = slot->job.size_bytes;
    write.chunks = slot->digests;
    write.note = note_make("video exists", "", slot->job.video_id);
    if (engine->config.check_video)
        charge(engine, &write, BUCKET_UNITS, 1, 0);
    slot->digests.count = 0;
    slot->progress_unsaved = false;
    save_begin(engine, slot, STORE_VIDEO, &write);
}

static void check_video(struct engine *engine, struct slot *slot)
{
    slot->reserved = false;
    slot_count_request(engine, slot);
    struct action *action = slot_start(engine, slot, ACTION_CHECK_VIDEO);
    memcpy(action->check.video_id, slot->job.video_id, sizeof(action->check.video_id));
}

static void list_uploads(struct engine *engine, struct slot *slot)
{
    slot->reserved = false;
    slot_count_request(engine, slot);
    struct action *action = slot_start(engine, slot, ACTION_LIST_UPLOADS);
    action->list.since_ms = slot->job.session_at_ms - RECONCILE_SKEW_MS;
}

static void probe_token(struct engine *engine, struct slot *slot)
{
    slot->reserved = false;
    slot_count_request(engine, slot);
    slot_start(engine, slot, ACTION_PROBE_TOKEN);
}

/* ---- what follows ---- */

/* The video exists: store that, see it at YouTube, done. */
static void next_after_video(struct engine *engine, struct slot *slot)
{
    if (slot->video_unsaved)
        save_video(engine, slot);
    else if (!engine->config.check_video || slot->video_seen)
        settle_completed(slot);
    else if (!slot->has_token)
        ask_token(engine, slot);
    else if (!slot->reserved)
        reserve_look(engine, slot, "videos.list", 1);
    else if (slot->token_untold)
        save_token(engine, slot);
    else
        check_video(engine, slot);
}

/* The session is dead and its last byte may have been accepted: only the channel's list can tell. */
static void next_reconcile(struct engine *engine, struct slot *slot)
{
    if (!slot->reserved)
        reserve_look(engine, slot, "playlistItems.list and videos.list", LOOK_UNITS);
    else
        list_uploads(engine, slot);
}

static void next_session(struct engine *engine, struct slot *slot)
{
    if (!slot->source_checked)
        check_source(engine, slot);
    else if (slot->job.has_cdn && !slot->cdn_checked)
        slot_start(engine, slot,
                   ACTION_CHECK_CDN); /* before quota is spent on a file that is not the published one */
    else if (!slot->reserved)
        reserve_start(engine, slot);
    else
        start_session(engine, slot);
}

static void next_in_session(struct engine *engine, struct slot *slot)
{
    if (!slot->session_open)
        slot_start(engine, slot, ACTION_OPEN_SESSION);
    else if (slot->want_probe && !slot->reserved)
        reserve_look(engine, slot, "channels.list", 1);
    else if (slot->want_probe)
        probe_token(engine, slot);
    else if (slot->in_doubt || slot->job.confirmed_bytes == slot->job.size_bytes)
        query(engine, slot); /* with everything stored, the query itself completes the upload [guide] */
    else
        send(engine, slot);
}

static void delete_session(struct engine *engine, struct slot *slot)
{
    slot->cancel_tried = true;
    slot_start(engine, slot, ACTION_CANCEL);
}

/* Nobody is to send this job any more. Where the last byte may be out, a late request could still complete
 * the upload: then the session must be known to be dead before the job may be called cancelled. */
static void next_cancel(struct engine *engine, struct slot *slot)
{
    if (!slot->job.has_session) {
        settle_cancelled(slot);
    } else if (!slot->has_token) {
        ask_token(engine, slot);
    } else if (slot->job.session_dead) {
        next_reconcile(engine, slot);
    } else if (!slot->session_open) {
        slot_start(engine, slot, ACTION_OPEN_SESSION);
    } else if (!slot->last_byte_may_be_out) {
        slot->cancel_session = true;
        settle_cancelled(slot);
    } else if (slot->in_doubt) {
        query(engine, slot); /* finished: too late to cancel */
    } else {
        delete_session(engine, slot);
    }
}

/* What is reserved is told with its token; only what goes on without a reservation of its own is not. */
static bool must_tell_token(const struct slot *slot)
{
    bool goes_on = slot->session_open && !slot->want_probe;
    return slot->has_token && slot->token_untold && (slot->reserved || goes_on);
}

static void next_facts(struct engine *engine, struct slot *slot)
{
    if (slot->token_end_mono_ms && engine->now.mono_ms >= slot->token_end_mono_ms)
        slot->has_token = false;
    if (slot->job.video_id[0])
        next_after_video(engine, slot);
    else if (slot->session_unsaved)
        save_session(engine, slot);
    else if (must_tell_token(slot))
        save_token(engine, slot);
    else if (slot->job.cancel_wanted)
        next_cancel(engine, slot);
    else if (!slot->has_token)
        ask_token(engine, slot);
    else if (slot->job.session_dead)
        next_reconcile(engine, slot);
    else if (!slot->job.has_session)
        next_session(engine, slot);
    else
        next_in_session(engine, slot);
}

/* Deleting the session is a courtesy to YouTube, tried once; the outcome is stored whatever came of it. */
static void next_settle(struct engine *engine, struct slot *slot)
{
    bool can_cancel = slot->session_open && slot->has_token;
    if (slot->cancel_session && !slot->cancel_tried && can_cancel) {
        delete_session(engine, slot);
    } else if (!slot->progress_op) {
        save_begin(engine, slot, STORE_SETTLE, &slot->outcome);
    }
}

void upload_next(struct engine *engine, struct slot *slot)
{
    if (slot->lost)
        return;
    if (!engine_has_room(engine)) {
        slot->wake_mono_ms = engine->now.mono_ms;
        return;
    }
    save_progress(engine, slot);
    if (engine->draining && !slot->settling) {
        slot_abort(engine, slot);
        if (!slot->write_again)
            slot->not_before_mono_ms = engine->now.mono_ms; /* no pause is waited for (X03) */
    }
    if (slot->op || engine->now.mono_ms < slot->not_before_mono_ms)
        return;
    slot->wake_mono_ms = INT64_MAX;
    if (slot->write_again) {
        save_begin(engine, slot, slot->storing, &slot->write);
        return;
    }
    if (engine->draining && !slot->settling && !slot->video_unsaved && !slot->session_unsaved)
        settle_give_back(engine, slot);
    if (!slot->settling)
        next_facts(engine, slot);
    if (slot->settling && !slot->op)
        next_settle(engine, slot);
}
