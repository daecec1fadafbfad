/*
 * What is stored while a job is worked on, and what follows from the answers. A main write blocks the slot
 * until it is answered ("durable before visible"); progress is written beside the next chunks, and not after
 * each, since the server's offset is the truth anyway.
 */
#include <string.h>

#include "core/backoff.h"
#include "core/slot.h"

struct job_write save_write(const struct slot *slot)
{
    return (struct job_write){.id = slot->job.id, .lease_epoch = slot->job.lease_epoch};
}

void save_begin(struct engine *engine, struct slot *slot, enum store_use use, const struct job_write *write)
{
    struct action *action = slot_start(engine, slot, ACTION_STORE);
    action->write = *write;
    slot->storing = use;
    slot->write_again = false;
    if (&slot->write != write)
        slot->write = *write;
}

/* The next main write carries the offset itself where one is about to come. */
static bool main_write_follows(const struct engine *engine, const struct slot *slot)
{
    bool completes = slot_put_completes(engine, slot);
    return slot->settling || slot->job.video_id[0] || slot->write_again ||
           (completes && !slot->job.finalizing);
}

void save_progress(struct engine *engine, struct slot *slot)
{
    slot->progress_due_mono_ms = INT64_MAX;
    if (!slot->progress_unsaved || slot->progress_op || main_write_follows(engine, slot))
        return;
    int64_t due = slot->progress_at_mono_ms + engine->config.progress_every_ms;
    if (slot->digests.count < PROGRESS_DIGESTS_MAX && engine->now.mono_ms < due) {
        slot->progress_due_mono_ms = due;
        return;
    }
    slot->progress_at_mono_ms = engine->now.mono_ms;
    struct action *action = engine_emit(engine, slot, ACTION_STORE);
    action->write = save_write(slot);
    action->write.set_confirmed = true;
    action->write.confirmed_bytes = slot->job.confirmed_bytes;
    action->write.chunks = slot->digests;
    if (slot->job.waits > 0) {
        slot->job.waits = 0;
        action->write.set_waits = true;
    }
    slot->progress_op = action->op;
    slot->progress_unsaved = false;
    slot->digests.count = 0;
}

/* A digest whose write failed is lost, not kept: without it a touched source counts as changed, which is the
 * safe side. */
void save_on_progress_stored(struct engine *engine, struct slot *slot, enum write_result result)
{
    slot->progress_op = 0;
    if (result == WRITE_LEASE_LOST)
        slot_lose(engine, slot, "another worker has the job");
    else if (result == WRITE_FAILED && slot->job.has_session)
        slot->progress_unsaved = true;
}

static void session_saved(struct slot *slot)
{
    bool is_new = !slot->job.has_session;
    slot->session_unsaved = false;
    slot->job.has_session = true;
    if (is_new) {
        slot->job.confirmed_bytes = 0;
        slot->job.finalizing = slot->write.set_finalizing;
        slot->best_bytes = 0;
        slot->in_doubt = false;
        slot->last_byte_may_be_out = false;
    }
}

static void dead_session_saved(struct slot *slot)
{
    slot->session_open = false;
    slot->progress_unsaved = false;
    slot->digests.count = 0;
    slot->source_checked = false;
    slot->reserved = false;
    if (slot->write.set_session_dead) {
        slot->job.session_dead = true;
        return;
    }
    slot->job.has_session = slot->job.finalizing = slot->job.session_dead = slot->in_doubt = false;
    slot->last_byte_may_be_out = false;
    slot->job.confirmed_bytes = slot->best_bytes = 0;
    if (slot->settling) /* an outcome that was decided while the session still lived */
        settle_without_session(slot);
}

static void saved(struct engine *engine, struct slot *slot)
{
    switch (slot->storing) {
    case STORE_RESERVE:
        slot->reserved = true;
        break;
    case STORE_TOKEN:
        break;
    case STORE_SESSION:
        session_saved(slot);
        break;
    case STORE_FINALIZE:
        slot->job.finalizing = true;
        break;
    case STORE_DEAD:
        dead_session_saved(slot);
        break;
    case STORE_VIDEO:
        slot->video_unsaved = false;
        slot->reserved = engine->config.check_video;
        trace(engine, slot, "video %s", slot->job.video_id);
        break;
    case STORE_SETTLE:
        trace(engine, slot, "settled %s%s%s", job_state_text(slot->outcome.state),
              slot->outcome.cause ? " " : "", job_cause_text(slot->outcome.cause));
        slot_lose(engine, slot, NULL);
        break;
    }
}

/* The write is repeated until the store takes it or the lease ends: each is fenced and may be applied twice.
 */
static void write_again(struct engine *engine, struct slot *slot)
{
    slot->write_again = true;
    slot_pause(slot, engine->now.mono_ms + jitter_between(200, 2000, engine_entropy(engine)));
}

static const char *quota_message(const struct slot *slot)
{
    if (slot->job.priority > 0)
        return "today's uploads of this client or channel are used up";
    return "today's uploads of this client or channel are used up, but for what is kept for raised priority";
}

void save_on_stored(struct engine *engine, struct slot *slot, enum write_result result)
{
    switch (result) {
    case WRITE_OK:
        saved(engine, slot);
        break;
    case WRITE_LEASE_LOST:
        slot_lose(engine, slot, "another worker has the job");
        break;
    case WRITE_QUOTA_FULL: {
        struct audit_note note = note_make("quota reached", "uploadsPerDay", quota_message(slot));
        settle_quota(engine, slot, BUCKET_NONE, &note);
        break;
    }
    case WRITE_VIDEO_TAKEN: {
        char video[VIDEO_ID_SIZE];
        memcpy(video, slot->job.video_id, sizeof(video));
        slot->job.video_id[0] = '\0';
        slot->video_unsaved = false;
        settle_hold(slot, CAUSE_AMBIGUOUS, "videoTaken", video);
        break;
    }
    case WRITE_FAILED:
        write_again(engine, slot);
        break;
    }
}
